"""Requests of every kind to a service of the sample, so that every metric moves."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.support.asking import asking
from tests.support.server import features


@contextmanager
def traffic(url: str) -> Iterator[None]:
    """Have a thread send a little of everything to the service at `url` until the block ends."""
    over = threading.Event()

    def run() -> None:
        with asking(url) as client:
            number = 0
            while not over.wait(0.05):
                _send(client, number)
                number += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _send(client: httpx.Client, number: int) -> None:
    """Send each kind of request once or more, wrong ones too."""
    for user in range(20):
        client.get(f"/v1/users/user-{user:05d}/recommendations")
    client.get("/v1/users/nobody/recommendations?k=5")
    client.get("/v1/users/newcomer/recommendations?k=500")
    client.get("/v1/users/user-00000/recommendations?tags_any=none")
    client.get("/v1/videos/video-00000/similar")
    client.get("/v1/videos/trending")
    client.get("/v1/videos/fresh")
    client.get("/no-such-path")
    client.put(f"/v1/videos/new-{number}", json={"features": features(number)})
    client.put("/v1/videos/bad", json={"features": {"visual": [1.0]}})
    batch = [{"video_id": f"more-{number}-{n}", "features": features(n)} for n in range(3)]
    client.post("/v1/videos:batch", json={"videos": batch})
    client.delete(f"/v1/videos/new-{number - 3}")
    met = [{"user_id": "newcomer", "video_id": f"video-{number % 60:05d}", "kind": "view"}]
    client.post("/v1/interactions", json={"interactions": met})
