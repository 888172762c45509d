"""A service of the sample behind a balancer, asked by many at once. Counts who was failed."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.support.asking import asking
from tests.support.server import features

CLIENTS = 4
USERS = 20
# So many requests of a client, one of them a write.
WRITE_EVERY = 5
PAUSE_SECONDS = 0.01


class Door:
    """What the balancer on a port of loopback says, how often, and what was not answered well."""

    def __init__(self, port: int) -> None:
        """Ask nothing yet."""
        self.url = f"http://127.0.0.1:{port}"
        self.answered = 0
        self.failed: list[str] = []
        self.written: list[str] = []
        self._lock = threading.Lock()

    def lists(self, user: int) -> str:
        """Return where the list of a user of the sample is."""
        return f"{self.url}/v1/users/user-{user:05d}/recommendations"

    def put(self, video_id: str) -> str:
        """Send a video and return its position in the log.

        Raises:
            httpx.HTTPError: it was not taken.
        """
        with asking(self.url) as client:
            return _put(client, video_id)

    def knows(self, video_id: str) -> bool:
        """Tell whether there is such a video."""
        return httpx.get(f"{self.url}/v1/videos/{video_id}").status_code == 200

    @contextmanager
    def asked(self, *, writing: bool) -> Iterator[None]:
        """Have clients that keep their connections ask until the block ends.

        Args:
            writing: whether they send videos, too; those acknowledged are in `written`.
        """
        ended = threading.Event()
        clients = [
            threading.Thread(target=self._ask, args=(place, writing, ended))
            for place in range(CLIENTS)
        ]
        for one in clients:
            one.start()
        try:
            yield
        finally:
            ended.set()
            for one in clients:
                one.join()

    def _ask(self, place: int, writing: bool, ended: threading.Event) -> None:
        number = 0
        with asking(self.url) as client:
            while not ended.is_set():
                sent = f"door-{place}-{number}" if writing and not number % WRITE_EVERY else ""
                try:
                    if sent:
                        _put(client, sent)
                    else:
                        client.get(self.lists(number % USERS)).raise_for_status()
                    self._count(sent, "")
                except httpx.HTTPError as error:
                    self._count("", f"{sent or 'list'}: {error!r}")
                number += 1
                time.sleep(PAUSE_SECONDS)

    def _count(self, written: str, fault: str) -> None:
        with self._lock:
            self.answered += 1
            self.written += [written] if written else []
            self.failed += [fault] if fault else []


def _put(client: httpx.Client, video_id: str) -> str:
    answer = client.put(f"/v1/videos/{video_id}", json={"features": features(7)})
    position: str = answer.raise_for_status().json()["position"]
    return position
