"""A real service process on loopback and one keep-alive connection to it. Knows HTTP, no rooms."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

STOP_SECONDS: Final = 20


class Client:
    """One connection that stays open."""

    def __init__(self, port: int) -> None:
        """Connect to `port` on loopback."""
        self._connection = HTTPConnection("127.0.0.1", port, timeout=10)

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Send one request and read the whole answer: (status, body)."""
        headers = {"content-type": "application/json"} if body else {}
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
def running_server(bundles: Path, event_log: Path) -> Iterator[Client]:
    """Start a service on a free port, yield a client once it is ready, stop it at the end."""
    command = [sys.executable, "-m", "service", "serve", "--port", "0"]
    command += ["--bundles", str(bundles), "--event-log", f"sqlite:///{event_log}"]
    environment = {**os.environ, "RECO_LOG_LEVEL": "warning", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        yield Client(_port_once_ready(process))
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        finally:
            process.kill()
            process.communicate()


def _port_once_ready(process: "subprocess.Popen[str]") -> int:
    port = 0
    for line in process.stdout or ():
        if line.startswith("Listening on "):
            port = int(line.split(";")[0].rpartition(":")[2])
        if line.startswith("Ready"):
            return port
    raise RuntimeError(f"the service ended with {process.wait()} before it was ready")
