"""From a video that was sent to what is recorded of it, or why not. Knows the bundle's network."""

from collections.abc import Sequence
from typing import Any

from eventlog.events import VideoUpserted
from service.api.decoding import Refused, SentVideo
from service.api.problems import list_faults
from service.catalog.fusing import Fuser
from service.errors import InvalidInput


def judged(fuser: Fuser, sent: Sequence[SentVideo | Refused]) -> list[SentVideo | Refused]:
    """Return `sent`, with those that the bundle's network cannot take refused too."""
    faults = iter(fuser.faults([one.features for one in sent if isinstance(one, SentVideo)]))
    found: list[SentVideo | Refused] = []
    for one in sent:
        unfit = next(faults) if isinstance(one, SentVideo) else []
        if unfit:
            errors = list_faults(InvalidInput(named(unfit, "features")))
            found.append(Refused(one.video_id, errors))
        else:
            found.append(one)
    return found


def named(faults: Sequence[tuple[str, str]], place: str) -> list[tuple[str, str]]:
    """Return `faults` in features with the whole names of their fields, below `place`."""
    return [(".".join(filter(None, [place, field])), fault) for field, fault in faults]


def row_problem(place: str, refused: Refused) -> dict[str, Any]:
    """Return the problem of a video that was `refused` among others; `place` says which it is."""
    first = refused.errors[0]
    detail = f"{place}: {first['field']}: {first['expected']}"
    return {
        "type": "about:blank",
        "title": "Invalid input",
        "status": 422,
        "detail": detail,
        "errors": refused.errors,
    }


def upsert(sent: SentVideo, now: float) -> VideoUpserted:
    """Return the event that a video which was `sent` is recorded as."""
    return VideoUpserted(
        video_id=sent.video_id,
        features=sent.features,
        metadata=sent.metadata,
        recorded_at=now,
    )
