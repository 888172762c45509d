"""The JSON that goes out."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from models.modality import Modality
from service.recommend.recommendation import Source

State = Literal["live", "hidden", "expired"]


class RecommendedVideo(BaseModel):
    """One place of a list."""

    video_id: str
    score: float
    source: Source


class NearestWatched(BaseModel):
    """A video that the user has watched, and the cosine of the recommended one with it."""

    video_id: str
    similarity: float


class Explained(BaseModel):
    """Why a video is in the list.

    `content` is what its content alone would score: `baseline`, what a video without any modality
    would, and the `contributions` of its modalities. `shares` are these as parts of all that is
    added or taken away. Null and empty where the user has no vector or features are not known.
    """

    content: float | None = None
    baseline: float | None = None
    contributions: dict[Modality, float] = {}
    shares: dict[Modality, float] = {}
    nearest: NearestWatched | None = None


class PersonalVideo(RecommendedVideo):
    """One place of a list for a user; `explanation` on request."""

    explanation: Explained | None = None


class UserRecommendations(BaseModel):
    """The list for a user, best first, and what it was answered from.

    `next_cursor` leads on to videos that were not shown yet; it is null at the end.
    """

    user_id: str | None
    bundle_id: str
    position: str
    recommendations: list[PersonalVideo]
    next_cursor: str | None


class RecommendationBatchReply(BaseModel):
    """Lists for many, in the order they were asked for."""

    bundle_id: str
    position: str
    results: list[UserRecommendations]


class SimilarVideos(BaseModel):
    """The videos like one video, best first, and what it was answered from."""

    video_id: str
    bundle_id: str
    position: str
    recommendations: list[RecommendedVideo]


class VideoList(BaseModel):
    """Videos for everybody, best first, and what it was answered from."""

    bundle_id: str
    position: str
    recommendations: list[RecommendedVideo]


class HistoryEntry(BaseModel):
    """A video that was met since the bundle: the last time, counted from 0, and its weight."""

    video_id: str
    place: int
    weight: float


class UserReply(BaseModel):
    """What is known of a user, in numbers.

    `seen` counts videos that are live now; `recorded_interactions` came since the bundle. `recent`
    are the last videos met since then, the latest first.
    """

    user_id: str
    known: bool
    trained_interactions: int
    recorded_interactions: int
    seen: int
    recent: list[HistoryEntry]
    bundle_id: str
    position: str


class UserExport(BaseModel):
    """All that answers are made of for one user."""

    user_id: str
    bundle_id: str
    position: str
    vector: list[float] | None
    trained_interactions: int
    seen_in_training: list[str]
    history: list[HistoryEntry]


class VideoReply(BaseModel):
    """What is known of a live video."""

    video_id: str
    metadata: dict[str, Any]
    state: State
    vector: list[float] | None = Field(
        None, description="The unit vector that lists are made with, (D,); on request."
    )
    bundle_id: str
    position: str


class ListedVideo(BaseModel):
    """A video of the catalog."""

    video_id: str
    metadata: dict[str, Any]
    state: State


class VideoPage(BaseModel):
    """Some of all videos, by id; `next_cursor` leads on, and is null at the end."""

    bundle_id: str
    position: str
    videos: list[ListedVideo]
    next_cursor: str | None


class VideoWritten(BaseModel):
    """The receipt of a video."""

    video_id: str
    position: str


class Written(BaseModel):
    """The receipt of a write."""

    position: str


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str = ""
    errors: list[dict[str, Any]] | None = None


class BatchResult(BaseModel):
    """What became of one video of a batch."""

    video_id: str | None
    status: int
    position: str | None = None
    problem: Problem | None = None


class BatchReply(BaseModel):
    """What became of each video, in the order they were sent."""

    results: list[BatchResult]


class InteractionResult(BaseModel):
    """Something to know about an accepted interaction, by its place in the request."""

    place: int
    note: str


class InteractionsWritten(BaseModel):
    """The receipt of interactions. `results` names those with something to know about them."""

    position: str
    accepted: int
    results: list[InteractionResult] = []


class QuarantinedEvent(BaseModel):
    """An event that could not be applied."""

    position: str
    fault: str


class IndexReply(BaseModel):
    """How the index was built, and the share of the 20 nearest that it found then."""

    kind: str
    recall_at_20: float


class Examples(BaseModel):
    """Some ids to ask for, far apart in the bundle."""

    users: list[str]
    videos: list[str]


class ModelReply(BaseModel):
    """The bundle that is served and the sizes of what is known now.

    `arrivals` are live videos that came, or came anew, since the bundle. `quarantined` counts the
    events since it that could not be applied; `quarantine` names the last of them.
    """

    bundle_id: str
    position: str
    created_at: str
    dataset: str
    vector_dim: int
    modalities: dict[str, int]
    videos: int
    users: int
    trained_videos: int
    arrivals: int
    index: IndexReply
    metrics: dict[str, Any]
    examples: Examples
    quarantined: int
    quarantine: list[QuarantinedEvent]


class Health(BaseModel):
    """A probe's answer."""

    status: Literal["live", "ready"]
