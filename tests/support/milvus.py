"""Runs a real Milvus of one process on a free port: starts, pauses and kills it.

It listens on all interfaces and on fixed ports, so it gets a network of its own, of which one port
of the loopback leads to it.
"""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from service.catalog.milvus.address import read_address
from service.catalog.milvus.engine import Engine, EngineAway
from tests.support.commands import run
from tests.support.redis import free_port

START_SECONDS = 60.0
PORT = 19530
ENCLOSE = ["unshare", "--map-root-user", "--net"]


def why_not() -> str:
    """Return why there can be no Milvus here; "" if there can be one."""
    for package in ("pymilvus", "milvus"):
        if importlib.util.find_spec(package) is None:
            return f"the package {package} is not installed"
    if shutil.which(ENCLOSE[0]) is None or run([*ENCLOSE, "true"], cwd=Path.cwd()).returncode:
        return "this machine gives no process a network of its own"
    return ""


class MilvusServer:
    """A Milvus of one process with its data in `folder`. The end of a `with` block kills it."""

    def __init__(self, folder: Path, *, alone: bool = False) -> None:
        """Choose its port and write its configuration; it does not run yet.

        `alone` says that we are in a network of our own, where it needs none.
        """
        reason = why_not()
        if reason:
            pytest.skip(reason)
        self._folder = folder
        self._binaries = _unpacked()
        _configure(folder)
        self._alone = alone
        self.port = PORT if alone else free_port()
        self._child: subprocess.Popen[bytes] | None = None
        self.pid = 0

    def __enter__(self) -> "MilvusServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        """What RECO_INDEX is to be."""
        return f"milvus://127.0.0.1:{self.port}"

    @property
    def resident(self) -> float:
        """Its resident memory, in MiB."""
        told = Path(f"/proc/{self.pid}/status").read_text("ascii")
        return int(told.partition("VmRSS:")[2].split()[0]) / 1024

    def engine(self, *, seconds: float = 5.0) -> Engine:
        """Return a connection to it, on which a search may take `seconds`."""
        engine = Engine(read_address(self.url), "", search_seconds=seconds)
        engine.connect()
        return engine

    def start(self) -> "MilvusServer":
        """Start it, again perhaps; return once it answers."""
        command = [] if self._alone else [*ENCLOSE]
        command += [sys.executable, str(Path(__file__).with_name("enclosed.py"))]
        with socket.socket() as outside, (self._folder / "output.txt").open("ab") as output:
            outside.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if not self._alone:
                outside.bind(("127.0.0.1", self.port))
            outside.listen()
            command += [str(outside.fileno()), str(PORT)]
            command += [str(self._binaries / "milvus"), "run", "standalone"]
            self._child = subprocess.Popen(  # noqa: S603
                command,
                cwd=self._folder,
                env={
                    **os.environ,
                    "DEPLOY_MODE": "STANDALONE",
                    "LD_LIBRARY_PATH": str(self._binaries),
                    "MILVUS_RUN_DIR": str(self._folder / "run"),
                },
                pass_fds=[outside.fileno()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
            )
        assert self._child.stdout is not None
        self.pid = int(self._child.stdout.readline())
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self._child.poll() is None, "the Milvus has ended"
            assert time.monotonic() < deadline, "the Milvus does not answer"
            time.sleep(0.1)
        return self

    def signal(self, number: signal.Signals) -> None:
        """Send a signal: SIGSTOP and SIGCONT, say."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once, as a lost machine would; its port refuses whoever comes."""
        if self._child is not None:
            self._child.communicate()
            self._child = None

    def _answers(self) -> bool:
        try:
            engine = self.engine()
        except EngineAway:
            return False
        try:
            engine.names()
        except EngineAway:
            return False
        finally:
            engine.disconnect()
        return True


def _unpacked() -> Path:
    """Return the folder of the server's files, which are unpacked once a machine: 300 MB."""
    from milvus import __version__, _initialize_data_files  # noqa: PLC0415 - may not be there

    home = Path(tempfile.gettempdir()) / f"milvus-{__version__}-{os.getuid()}"
    home.mkdir(mode=0o700, exist_ok=True)
    assert home.stat().st_uid == os.getuid(), f"{home} belongs to somebody else"
    _initialize_data_files(str(home))
    return home / "bin"


def _configure(folder: Path) -> None:
    from milvus import MilvusServerConfig  # noqa: PLC0415 - may not be there

    config = MilvusServerConfig(data_dir=str(folder))
    config.resolve_storage()
    config.write_config()
