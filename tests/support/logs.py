"""Writes events into real event logs, from plain tests. Knows URLs and events alone."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eventlog.events import (
    Event,
    InteractionRecorded,
    Kind,
    UserErased,
    VideoDeleted,
    VideoHidden,
    VideoShown,
    VideoUpserted,
)
from eventlog.log import EventLog, open_event_log
from eventlog.position import Position

NOON = 1_780_000_000.0


def sqlite_url(folder: Path) -> str:
    """Return the URL of the SQLite log in `folder`."""
    return f"sqlite:///{folder}/events.db"


def append(url: str, events: Sequence[Event]) -> Position:
    """Record `events` and return the position of the last one."""

    async def record(log: EventLog) -> Position:
        return (await log.append(events)).position

    position: Position = _with(url, record)
    return position


def trim(url: str, upto: Position) -> None:
    """Drop the events up to `upto`."""
    _with(url, lambda log: log.trim(upto))


def put(
    video_id: str, features: Mapping[str, Any], metadata: Mapping[str, Any] | None = None
) -> VideoUpserted:
    """Return the event of a video that arrives with `features`, as numbers or as raw bytes."""
    raw = {
        name: values if isinstance(values, bytes) else np.asarray(values, "<f4").tobytes()
        for name, values in features.items()
    }
    return VideoUpserted(
        video_id=video_id, features=raw, metadata=dict(metadata or {}), recorded_at=NOON
    )


def deleted(video_id: str) -> VideoDeleted:
    """Return the event of a video that goes."""
    return VideoDeleted(video_id=video_id, recorded_at=NOON)


def hidden(video_id: str) -> VideoHidden:
    """Return the event of a video that is hidden."""
    return VideoHidden(video_id=video_id, recorded_at=NOON)


def shown(video_id: str) -> VideoShown:
    """Return the event of a video that is shown again."""
    return VideoShown(video_id=video_id, recorded_at=NOON)


def met(user_id: str, video_id: str, kind: Kind = "view") -> InteractionRecorded:
    """Return the event of a user who meets a video."""
    return InteractionRecorded(
        user_id=user_id, video_id=video_id, kind=kind, timestamp=NOON, recorded_at=NOON
    )


def erased(user_id: str) -> UserErased:
    """Return the event of a user who is to be forgotten."""
    return UserErased(user_id=user_id, recorded_at=NOON)


def _with(url: str, use: Any) -> Any:
    async def opened() -> Any:
        log = open_event_log(url)
        try:
            return await use(log)
        finally:
            await log.close()

    return asyncio.run(opened())
