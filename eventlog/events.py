"""The events and their encoding. Knows what happened; not where it is kept or what follows."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import msgspec

Kind = Literal["view", "like", "share", "follow-through", "skip", "dislike"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class VideoUpserted(
    msgspec.Struct, frozen=True, tag="video_upserted", kw_only=True, omit_defaults=True
):
    """A video arrived or was replaced. `features[m]` are raw little-endian float32 bytes.

    Raw features, not vectors: a new bundle with another network fuses the same arrivals again.
    `trace` is the W3C traceparent of the request that sent it, where that is traced.
    """

    video_id: str
    features: dict[str, bytes]
    metadata: dict[str, Any]
    recorded_at: float
    trace: str = ""


class VideoDeleted(msgspec.Struct, frozen=True, tag="video_deleted", kw_only=True):
    """A video is gone."""

    video_id: str
    recorded_at: float


class VideoHidden(msgspec.Struct, frozen=True, tag="video_hidden", kw_only=True):
    """A video must not be recommended until it is shown again; what is known of it stays."""

    video_id: str
    recorded_at: float


class VideoShown(msgspec.Struct, frozen=True, tag="video_shown", kw_only=True):
    """A hidden video may be recommended again."""

    video_id: str
    recorded_at: float


class VideoRetold(msgspec.Struct, frozen=True, tag="video_retold", kw_only=True):
    """Some metadata of a video is another now; a null takes away, what is not named stays."""

    video_id: str
    metadata: dict[str, Any]
    recorded_at: float


class InteractionRecorded(msgspec.Struct, frozen=True, tag="interaction_recorded", kw_only=True):
    """A user met a video. `timestamp` is when, in seconds, as the client said it."""

    user_id: str
    video_id: str
    kind: Kind
    timestamp: float
    recorded_at: float


class UserErased(msgspec.Struct, frozen=True, tag="user_erased", kw_only=True):
    """All that is known of a user is to be forgotten: vector and history, now and in training."""

    user_id: str
    recorded_at: float


Event = (
    VideoUpserted
    | VideoDeleted
    | VideoHidden
    | VideoShown
    | VideoRetold
    | InteractionRecorded
    | UserErased
)


def merged(metadata: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Return `metadata` with what a `VideoRetold` has told."""
    return {name: value for name, value in {**metadata, **told}.items() if value is not None}


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Event)


def encode(event: Event) -> bytes:
    """Return the event as MessagePack."""
    return _encoder.encode(event)


def decode(payload: bytes) -> Event:
    """Return the event in `payload`.

    Raises:
        msgspec.DecodeError: the payload is no event this program knows.
    """
    try:
        event: Event = _decoder.decode(payload)
    except (UnicodeDecodeError, TypeError) as error:
        # Text that is no UTF-8, or a payload that is no bytes at all.
        raise msgspec.DecodeError(str(error)) from error
    return event
