"""The JSON that comes in and goes out. Strict: nothing is coerced, nothing unknown let through."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from eventlog.events import Kind
from models.ids import fault_in_id
from models.modality import Modality
from service.api.encoded import LARGEST_FLOAT32, MAX_CHARACTERS, MAX_WIDTH, DType, decode_row
from service.recommend.recommendation import Source

MAX_BATCH: Final = 1000
LATEST_SECOND: Final = 1e11


def _id(text: str) -> str:
    fault = fault_in_id(text)
    if fault:
        raise ValueError(fault)
    return text


def check_moment(text: str) -> str:
    """Return `text` if it is a time with an offset."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("expected an ISO 8601 time") from None
    if moment.tzinfo is None:
        raise ValueError("expected an ISO 8601 time with an offset, as in 2026-01-31T12:00:00Z")
    return text


def _seconds(value: Any) -> Any:
    """Turn an ISO 8601 text into seconds; leave all else to the validation that follows."""
    if not isinstance(value, str):
        return value
    return datetime.fromisoformat(check_moment(value)).timestamp()


def _flag(value: Any) -> Any:
    """Refuse what pydantic would take for a yes or no in a query: on, 1, y."""
    if isinstance(value, str) and value not in {"true", "false"}:
        raise PydanticCustomError("flag", "expected true or false")
    return value


Flag = Annotated[bool, BeforeValidator(_flag)]
Id = Annotated[
    str,
    AfterValidator(_id),
    Field(
        description="Non-empty UTF-8, at most 512 bytes, no control characters.",
        json_schema_extra={
            "minLength": 1,
            "maxLength": 512,
            "pattern": r"^[^\x00-\x1f\x7f-\x9f]+$",
        },
    ),
]
Moment = Annotated[
    str,
    Field(max_length=40, json_schema_extra={"format": "date-time"}),
    AfterValidator(check_moment),
]
Float32 = Annotated[float, Field(ge=-LARGEST_FLOAT32, le=LARGEST_FLOAT32, allow_inf_nan=False)]
Tag = Annotated[str, Field(min_length=1, max_length=100)]
Seconds = Annotated[
    float,
    BeforeValidator(_seconds, json_schema_input_type=float | Moment),
    Field(ge=0, le=LATEST_SECOND, allow_inf_nan=False, description="Unix seconds or ISO 8601."),
]


State = Literal["live", "hidden", "expired"]


class Strict(BaseModel):
    """The root of what clients send."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class EncodedRow(Strict):
    """The numbers of a modality as base64 of their little-endian bytes (RFC 4648, padded)."""

    dtype: DType
    data: Annotated[str, Field(min_length=4, max_length=MAX_CHARACTERS)]

    @field_validator("data", mode="after")
    @classmethod
    def _holds_numbers(cls, data: str, info: ValidationInfo) -> str:
        if "dtype" in info.data:
            decode_row(info.data["dtype"], data)
        return data


def _numbers(value: Any) -> Any:
    """Turn encoded numbers into a list; leave all else to the validation that follows."""
    if not isinstance(value, dict):
        return value
    row = EncodedRow.model_validate(value)
    return decode_row(row.dtype, row.data).tolist()


NumberRow = Annotated[list[Float32], Field(min_length=1, max_length=MAX_WIDTH)]
FeatureRow = Annotated[
    NumberRow, BeforeValidator(_numbers, json_schema_input_type=NumberRow | EncodedRow)
]


class Metadata(Strict):
    """What is known of a video beside its features."""

    title: Annotated[str, Field(max_length=1000)] | None = None
    tags: Annotated[list[Tag], Field(max_length=100)] | None = None
    uploader: Annotated[str, Field(max_length=512)] | None = None
    language: Annotated[str, Field(max_length=35)] | None = None
    published_at: Moment | None = None
    expires_at: Moment | None = None


class VideoBody(Strict):
    """A video to add or replace: raw features as extracted. An all-zero modality is absent."""

    features: Annotated[dict[Modality, FeatureRow], Field(min_length=1)]
    metadata: Metadata = Metadata()


class VideoPatch(Strict):
    """What is another now of a video: whether it may be recommended, what is told of it, or both.

    Metadata that is not named stays; null takes away.
    """

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    # What is left out is told by `model_fields_set`, so that a null is refused.
    state: Literal["live", "hidden"] = Field(default_factory=lambda: "live")
    metadata: Metadata = Field(default_factory=Metadata)

    @model_validator(mode="after")
    def _says_something(self) -> "VideoPatch":
        if not self.model_fields_set:
            raise PydanticCustomError("nothing_to_change", "expected state, metadata or both")
        return self


class BatchVideo(VideoBody):
    """A video of a batch."""

    video_id: Id


class VideoBatch(Strict):
    """Videos to add or replace. Each is checked by itself: a bad one does not stop the others."""

    videos: Annotated[list[Any], Field(min_length=1, max_length=MAX_BATCH)] = Field(
        json_schema_extra={"items": {"$ref": "#/components/schemas/BatchVideo"}}
    )


class InteractionBody(Strict):
    """One user met one video."""

    user_id: Id
    video_id: Id
    kind: Kind
    timestamp: Seconds | None = None


class InteractionBatch(Strict):
    """Interactions, recorded all or none."""

    interactions: Annotated[list[InteractionBody], Field(min_length=1, max_length=MAX_BATCH)]


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
