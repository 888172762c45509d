"""Runs a real Prometheus on a free port, and asks it. Knows its API; nothing of our metrics."""

import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.redis import free_port

START_SECONDS = 20.0


def binary(name: str) -> str:
    """Return the path of `prometheus` or `promtool`."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} on this machine")
    return found


class Prometheus:
    """A server with the configuration in `config`; keeps what it scrapes in `folder`.

    Runs within a `with` block.
    """

    def __init__(self, config: Path, folder: Path) -> None:
        """Choose its port; it does not run yet."""
        self._port = free_port()
        self._log = folder / "prometheus.log"
        self._command = [
            binary("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'series'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--log.level=warn",
        ]
        self._child: subprocess.Popen[bytes] | None = None
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{self._port}/api/v1", timeout=20)

    def __enter__(self) -> "Prometheus":
        with self._log.open("wb") as log:
            self._child = subprocess.Popen(self._command, stdout=log, stderr=log)  # noqa: S603
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            assert self._child.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, "Prometheus does not get ready"
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def query(self, expr: str) -> list[dict[str, Any]]:
        """Return the samples of an expression, as they are now."""
        result: list[dict[str, Any]] = self._ask("/query", query=expr)["result"]
        return result

    def values(self, expr: str) -> list[float]:
        """Return the numbers of an expression."""
        return [float(sample["value"][1]) for sample in self.query(expr)]

    def names(self) -> Sequence[str]:
        """Return the name of every metric there is."""
        names: Sequence[str] = self._ask("/label/__name__/values")
        return names

    def rules(self) -> list[dict[str, Any]]:
        """Return every rule, with its health."""
        groups = self._ask("/rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def _ask(self, path: str, **params: str) -> Any:
        reply = self._client.get(path, params=params).json()
        assert reply["status"] == "success", f"{params}: {reply}"
        return reply["data"]

    def _ready(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self._port}/-/ready").status_code == 200
        except httpx.TransportError:
            return False
