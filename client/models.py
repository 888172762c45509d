"""What is sent and what comes back, as plain records. Knows the API's words; nothing of HTTP."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from client.encoding import Features

Kind = Literal["view", "like", "share", "follow-through", "skip", "dislike"]
State = Literal["live", "hidden"]


@dataclass(frozen=True, kw_only=True)
class Video:
    """A video to bring: its features by modality, and what is told of it."""

    video_id: str
    features: Features
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Interaction:
    """One user met one video; `timestamp` in Unix seconds or ISO 8601, now if left out."""

    user_id: str
    video_id: str
    kind: Kind
    timestamp: float | str | None = None


@dataclass(frozen=True, kw_only=True)
class Nearest:
    """The video the user has watched that a recommended one is most like."""

    video_id: str
    similarity: float


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What the content of a video adds to its score, as a whole and by modality."""

    content: float | None = None
    baseline: float | None = None
    contributions: Mapping[str, float] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    nearest: Nearest | None = None


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """One place of a list; `source` tells where the suggestion comes from."""

    video_id: str
    score: float
    source: str
    explanation: Explanation | None = None


@dataclass(frozen=True, kw_only=True)
class VideoList:
    """Videos, best first, and what was answered from."""

    bundle_id: str
    position: str
    recommendations: tuple[Recommendation, ...]


@dataclass(frozen=True, kw_only=True)
class Recommendations(VideoList):
    """Videos for one user; `next_cursor` leads on to those not shown yet."""

    user_id: str | None = None
    next_cursor: str | None = None


@dataclass(frozen=True, kw_only=True)
class RecommendationBatch:
    """Lists for many, in the order they were asked for."""

    bundle_id: str
    position: str
    results: tuple[Recommendations, ...]


@dataclass(frozen=True, kw_only=True)
class VideoFacts:
    """What is known of a video."""

    video_id: str
    metadata: Mapping[str, Any]
    state: str
    bundle_id: str
    position: str
    vector: tuple[float, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class ListedVideo:
    """A video of the catalog."""

    video_id: str
    metadata: Mapping[str, Any]
    state: str


@dataclass(frozen=True, kw_only=True)
class VideoPage:
    """Some of all videos, by id; `next_cursor` leads on, and is None at the end."""

    bundle_id: str
    position: str
    videos: tuple[ListedVideo, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, kw_only=True)
class Written:
    """The receipt of a write: its place in the event log."""

    position: str


@dataclass(frozen=True, kw_only=True)
class VideoWritten(Written):
    """The receipt of a video."""

    video_id: str


@dataclass(frozen=True, kw_only=True)
class BatchResult:
    """What became of one video of a batch: 201 new, 200 replaced, else with a problem."""

    video_id: str | None
    status: int
    position: str | None = None
    problem: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class VideoBatch:
    """What became of each video, in the order they were sent."""

    results: tuple[BatchResult, ...]

    @property
    def position(self) -> str:
        """Where the last of them is in the event log; empty if none was taken."""
        return max((one.position for one in self.results if one.position), default="")


@dataclass(frozen=True, kw_only=True)
class Note:
    """Something to know about an accepted interaction, by its place in the request."""

    place: int
    note: str


@dataclass(frozen=True, kw_only=True)
class InteractionsWritten(Written):
    """The receipt of interactions."""

    accepted: int
    results: tuple[Note, ...] = ()


@dataclass(frozen=True, kw_only=True)
class HistoryEntry:
    """A video that was met since the bundle, in the order of `place`, and its weight."""

    video_id: str
    place: int
    weight: float


@dataclass(frozen=True, kw_only=True)
class UserFacts:
    """What is known of a user: numbers, and the last videos met, the latest first."""

    user_id: str
    known: bool
    trained_interactions: int
    recorded_interactions: int
    seen: int
    recent: tuple[HistoryEntry, ...]
    bundle_id: str
    position: str


@dataclass(frozen=True, kw_only=True)
class UserExport:
    """All that answers are made of for one user."""

    user_id: str
    bundle_id: str
    position: str
    trained_interactions: int
    seen_in_training: tuple[str, ...]
    history: tuple[HistoryEntry, ...]
    vector: tuple[float, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Model:
    """The bundle that is served and the sizes of what is known now."""

    bundle_id: str
    position: str
    created_at: str
    dataset: str
    vector_dim: int
    modalities: Mapping[str, int]
    videos: int
    users: int
    trained_videos: int
    metrics: Mapping[str, Any]
    quarantined: int


@dataclass(frozen=True, kw_only=True)
class RejectedLine:
    """A line of an import that is no video, counted from 1; the others go on."""

    line: int
    video_id: str | None
    problem: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ImportProgress:
    """All videos up to `lines` are done with, for good."""

    lines: int = 0
    accepted: int = 0
    rejected: int = 0
    position: str = ""
    degraded: str | None = None
