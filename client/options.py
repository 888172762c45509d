"""What may be asked of lists and writes, as keywords. Knows names and types; checks nothing."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from client.models import Kind


class ReadOptions(TypedDict, total=False):
    """Options of every read: answer from this position of the event log or later."""

    min_position: str


class FilterOptions(ReadOptions, total=False):
    """How long a list is and what is told of its videos."""

    k: int
    tags_any: Sequence[str]
    tags_all: Sequence[str]
    tags_none: Sequence[str]
    uploader: str
    language: str
    published_after: str
    published_before: str


class CatalogOptions(FilterOptions, total=False):
    """A part of all videos."""

    cursor: str


class ListOptions(FilterOptions, total=False):
    """Which videos may be in a list beside."""

    exclude: Sequence[str]


class VideoListOptions(ListOptions, total=False):
    """Options of a list that is for everybody, or for one who has seen some."""

    user_id: str


class TrendingOptions(VideoListOptions, total=False):
    """How far back is looked, and at what."""

    window: Literal["hour", "day", "week"]
    kind: Sequence[Kind]


class UserOptions(ListOptions, total=False):
    """Options of a list that is for one user."""

    exclude_uploader: Literal["self"]
    diversity: float
    explore: float
    seed: int
    cursor: str
    explain: bool
    paged: bool


class Asked(UserOptions, total=False):
    """One list of a batch; each of the session is `{"video_id": …, "kind": …}`, oldest first."""

    user_id: str | None
    session: Sequence[Mapping[str, Any]]


class WriteOptions(TypedDict, total=False):
    """Options of every write: its name, so that it is recorded once. One is made up otherwise."""

    idempotency_key: str
