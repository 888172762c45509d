"""Reads an event log and makes a dataset of a base and of what has happened since.

Events are applied one after the other, in chunks: memory follows the dataset and the ids, not the
length of the log. What each kind of event does stands in docs/importing.md.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from eventlog.errors import EventLogError, LogReplaced, PositionTrimmed
from eventlog.events import (
    Event,
    InteractionRecorded,
    Kind,
    UserErased,
    VideoDeleted,
    VideoHidden,
    VideoRetold,
    VideoShown,
    VideoUpserted,
    decode,
)
from eventlog.log import Entry, open_event_log
from eventlog.position import Position
from models.ids import fault_in_id
from training.data.columns import Growing
from training.data.dataset import Dataset
from training.data.folder import LOG_POSITION, read_dataset
from training.data.importers.imported import Imported, Options
from training.data.importers.log_pairs import SEEN, TEST, TRAIN, VAL, WIDTH, Pairs, Settled
from training.data.importers.log_videos import Unfit, Videos
from training.errors import TrainingError

# Entries held at once; one with features takes up to 200 kB.
CHUNK: Final = 256
# Kinds that say that a user liked what they met; of the others nothing is learnt.
LIKED: Final[frozenset[Kind]] = frozenset(("view", "like", "share", "follow-through"))
NAMED_FAULTS: Final = 20


def read_log(url: str, options: Options) -> Imported:
    """Return the dataset that `options.base` and the log at `url` make.

    Raises:
        InvalidDataset: the base is no good dataset.
        TrainingError: the log cannot be read, or not from where the base ends.
    """
    if options.base is None:
        raise TrainingError("the format 'log' needs --base DATASET, what the log goes on from")
    base = read_dataset(options.base)
    since = Since(base)
    position = _read_all(url, base.log_position, options.base, since.take)
    return since.imported(position)


class Since:
    """A base and all that has happened since."""

    def __init__(self, base: Dataset) -> None:
        """Begin with nothing having happened."""
        self._base = base
        self._videos = Videos(base)
        self._users = Growing((user_id, row) for row, user_id in enumerate(base.user_ids))
        self._pairs = Pairs(base)
        self._erased: set[int] = set()
        self._read = 0
        self._faults: list[str] = []
        self._passed_over = 0

    def take(self, entries: list[Entry]) -> None:
        """Apply `entries`; one that cannot be is counted, named and passed over."""
        for entry in entries:
            self._read += 1
            try:
                self._apply(decode(entry.payload))
            except (msgspec.DecodeError, Unfit) as error:
                self._passed_over += 1
                if len(self._faults) < NAMED_FAULTS:
                    self._faults.append(f"passed over: the event at {entry.position}: {error}")

    def imported(self, position: Position) -> Imported:
        """Return the dataset as it is at `position`."""
        settled = self._pairs.settled()
        live = self._videos.live
        rows = np.full(len(self._videos.numbers), -1)
        rows[live] = np.arange(len(live))
        known = rows[settled.videos] >= 0
        unknown, settled = settled.at(~known), settled.at(known)
        used, users = np.unique(settled.users, return_inverse=True)
        ids, video_ids = [*self._users], [*self._videos.numbers]
        placed = Settled(users, rows[settled.videos], settled.parts)
        dataset = Dataset(
            name=self._base.name,
            user_ids=[ids[number] for number in used],
            video_ids=[video_ids[number] for number in live],
            train=placed.of(TRAIN),
            val=placed.of(VAL),
            test=placed.of(TEST),
            features=self._videos.features(),
            metadata=self._videos.metadata(),
            seen=placed.of(SEEN),
            hidden=self._videos.hidden,
            log_position=position,
        )
        notes = (
            f"read {self._read:,} events, up to position {position or 'START: the log is empty'}",
            self._video_note(dataset),
            self._interaction_note(settled, unknown),
            self._user_note(set(used.tolist())),
            *self._fault_notes(),
        )
        return Imported(dataset, notes=notes)

    def _apply(self, event: Event) -> None:
        match event:
            case InteractionRecorded():
                user = _number(self._users, event.user_id, "user_id")
                video = _number(self._videos.numbers, event.video_id, "video_id")
                self._pairs.met(user, video, liked=event.kind in LIKED)
            case UserErased():
                self._erase(event.user_id)
            case VideoUpserted():
                _number(self._videos.numbers, event.video_id, "video_id")
                self._videos.put(event)
            case VideoDeleted():
                video = _number(self._videos.numbers, event.video_id, "video_id")
                self._videos.delete(video)
                self._pairs.forget_video(video)
            case VideoRetold():
                video = _number(self._videos.numbers, event.video_id, "video_id")
                self._videos.retell(video, event.metadata)
            case VideoHidden() | VideoShown():
                video = _number(self._videos.numbers, event.video_id, "video_id")
                self._videos.hide(video, hidden=isinstance(event, VideoHidden))

    def _erase(self, user_id: str) -> None:
        if user_id in self._users:
            user = self._users[user_id]
            self._pairs.forget_user(user)
            self._erased.add(user)

    def _video_note(self, dataset: Dataset) -> str:
        live = self._videos.live
        kept = int(np.count_nonzero(live < self._base.videos))
        return (
            f"videos: {len(live) - kept:,} added, {self._videos.replaced:,} replaced, "
            f"{self._base.videos - kept:,} deleted; {len(dataset.hidden):,} are hidden"
        )

    def _interaction_note(self, settled: Settled, unknown: Settled) -> str:
        base = self._base
        known = base.train.joined(base.val).joined(base.test).joined(base.seen).keys(WIDTH)
        keys = settled.users * WIDTH + settled.videos
        places = np.searchsorted(known, keys)
        added = settled.parts[np.append(known, -1)[places] != keys]
        learnt = int(np.count_nonzero(added == TRAIN))
        text = f"interactions: {learnt:,} added to train, {len(added) - learnt:,} only as seen"
        count, which = len(unknown.videos), len(np.unique(unknown.videos))
        return f"{text}, {count:,} with {which:,} unknown videos left out" if count else text

    def _user_note(self, used: set[int]) -> str:
        added = sum(number >= self._base.users for number in used)
        bare = self._base.users - (len(used) - added)
        bare -= sum(number < self._base.users and number not in used for number in self._erased)
        text = f"users: {added:,} added, {len(self._erased):,} erased"
        return f"{text}, {bare:,} left out who met nothing that is left" if bare else text

    def _fault_notes(self) -> list[str]:
        more = self._passed_over - len(self._faults)
        notes = [f"passed over: {self._passed_over:,} events", *self._faults]
        return [*notes, f"passed over: {more:,} more"] if more else notes


def _number(numbers: Growing, text: str, what: str) -> int:
    """Return the number of an id, which is given one if it is new."""
    if text not in numbers:
        fault = fault_in_id(text)
        if fault:
            raise Unfit(f"{what} {text[:80]!r} {fault}")
    return numbers[text]


def _read_all(
    url: str, after: Position, base: Path, take: Callable[[list[Entry]], None]
) -> Position:
    """Hand all entries behind `after` to `take`, and return the position of the last one.

    Raises:
        TrainingError: they cannot be read, or some of them are gone.
    """
    header = base / "dataset.json"
    scheme, _, path = url.partition(":///")
    # It would be made, and would be empty.
    if scheme == "sqlite" and not Path(path).is_file():
        raise TrainingError(f"there is no event log at {path}")
    try:
        return asyncio.run(_read(url, after, take))
    except PositionTrimmed as error:
        raise TrainingError(
            f"{error}: the log no longer has all that happened since {base}. Take the dataset that "
            "was made from this log last as --base; to go on without what is gone, put the "
            f"position up to which it is into {header} as {LOG_POSITION!r}"
        ) from error
    except LogReplaced as error:
        raise TrainingError(
            f"{error}: {base} was made from another log. Name that one; if it is no more, and this "
            f"one goes on in its place, take {LOG_POSITION!r} out of {header} to read it from its "
            "start"
        ) from error
    except EventLogError as error:
        raise TrainingError(str(error)) from error


async def _read(url: str, after: Position, take: Callable[[list[Entry]], None]) -> Position:
    log = open_event_log(url)
    try:
        head, position = await log.head(), after
        # Read even if nothing is new: a position of another log is noticed.
        while entries := await log.read(position, CHUNK):
            wanted = [entry for entry in entries if entry.position <= head]
            if not wanted:
                break
            take(wanted)
            position = wanted[-1].position
        return position
    finally:
        await log.close()
