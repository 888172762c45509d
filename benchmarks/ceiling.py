"""The least an endpoint can do: returns one and the same list of 20 videos. Knows nothing else.

What the service's rate is held against. `python -m benchmarks.ceiling`
"""

import asyncio
import gc
import socket
from typing import Final

import uvicorn
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from prometheus_client import generate_latest

from service.api.replies import PersonalVideo, UserRecommendations
from service.loop_lag import watch_loop
from service.server import YOUNG_OBJECTS
from service.telemetry import Telemetry

K: Final = 20

app = FastAPI(openapi_url=None)
telemetry = Telemetry()
LIST: Final = UserRecommendations(
    user_id="user-00000",
    bundle_id="20260101T000000-0123456789",
    position="",
    recommendations=[
        PersonalVideo(video_id=f"video-{row:07d}", score=0.9 - row / 100, source="personal")
        for row in range(K)
    ],
    next_cursor=None,
)


@app.get("/v1/users/{user_id}/recommendations")
async def get_recommendations(user_id: str, k: int = K) -> UserRecommendations:  # noqa: ARG001
    """Return the list, typed as the service's is."""
    return LIST


@app.get("/metrics", response_class=PlainTextResponse)
async def get_metrics() -> str:
    """Return how late the loop was: the service counts it too."""
    return generate_latest(telemetry.registry).decode()


class _Server(uvicorn.Server):
    """Uvicorn's server, which says where it listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen."""
        await super().startup(sockets)
        self.watching = asyncio.create_task(watch_loop(telemetry.loop_lag))
        port = self.servers[0].sockets[0].getsockname()[1]
        print(f"Listening on http://127.0.0.1:{port};\nReady", flush=True)  # noqa: T201


def main() -> None:
    """Serve until interrupted, as the service does."""
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])
    gc.collect()
    gc.freeze()
    config = uvicorn.Config(
        app, port=0, log_config=None, access_log=False, server_header=False, ws="none"
    )
    _Server(config).run()


if __name__ == "__main__":
    main()
