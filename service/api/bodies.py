"""The JSON that comes in. Strict: nothing is coerced, nothing unknown let through."""

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
