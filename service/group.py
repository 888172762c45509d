"""Several processes behind one port: forked from one that imported all, watched, ended together.

Each is a replica of its own (ADR 24). What was imported before the fork is in memory once for all:
another process takes what it writes to, not what torch takes.
"""

import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NoReturn

import structlog

from service.shared_port import SharedPort

# Ours where the settings are at fault, uvicorn's where the application does not start.
CANNOT_START: Final = (1, 3)
# Until a process that ended is started again.
PAUSE_SECONDS: Final = 1.0
ENDING: Final = (signal.SIGINT, signal.SIGTERM)
WATCHED: Final = (signal.SIGCHLD, *ENDING)
# How often one that hangs is looked for within the time that makes it one.
LOOKS: Final = 12
DOUBLE: Final = 8

log = structlog.get_logger()


@dataclass(frozen=True)
class Member:
    """What a process of a group knows of it: it is `number` of `size`, counted from 0.

    `folder` is where members find each other, `sockets` are bound and do not listen yet, and
    `parent` is a descriptor that is at its end once the process that forked us is gone. `beats`
    are shared: when each member last said that it does not hang.
    """

    number: int
    size: int
    folder: Path
    sockets: Sequence[socket.socket]
    parent: int
    beats: "memoryview[float]"

    def beat(self) -> None:
        """Say that this one does not hang."""
        self.beats[self.number] = time.monotonic()


def run_group(
    size: int,
    host: str,
    port: int,
    run: Callable[[Member], None],
    *,
    patience: float,
    silence: float,
) -> NoReturn:
    """Have `size` processes `run` until a signal ends them all, then exit.

    One that ends by itself is started again. One that cannot start ends the others, and we exit
    with 1. Who has not ended `patience` seconds after it was asked to is killed, and so is who has
    not called its `Member.beat` for `silence` seconds.

    Raises:
        AddressTaken: nobody can listen at `host` and `port`.
    """
    with TemporaryDirectory(prefix="recommender-") as folder, SharedPort(host, port) as address:
        # No collection of garbage writes to what is there by now, so it stays shared.
        gc.collect()
        gc.freeze()
        unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        beats = memoryview(mmap(-1, size * DOUBLE)).cast("d")

        def be(number: int, parent: int) -> None:
            sockets = address.bind()
            signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
            run(Member(number, size, Path(folder), sockets, parent, beats))

        code = _Group(be, beats, silence).watch(patience)
    sys.exit(code)


class _Group:
    """The members that there are, and those that are to be started."""

    def __init__(
        self, be: Callable[[int, int], None], beats: "memoryview[float]", silence: float
    ) -> None:
        self._be, self._beats, self._silence = be, beats, silence
        # When those that hang are looked for next.
        self._look = time.monotonic() + silence
        # Nothing is ever written: who reads it learns that the writer, this process, is gone.
        self._parent, self._held = os.pipe()
        self._numbers: dict[int, int] = {}
        self._due = dict.fromkeys(range(len(beats)), 0.0)

    def watch(self, patience: float) -> int:
        """Start members, and start them again, until asked to end or one cannot start."""
        while True:
            now = time.monotonic()
            for number in [number for number, due in self._due.items() if due <= now]:
                del self._due[number]
                self._numbers[self._fork(number)] = number
            self._kill_silent(now)
            if self._wait(min([*self._due.values(), self._look])) in ENDING:
                self._end(patience)
                return 0
            for number, code in self._ended():
                if code in CANNOT_START:
                    log.error("a process cannot start", process=number, code=code)
                    self._end(patience)
                    return 1
                log.warning("a process ended and is started again", process=number, code=code)
                self._due[number] = time.monotonic() + PAUSE_SECONDS

    def _fork(self, number: int) -> int:
        sys.stdout.flush()
        sys.stderr.flush()
        self._beats[number] = time.monotonic()
        pid = os.fork()
        if pid:
            return pid
        # From here on a member, that never goes back to what its parent has still to do.
        code = 1
        try:
            os.close(self._held)
            self._be(number, self._parent)
            code = 0
        except SystemExit as ending:
            code = ending.code if isinstance(ending.code, int) else 0
        except Exception:
            log.exception("a process failed")
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _kill_silent(self, now: float) -> None:
        """Kill who hangs, unless the whole machine stood still and we did not look in time."""
        if now < self._look:
            return
        in_time = now - self._look < self._silence / 2
        self._look = now + self._silence / LOOKS
        for pid, number in self._numbers.items():
            silent = now - self._beats[number]
            if in_time and silent > self._silence:
                log.error("a process hangs and is killed", process=number, seconds=round(silent))
                os.kill(pid, signal.SIGKILL)

    def _wait(self, until: float) -> int | None:
        """Return the signal that came, or None if it is `until`."""
        told = signal.sigtimedwait(WATCHED, max(0.0, until - time.monotonic()))
        return told.si_signo if told else None

    def _ended(self) -> list[tuple[int, int]]:
        """Return number and exit code of who has ended since; of a signal it is below zero."""
        found = []
        for pid in list(self._numbers):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                found.append((self._numbers.pop(pid), os.waitstatus_to_exitcode(status)))
        return found

    def _end(self, patience: float) -> None:
        """Ask all to end, again when we are asked again, and kill who does not in time."""
        self._tell(signal.SIGTERM)
        given_up = time.monotonic() + patience
        while self._numbers and time.monotonic() < given_up:
            if self._wait(given_up) in ENDING:
                self._tell(signal.SIGINT)
            self._ended()
        self._tell(signal.SIGKILL)
        for pid in self._numbers:
            os.waitpid(pid, 0)

    def _tell(self, number: signal.Signals) -> None:
        for pid in self._numbers:
            os.kill(pid, number)
