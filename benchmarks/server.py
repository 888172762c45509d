"""Real processes on loopback, the service and Redis, and one connection. Knows HTTP, no rooms."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

from tests.support.redis import RedisServer

STOP_SECONDS: Final = 20


class Client:
    """One connection that stays open. `pid` is the service's, `ready_after` its seconds of boot."""

    def __init__(self, port: int, pid: int, ready_after: float) -> None:
        """Connect to `port` on loopback."""
        self.port, self.pid, self.ready_after = port, pid, ready_after
        self._connection = HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(
        self, method: str, path: str, body: bytes | None = None, *, kind: str = "application/json"
    ) -> tuple[int, bytes]:
        """Send one request, its body of this `kind`, and read the whole answer: (status, body)."""
        headers = {"content-type": kind} if body else {}
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def get(self, path: str) -> Any:
        """Return the JSON at `path`.

        Raises:
            RuntimeError: the answer is not 200.
        """
        status, body = self.ask("GET", path)
        if status != 200:  # noqa: PLR2004
            raise RuntimeError(f"GET {path}: {status} {body[:200]!r}")
        return json.loads(body)


@contextmanager
def running_server(bundles: Path, event_log: str, **settings: str) -> Iterator[Client]:
    """Start a service on a free port, yield a client once it is ready, stop it at the end."""
    command = [sys.executable, "-m", "service", "serve", "--port", "0"]
    command += ["--bundles", str(bundles), "--event-log", event_log]
    chosen = {f"RECO_{name.upper()}": text for name, text in settings.items()}
    with running(command, {"RECO_LOG_LEVEL": "warning", **chosen}) as client:
        yield client


@contextmanager
def running(command: Sequence[str], settings: Mapping[str, str]) -> Iterator[Client]:
    """Start a server that says "Listening on …:PORT;" and "Ready", and stop it at the end."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **settings}
    started = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        port = _port_once_ready(process)
        yield Client(port, process.pid, time.perf_counter() - started)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        finally:
            process.kill()
            process.communicate()


@contextmanager
def event_log(kind: str, folder: Path) -> Iterator[str]:
    """Yield the URL of an empty event log: `kind` is sqlite or redis, durable as the docs want."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/events.db"
        return
    with RedisServer(folder / "redis") as server:
        yield server.start().url


def _port_once_ready(process: "subprocess.Popen[str]") -> int:
    port = 0
    for line in process.stdout or ():
        if line.startswith("Listening on "):
            port = int(line.split(";")[0].rpartition(":")[2])
        if line.startswith("Ready"):
            return port
    raise RuntimeError(f"the service ended with {process.wait()} before it was ready")
