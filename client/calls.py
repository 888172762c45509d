"""Every operation of the API as a call that can be made. Knows paths and bodies; opens nothing."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

from client.encoding import Features, written
from client.models import (
    Interaction,
    InteractionsWritten,
    Model,
    RecommendationBatch,
    Recommendations,
    State,
    UserExport,
    UserFacts,
    Video,
    VideoBatch,
    VideoFacts,
    VideoList,
    VideoPage,
    VideoWritten,
    Written,
)
from client.options import (
    Asked,
    CatalogOptions,
    ReadOptions,
    TrendingOptions,
    UserOptions,
    VideoListOptions,
    WriteOptions,
)

T = TypeVar("T")

# Lists of everybody's have these paths: videos of these names are asked for in another spelling.
SHADOWED: Final = frozenset({"trending", "fresh"})


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request to make, and the kind of reply that it has. A write bears a key of its own."""

    reply: type[T]
    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: Any = None
    key: str | None = field(default=None)

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.key is None


def recommend(user_id: str, options: UserOptions) -> Call[Recommendations]:
    """GET /v1/users/{user_id}/recommendations."""
    return Call(
        Recommendations, "GET", f"/v1/users/{segment(user_id)}/recommendations", _query(options)
    )


def recommend_in_session(
    user_id: str | None, session: Sequence[Mapping[str, Any]], options: UserOptions
) -> Call[Recommendations]:
    """POST /v1/recommendations."""
    asked, query = _split(options)
    body = {**asked, "session": list(session)} | ({} if user_id is None else {"user_id": user_id})
    return Call(Recommendations, "POST", "/v1/recommendations", query, body)


def recommend_batch(requests: Iterable[Asked], options: ReadOptions) -> Call[RecommendationBatch]:
    """POST /v1/recommendations:batch."""
    body = {"requests": [dict(one) for one in requests]}
    return Call(RecommendationBatch, "POST", "/v1/recommendations:batch", _query(options), body)


def similar(video_id: str, options: VideoListOptions) -> Call[VideoList]:
    """GET /v1/videos/{video_id}/similar."""
    return Call(VideoList, "GET", f"/v1/videos/{segment(video_id)}/similar", _query(options))


def trending(options: TrendingOptions) -> Call[VideoList]:
    """GET /v1/videos/trending."""
    return Call(VideoList, "GET", "/v1/videos/trending", _query(options))


def fresh(options: VideoListOptions) -> Call[VideoList]:
    """GET /v1/videos/fresh."""
    return Call(VideoList, "GET", "/v1/videos/fresh", _query(options))


def videos(options: CatalogOptions) -> Call[VideoPage]:
    """GET /v1/videos."""
    return Call(VideoPage, "GET", "/v1/videos", _query(options))


def video(video_id: str, *, vector: bool, options: ReadOptions) -> Call[VideoFacts]:
    """GET /v1/videos/{video_id}."""
    more = (("vector", "true"),) if vector else ()
    return Call(VideoFacts, "GET", f"/v1/videos/{_video(video_id)}", (*more, *_query(options)))


def put_video(
    video_id: str, features: Features, metadata: Mapping[str, Any] | None, options: WriteOptions
) -> Call[VideoWritten]:
    """PUT /v1/videos/{video_id}."""
    body: dict[str, Any] = {"features": written(features)}
    body |= {} if metadata is None else {"metadata": dict(metadata)}
    return Call(VideoWritten, "PUT", f"/v1/videos/{_video(video_id)}", body=body, key=_key(options))


def patch_video(
    video_id: str,
    state: State | None,
    metadata: Mapping[str, Any] | None,
    options: WriteOptions,
) -> Call[VideoWritten]:
    """PATCH /v1/videos/{video_id}."""
    said = {"state": state, "metadata": None if metadata is None else dict(metadata)}
    body = {name: value for name, value in said.items() if value is not None}
    return Call(
        VideoWritten, "PATCH", f"/v1/videos/{_video(video_id)}", body=body, key=_key(options)
    )


def delete_video(video_id: str, options: WriteOptions) -> Call[Written]:
    """DELETE /v1/videos/{video_id}."""
    return Call(Written, "DELETE", f"/v1/videos/{_video(video_id)}", key=_key(options))


def put_videos(sent: Iterable[Video], options: WriteOptions) -> Call[VideoBatch]:
    """POST /v1/videos:batch."""
    body = {"videos": [row(one) for one in sent]}
    return Call(VideoBatch, "POST", "/v1/videos:batch", body=body, key=_key(options))


def record(met: Iterable[Interaction], options: WriteOptions) -> Call[InteractionsWritten]:
    """POST /v1/interactions."""
    rows = [{n: v for n, v in asdict(one).items() if v is not None} for one in met]
    body = {"interactions": rows}
    return Call(InteractionsWritten, "POST", "/v1/interactions", body=body, key=_key(options))


def user(user_id: str, options: ReadOptions) -> Call[UserFacts]:
    """GET /v1/users/{user_id}."""
    return Call(UserFacts, "GET", f"/v1/users/{segment(user_id)}", _query(options))


def export_user(user_id: str, options: ReadOptions) -> Call[UserExport]:
    """GET /v1/users/{user_id}/export."""
    return Call(UserExport, "GET", f"/v1/users/{segment(user_id)}/export", _query(options))


def erase_user(user_id: str, options: WriteOptions) -> Call[Written]:
    """DELETE /v1/users/{user_id}."""
    return Call(Written, "DELETE", f"/v1/users/{segment(user_id)}", key=_key(options))


def model(options: ReadOptions) -> Call[Model]:
    """GET /v1/model."""
    return Call(Model, "GET", "/v1/model", _query(options))


def row(video: Video) -> dict[str, Any]:
    """Return a video as one of many."""
    return {
        "video_id": video.video_id,
        "features": written(video.features),
        "metadata": dict(video.metadata),
    }


def segment(text: str) -> str:
    """Return an id for a path. Dots too are encoded: alone they would lead to other paths."""
    return quote(text, safe="").replace(".", "%2E")


def _video(video_id: str) -> str:
    if video_id in SHADOWED:
        return f"%{ord(video_id[0]):02X}{video_id[1:]}"
    return segment(video_id)


def _query(options: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return `options` for a query; lists repeat their name."""
    pairs: list[tuple[str, str]] = []
    for name, value in options.items():
        values = [value] if isinstance(value, str) or not isinstance(value, Sequence) else value
        pairs += [(name, _text(one)) for one in values if one is not None]
    return tuple(pairs)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _split(options: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[tuple[str, str], ...]]:
    """Return what of `options` goes into a body, and what into the query beside it."""
    asked = {n: v for n, v in options.items() if v is not None and n != "min_position"}
    return asked, _query({n: v for n, v in options.items() if n == "min_position"})


def _key(options: WriteOptions) -> str:
    return options.get("idempotency_key") or uuid.uuid4().hex
