"""The client that waits for its replies. Knows httpx; what is said is decided elsewhere."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import httpx

from client import calls, importing, wire
from client.calls import Call
from client.encoding import Features
from client.errors import Problem, RecommenderError, Unreachable
from client.importing import Told, Window
from client.models import (
    ImportProgress,
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
from client.retrying import Retries

T = TypeVar("T")


class Client:
    """Asks one service. May be shared by threads; close it, or use it in a `with` block.

    Every method raises `Problem` where the service refuses, `Unreachable` where no answer comes,
    both after the retries that the call allows.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout: float = wire.SECONDS,
        retries: Retries | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Ask the service at `url`, with a key if it wants one; `timeout` seconds for each step."""
        self._http = httpx.Client(
            base_url=url, headers=wire.headers(api_key), timeout=timeout, transport=transport
        )
        self._retries = retries or Retries()
        self._memory: wire.Memory | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections, those of its sessions too."""
        self._http.close()

    def session(self) -> "Client":
        """Return a client over the same connections whose reads see its own writes, everywhere."""
        session = object.__new__(type(self))
        session._http, session._retries = self._http, self._retries
        session._memory = wire.Memory()
        return session

    def recommend(self, user_id: str, **options: Unpack[UserOptions]) -> Recommendations:
        """Return the best videos that a user has not met."""
        return self._send(calls.recommend(user_id, options))

    def recommend_in_session(
        self,
        session: Sequence[Mapping[str, Any]],
        *,
        user_id: str | None = None,
        **options: Unpack[UserOptions],
    ) -> Recommendations:
        """Return the same for somebody who has met the videos of a `session`, oldest first.

        Each is `{"video_id": …, "kind": …}`. Nothing of it is recorded.
        """
        return self._send(calls.recommend_in_session(user_id, session, options))

    def recommend_batch(
        self, requests: Iterable[Asked], **options: Unpack[ReadOptions]
    ) -> RecommendationBatch:
        """Return lists for many at once, all from one position."""
        return self._send(calls.recommend_batch(requests, options))

    def similar(self, video_id: str, **options: Unpack[VideoListOptions]) -> VideoList:
        """Return the videos most like one."""
        return self._send(calls.similar(video_id, options))

    def trending(self, **options: Unpack[TrendingOptions]) -> VideoList:
        """Return what found most users of late."""
        return self._send(calls.trending(options))

    def fresh(self, **options: Unpack[VideoListOptions]) -> VideoList:
        """Return what arrived since the bundle, the latest first."""
        return self._send(calls.fresh(options))

    def videos(self, **options: Unpack[CatalogOptions]) -> VideoPage:
        """Return one page of all videos, by id."""
        return self._send(calls.videos(options))

    def video(
        self, video_id: str, *, vector: bool = False, **options: Unpack[ReadOptions]
    ) -> VideoFacts:
        """Return what is known of a video, with its vector if wanted."""
        return self._send(calls.video(video_id, vector=vector, options=options))

    def put_video(
        self,
        video_id: str,
        features: Features,
        metadata: Mapping[str, Any] | None = None,
        **options: Unpack[WriteOptions],
    ) -> VideoWritten:
        """Add a video or replace it. Arrays among `features` are sent as base64 of float32."""
        return self._send(calls.put_video(video_id, features, metadata, options))

    def patch_video(
        self,
        video_id: str,
        *,
        state: State | None = None,
        metadata: Mapping[str, Any] | None = None,
        **options: Unpack[WriteOptions],
    ) -> VideoWritten:
        """Hide a video or show it again, change what is told of it (None takes away), or both."""
        return self._send(calls.patch_video(video_id, state, metadata, options))

    def delete_video(self, video_id: str, **options: Unpack[WriteOptions]) -> Written:
        """Delete a video; one that is not there is no error."""
        return self._send(calls.delete_video(video_id, options))

    def put_videos(self, videos: Iterable[Video], **options: Unpack[WriteOptions]) -> VideoBatch:
        """Add or replace up to 1,000 videos; each bad one is told by itself."""
        return self._send(calls.put_videos(videos, options))

    def record(
        self, interactions: Iterable[Interaction], **options: Unpack[WriteOptions]
    ) -> InteractionsWritten:
        """Record up to 1,000 interactions, all or none."""
        return self._send(calls.record(interactions, options))

    def user(self, user_id: str, **options: Unpack[ReadOptions]) -> UserFacts:
        """Return what is known of a user, in numbers."""
        return self._send(calls.user(user_id, options))

    def export_user(self, user_id: str, **options: Unpack[ReadOptions]) -> UserExport:
        """Return all that answers are made of for a user."""
        return self._send(calls.export_user(user_id, options))

    def erase_user(self, user_id: str, **options: Unpack[WriteOptions]) -> Written:
        """Forget a user, here, on every replica and in the next training."""
        return self._send(calls.erase_user(user_id, options))

    def model(self, **options: Unpack[ReadOptions]) -> Model:
        """Return the bundle that is served and the sizes of what is known now."""
        return self._send(calls.model(options))

    def import_videos(self, videos: Iterable[Video]) -> Iterator[Told]:
        """Bring any number of videos; yield what becomes of them while they go.

        Nothing is sent before the first step of the iteration. After a cut it goes on behind the
        last video that was told of.
        """
        done = ImportProgress()
        for lines in importing.windows(videos):
            window = Window(lines, done)
            yield from self._bring(window)
            done = window.done

    def _bring(self, window: Window) -> Iterator[Told]:
        attempt = 0
        while window.left:
            before = window.done
            try:
                yield from self._bring_once(window)
                failure = window.fault()
            except httpx.TransportError as error:
                failure = Unreachable(str(error) or type(error).__name__)
            attempt = 1 if window.done != before else attempt + 1
            if failure is not None:
                time.sleep(self._pause(failure, attempt))

    def _bring_once(self, window: Window) -> Iterator[Told]:
        with self._http.stream(
            "POST",
            importing.PATH,
            content=window.begin(),
            headers={"content-type": wire.NDJSON},
            timeout=importing.SECONDS,
        ) as response:
            if not response.is_success:
                response.read()
                window.refuse(Problem(response))
                return
            for text in response.iter_lines():
                yield from window.take(text)

    def _send(self, call: Call[T]) -> T:
        request = wire.request(self._http, call, self._memory)
        for attempt in count(1):
            failure: RecommenderError
            try:
                response = self._http.send(request)
            except httpx.TransportError as error:
                failure = Unreachable(
                    f"{call.method} {call.path}: {str(error) or type(error).__name__}"
                )
            else:
                if response.is_success:
                    return wire.reply(call, response, self._memory)
                failure = Problem(response)
            time.sleep(self._pause(failure, attempt))
        raise AssertionError("unreachable")

    def _pause(self, failure: RecommenderError, attempt: int) -> float:
        """Return how long to wait before the next attempt.

        Raises:
            RecommenderError: there is none.
        """
        pause = self._retries.pause(failure, attempt)
        if pause is None:
            raise failure
        return pause
