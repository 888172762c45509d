"""From a video that was sent to what is recorded of it, or why not. Knows the bundle's network."""

from collections.abc import Sequence
from typing import Any

from eventlog.events import VideoUpserted
from service.api.decoding import Refused, SentVideo
from service.api.problems import invalid_input, list_faults, told
from service.catalog.fusing import Fuser
from service.errors import Fault


def judged(fuser: Fuser, sent: Sequence[SentVideo | Refused]) -> list[SentVideo | Refused]:
    """Return `sent`, with those that the bundle's network cannot take refused too."""
    faults = iter(fuser.faults([one.features for one in sent if isinstance(one, SentVideo)]))
    found: list[SentVideo | Refused] = []
    for one in sent:
        unfit = next(faults) if isinstance(one, SentVideo) else []
        if unfit:
            found.append(Refused(one.video_id, list_faults(named(unfit, "features"))))
        else:
            found.append(one)
    return found


def named(faults: Sequence[Fault], place: str) -> list[Fault]:
    """Return `faults` in features with the whole names of their fields, below `place`."""
    return [one._replace(field=".".join(filter(None, [place, one.field]))) for one in faults]


def row_problem(place: str, refused: Refused) -> dict[str, Any]:
    """Return the problem of a video that was `refused` among others; `place` says which it is."""
    return invalid_input(f"{place}: {told(refused.errors[0])}", refused.errors)


def upsert(sent: SentVideo, now: float) -> VideoUpserted:
    """Return the event that a video which was `sent` is recorded as."""
    return VideoUpserted(
        video_id=sent.video_id,
        features=sent.features,
        metadata=sent.metadata,
        recorded_at=now,
    )
