"""The client for asyncio, method by method that of `client.blocking`. Knows httpx."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
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


class AsyncClient:
    """Asks one service, from one event loop; close it, or use it in an `async with` block.

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
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Ask the service at `url`, with a key if it wants one; `timeout` seconds for each step."""
        self._http = httpx.AsyncClient(
            base_url=url, headers=wire.headers(api_key), timeout=timeout, transport=transport
        )
        self._retries = retries or Retries()
        self._memory: wire.Memory | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections, those of its sessions too."""
        await self._http.aclose()

    def session(self) -> "AsyncClient":
        """Return a client over the same connections whose reads see its own writes, everywhere."""
        session = object.__new__(type(self))
        session._http, session._retries = self._http, self._retries
        session._memory = wire.Memory()
        return session

    async def recommend(self, user_id: str, **options: Unpack[UserOptions]) -> Recommendations:
        """Return the best videos that a user has not met."""
        return await self._send(calls.recommend(user_id, options))

    async def recommend_in_session(
        self,
        session: Sequence[Mapping[str, Any]],
        *,
        user_id: str | None = None,
        **options: Unpack[UserOptions],
    ) -> Recommendations:
        """Return the same for somebody who has met the videos of a `session`, oldest first.

        Each is `{"video_id": …, "kind": …}`. Nothing of it is recorded.
        """
        return await self._send(calls.recommend_in_session(user_id, session, options))

    async def recommend_batch(
        self, requests: Iterable[Asked], **options: Unpack[ReadOptions]
    ) -> RecommendationBatch:
        """Return lists for many at once, all from one position."""
        return await self._send(calls.recommend_batch(requests, options))

    async def similar(self, video_id: str, **options: Unpack[VideoListOptions]) -> VideoList:
        """Return the videos most like one."""
        return await self._send(calls.similar(video_id, options))

    async def trending(self, **options: Unpack[TrendingOptions]) -> VideoList:
        """Return what found most users of late."""
        return await self._send(calls.trending(options))

    async def fresh(self, **options: Unpack[VideoListOptions]) -> VideoList:
        """Return what arrived since the bundle, the latest first."""
        return await self._send(calls.fresh(options))

    async def videos(self, **options: Unpack[CatalogOptions]) -> VideoPage:
        """Return one page of all videos, by id."""
        return await self._send(calls.videos(options))

    async def video(
        self, video_id: str, *, vector: bool = False, **options: Unpack[ReadOptions]
    ) -> VideoFacts:
        """Return what is known of a video, with its vector if wanted."""
        return await self._send(calls.video(video_id, vector=vector, options=options))

    async def put_video(
        self,
        video_id: str,
        features: Features,
        metadata: Mapping[str, Any] | None = None,
        **options: Unpack[WriteOptions],
    ) -> VideoWritten:
        """Add a video or replace it. Arrays among `features` are sent as base64 of float32."""
        return await self._send(calls.put_video(video_id, features, metadata, options))

    async def patch_video(
        self,
        video_id: str,
        *,
        state: State | None = None,
        metadata: Mapping[str, Any] | None = None,
        **options: Unpack[WriteOptions],
    ) -> VideoWritten:
        """Hide a video or show it again, change what is told of it (None takes away), or both."""
        return await self._send(calls.patch_video(video_id, state, metadata, options))

    async def delete_video(self, video_id: str, **options: Unpack[WriteOptions]) -> Written:
        """Delete a video; one that is not there is no error."""
        return await self._send(calls.delete_video(video_id, options))

    async def put_videos(
        self, videos: Iterable[Video], **options: Unpack[WriteOptions]
    ) -> VideoBatch:
        """Add or replace up to 1,000 videos; each bad one is told by itself."""
        return await self._send(calls.put_videos(videos, options))

    async def record(
        self, interactions: Iterable[Interaction], **options: Unpack[WriteOptions]
    ) -> InteractionsWritten:
        """Record up to 1,000 interactions, all or none."""
        return await self._send(calls.record(interactions, options))

    async def user(self, user_id: str, **options: Unpack[ReadOptions]) -> UserFacts:
        """Return what is known of a user, in numbers."""
        return await self._send(calls.user(user_id, options))

    async def export_user(self, user_id: str, **options: Unpack[ReadOptions]) -> UserExport:
        """Return all that answers are made of for a user."""
        return await self._send(calls.export_user(user_id, options))

    async def erase_user(self, user_id: str, **options: Unpack[WriteOptions]) -> Written:
        """Forget a user, here, on every replica and in the next training."""
        return await self._send(calls.erase_user(user_id, options))

    async def model(self, **options: Unpack[ReadOptions]) -> Model:
        """Return the bundle that is served and the sizes of what is known now."""
        return await self._send(calls.model(options))

    async def import_videos(
        self, videos: Iterable[Video] | AsyncIterable[Video]
    ) -> AsyncIterator[Told]:
        """Bring any number of videos; yield what becomes of them while they go.

        Nothing is sent before the first step of the iteration. After a cut it goes on behind the
        last video that was told of.
        """
        done = ImportProgress()
        async for lines in importing.windows_async(videos):
            window = Window(lines, done)
            async for told in self._bring(window):
                yield told
            done = window.done

    async def _bring(self, window: Window) -> AsyncIterator[Told]:
        attempt = 0
        while window.left:
            before = window.done
            try:
                async for told in self._bring_once(window):
                    yield told
                failure = window.fault()
            except httpx.TransportError as error:
                failure = Unreachable(str(error) or type(error).__name__)
            attempt = 1 if window.done != before else attempt + 1
            if failure is not None:
                await asyncio.sleep(self._pause(failure, attempt))

    async def _bring_once(self, window: Window) -> AsyncIterator[Told]:
        async with self._http.stream(
            "POST",
            importing.PATH,
            content=window.begin(),
            headers={"content-type": wire.NDJSON},
            timeout=importing.SECONDS,
        ) as response:
            if not response.is_success:
                await response.aread()
                window.refuse(Problem(response))
                return
            async for text in response.aiter_lines():
                for told in window.take(text):
                    yield told

    async def _send(self, call: Call[T]) -> T:
        request = wire.request(self._http, call, self._memory)
        for attempt in count(1):
            failure: RecommenderError
            try:
                response = await self._http.send(request)
            except httpx.TransportError as error:
                failure = Unreachable(
                    f"{call.method} {call.path}: {str(error) or type(error).__name__}"
                )
            else:
                if response.is_success:
                    return wire.reply(call, response, self._memory)
                failure = Problem(response)
            await asyncio.sleep(self._pause(failure, attempt))
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
