"""Starts services quickly: forked from a process that has imported all they need.

From there on each is `python -m service serve`, with files, threads and sockets of its own. Run as
a module this is the process they are forked from: JSON lines come in, process ids go out.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import httpx

from tests.support.asking import asking
from tests.support.redis import free_port
from tests.support.server import REPOSITORY, eventually


class Forked:
    """A service that listens on `port`; what it writes goes into the file `output`."""

    def __init__(self, pid: int, port: int, output: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._pid = pid
        self._output = output

    @property
    def output(self) -> str:
        """All that services have written into this file."""
        return self._output.read_text("utf-8")

    def limit_files(self, size: int) -> None:
        """Let no file that it writes grow beyond `size` bytes, as on a full disk; -1 lifts that."""
        _, most = resource.prlimit(self._pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (size, most))

    def when_ready(self) -> "Forked":
        """Return once it has caught up with its log."""
        with asking(self.url) as http:
            eventually(lambda: self._ready(http))
        return self

    def kill(self) -> None:
        """End it at once; return when it is gone."""
        if self._runs():
            os.kill(self._pid, signal.SIGKILL)
        while self._runs():
            time.sleep(0.001)

    def _ready(self, http: httpx.Client) -> bool:
        assert self._runs(), self.output
        try:
            return http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def _runs(self) -> bool:
        try:
            os.kill(self._pid, 0)
        except ProcessLookupError:
            return False
        return True


class Nursery:
    """The process that services are forked from; with it, they all end."""

    def __init__(self) -> None:
        """Start it; the first service waits for its imports."""
        self._mother = subprocess.Popen(
            [sys.executable, "-m", "tests.support.forks"],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._forked: list[Forked] = []

    def __enter__(self) -> "Nursery":
        return self

    def __exit__(self, *_: object) -> None:
        for forked in self._forked:
            forked.kill()
        self._mother.communicate()

    def serve(
        self,
        *arguments: str,
        output: Path,
        port: int | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Forked:
        """Run `service serve` with `arguments`; it may not listen yet."""
        assert self._mother.stdin is not None
        assert self._mother.stdout is not None
        port = port or free_port()
        said = {
            "arguments": ["serve", "--port", str(port), *arguments],
            "output": str(output),
            "env": dict(env or {}),
        }
        self._mother.stdin.write(json.dumps(said) + "\n")
        self._mother.stdin.flush()
        self._forked.append(Forked(int(self._mother.stdout.readline()), port, output))
        return self._forked[-1]


def main() -> None:
    """Fork a service for each line that comes in."""
    from service.__main__ import app  # noqa: PLC0415 - only here: tests import this module too

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who ends leaves nothing behind
    for line in sys.stdin:
        said = json.loads(line)
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            file = os.open(said["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(file, 1)
            os.dup2(file, 2)
            os.environ.update(said["env"])
            app(said["arguments"])
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
