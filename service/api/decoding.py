"""Reads videos out of bodies. Knows JSON, float32 and what clients may say; nothing of bundles.

A body in which all is well is read by msgspec, straight into numbers. Any other is read again by
pydantic, the one that says what is wrong: both take the same bodies (tests compare them).
"""

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, NamedTuple

import msgspec
import numpy as np
from fastapi.exceptions import RequestValidationError
from msgspec import Meta
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

from models.ids import fault_in_id
from models.modality import Modality
from service.api.bodies import MAX_BATCH, BatchVideo, Metadata, VideoBatch, VideoBody
from service.api.encoded import (
    MAX_CHARACTERS,
    MAX_WIDTH,
    DType,
    unchecked_row,
    within_float32,
)
from service.api.problems import describe_faults, list_faults
from service.errors import Fault

# Near the end of float32 pydantic decides, in double precision.
LARGEST_PLAIN: Final = 3e38


class SentVideo(NamedTuple):
    """A video that only a bundle may refuse now. `features[m]` are little-endian float32 bytes."""

    video_id: str
    features: dict[str, bytes]
    metadata: dict[str, Any]


class Refused(NamedTuple):
    """A video of a batch that cannot be taken: its id, if it can be sent back, and why."""

    video_id: str | None
    errors: list[dict[str, str]]


Row = Annotated[list[float], Meta(min_length=1, max_length=MAX_WIDTH)]


class _Encoded(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    dtype: DType
    data: Annotated[str, Meta(max_length=MAX_CHARACTERS)]


class _Video(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, gc=False):
    features: Annotated[dict[Modality, Row | _Encoded], Meta(min_length=1)]
    metadata: dict[str, Any] = {}


class _BatchVideo(_Video, forbid_unknown_fields=True, kw_only=True, gc=False):
    video_id: str


class _Batch(msgspec.Struct, forbid_unknown_fields=True):
    videos: Annotated[list[_BatchVideo], Meta(min_length=1, max_length=MAX_BATCH)]


_video_decoder: Final = msgspec.json.Decoder(_Video)
_line_decoder: Final = msgspec.json.Decoder(_BatchVideo)
_batch_decoder: Final = msgspec.json.Decoder(_Batch)
_video: Final = TypeAdapter(VideoBody)
_batch: Final = TypeAdapter(VideoBatch)
_batch_video: Final = TypeAdapter(BatchVideo)
# What is no plain body: other JSON, numbers beyond float32, ids and metadata with a fault.
_DOUBTS: Final = (msgspec.DecodeError, ValueError, OverflowError, RecursionError)


def read_video(body: bytes, video_id: str) -> SentVideo:
    """Return the video that `body` holds.

    Raises:
        RequestValidationError: names each fault.
        HTTPException: 400, it cannot be parsed.
    """
    try:
        read = _video_decoder.decode(body)
        return _plain([(video_id, read)])[0]
    except _DOUBTS:
        return _sent(video_id, _validated(_video, _parsed(body)))


def read_batch(body: bytes) -> Sequence[SentVideo | Refused]:
    """Return the videos that `body` holds, each by itself good or refused.

    Raises:
        RequestValidationError: it is no batch; names each fault.
        HTTPException: 400, it cannot be parsed.
    """
    try:
        videos = _batch_decoder.decode(body).videos
        if any(fault_in_id(video.video_id) for video in videos):
            raise ValueError("an id has a fault")
        return _plain([(video.video_id, video) for video in videos])
    except _DOUBTS:
        batch: VideoBatch = _validated(_batch, _parsed(body))
        return [_each(raw) for raw in batch.videos]


def read_lines(lines: Sequence[bytes]) -> list[SentVideo | Refused | None]:
    """Return the video that each of `lines` holds, good or refused by itself; None of a blank."""
    try:
        videos = [_line_decoder.decode(line) for line in lines]
        if any(fault_in_id(video.video_id) for video in videos):
            raise ValueError("an id has a fault")
        return list(_plain([(video.video_id, video) for video in videos]))
    except _DOUBTS:
        return [_line(line) for line in lines]


def _line(line: bytes) -> SentVideo | Refused | None:
    if not line.strip():
        return None
    try:
        video = _line_decoder.decode(line)
        if not fault_in_id(video.video_id):
            return _plain([(video.video_id, video)])[0]
    except _DOUBTS:
        pass  # pydantic finds out what it is
    try:
        return _each(json.loads(line))
    except (ValueError, RecursionError):
        return Refused(
            None, list_faults([Fault("", "a JSON object on one line", "something else")])
        )


def _plain(videos: Sequence[tuple[str, _Video]]) -> list[SentVideo]:
    """Turn `videos` with their ids into what was sent.

    Raises:
        OverflowError: a number is beyond float32.
        ValueError: one is nearly so, what is encoded has a fault, or metadata has.
    """
    sent = [
        SentVideo(
            video_id,
            {str(name): _packed(row) for name, row in video.features.items()},
            _told(Metadata.model_validate(video.metadata)) if video.metadata else {},
        )
        for video_id, video in videos
    ]
    numbers = np.frombuffer(b"".join(raw for one in sent for raw in one.features.values()), "<f4")
    if not within_float32(numbers, LARGEST_PLAIN):
        raise ValueError("a number is near the end of float32, or encoded and not finite")
    return sent


def _each(raw: Any) -> SentVideo | Refused:
    try:
        video = _batch_video.validate_python(raw)
    except ValidationError as error:
        named = raw.get("video_id") if isinstance(raw, dict) else None
        # Text that could not be sent back (a lone surrogate, say) is left out.
        video_id = named[:512] if isinstance(named, str) and named.isprintable() else None
        faults = error.errors(include_url=False, include_context=False)
        return Refused(video_id, describe_faults(faults))
    return _sent(video.video_id, video)


def _sent(video_id: str, video: VideoBody) -> SentVideo:
    features = {str(name): _packed(row) for name, row in video.features.items()}
    return SentVideo(video_id, features, _told(video.metadata))


def _packed(row: Sequence[float] | _Encoded) -> bytes:
    if isinstance(row, _Encoded):
        return unchecked_row(row.dtype, row.data)
    return struct.pack(f"<{len(row)}f", *row)


def _told(metadata: Metadata) -> dict[str, Any]:
    return metadata.model_dump(exclude_none=True)


def _parsed(body: bytes) -> Any:
    """Return the JSON in `body`, faults as FastAPI reports them."""
    if not body:
        raise RequestValidationError([_fault("missing", ("body",), "Field required", None)])
    try:
        return json.loads(body)
    except json.JSONDecodeError as error:
        fault = _fault("json_invalid", ("body", error.pos), "JSON decode error", {})
        raise RequestValidationError([{**fault, "ctx": {"error": error.msg}}]) from error
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "There was an error parsing the body") from error


def _validated(adapter: TypeAdapter[Any], value: Any) -> Any:
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        raise RequestValidationError(
            [{**fault, "loc": ("body", *fault["loc"])} for fault in faults]
        ) from error


def _fault(kind: str, place: tuple[str | int, ...], message: str, found: Any) -> dict[str, Any]:
    return {"type": kind, "loc": place, "msg": message, "input": found}


def body_schemas() -> Mapping[str, Any]:
    """Return the schemas of what is read here, by name, for OpenAPI: no route declares them."""
    models: tuple[type[BaseModel], ...] = (VideoBody, VideoBatch, BatchVideo)
    _, found = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    schemas: dict[str, Any] = found["$defs"]
    return schemas


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """Return what OpenAPI says of a route that reads a body of `model` here."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
