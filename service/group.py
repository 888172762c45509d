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
from contextlib import suppress
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NoReturn

import structlog

from service.errors import NoMeetingPlace
from service.shared_port import SharedPort

# Ours where the settings are at fault, uvicorn's where the application does not start.
CANNOT_START: Final = (1, 3)
# Until a process that ended is started again: the first time, and after many in vain.
PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0
ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WATCHED: Final = (signal.SIGCHLD, *ENDING)
# How often one that hangs is looked for within the time that makes it one.
LOOKS: Final = 12
DOUBLE: Final = 8
# A socket's path has 107 bytes, the last of which are a member's number.
LONGEST_PATH: Final = 107 - len("/63")

log = structlog.get_logger()


@dataclass(frozen=True)
class Member:
    """What a process of a group knows of it: it is `number` of `size`, counted from 0.

    `first` of its number, or the replacement of another. `folder` is where members find each other,
    `sockets` are bound and do not listen yet, and `parent` is a descriptor that is at its end once
    the process that forked us is gone. `beats` and `rises` are shared: when each member last said
    that it does not hang, and when it said that it serves.
    """

    number: int
    size: int
    first: bool
    folder: Path
    sockets: Sequence[socket.socket]
    parent: int
    beats: "memoryview[float]"
    rises: "memoryview[float]"

    def beat(self) -> None:
        """Say that this one does not hang."""
        self.beats[self.number] = time.monotonic()

    def rise(self) -> None:
        """Say that this one serves: from now on it is replaced, whatever it ends of."""
        self.rises[self.number] = time.monotonic()


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

    One that ends by itself is started again, after a pause that grows if it is in vain. One that
    has never been up and says that it cannot start ends the others, and we exit with 1. Who has not
    ended `patience` seconds after it was asked to is killed, and so is who has not called its
    `Member.beat` for `silence` seconds.

    Raises:
        AddressTaken: nobody can listen at `host` and `port`.
        NoMeetingPlace: there is no folder for temporary files, or none with a short path.
    """
    with _meeting_place() as folder, SharedPort(host, port) as address:
        # No collection of garbage writes to what is there by now, so it stays shared.
        gc.collect()
        gc.freeze()
        # Who starts us may have ignored it, and then nobody's end is told.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        beats, rises = (memoryview(mmap(-1, size * DOUBLE)).cast("d") for _ in range(2))

        def be(number: int, parent: int, *, first: bool) -> None:
            sockets = address.bind()
            # A terminal that is gone tells all of us; the parent says when to end.
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
            run(Member(number, size, first, Path(folder), sockets, parent, beats, rises))

        code = _Group(be, beats, rises, silence).watch(patience)
    sys.exit(code)


def _meeting_place() -> "TemporaryDirectory[str]":
    """Return a folder that is gone at the end; only this user can look into it."""
    try:
        place = TemporaryDirectory(prefix="recommender-")
    except OSError as error:
        raise NoMeetingPlace(str(error)) from error
    length = len(os.fsencode(place.name))
    if length > LONGEST_PATH:
        place.cleanup()
        fault = f"expected a path of at most {LONGEST_PATH} bytes, got {length}: {place.name}"
        raise NoMeetingPlace(fault)
    return place


class _Group:
    """The members that there are, and those that are to be started."""

    def __init__(
        self,
        be: Callable[..., None],
        beats: "memoryview[float]",
        rises: "memoryview[float]",
        silence: float,
    ) -> None:
        self._be, self._beats, self._rises, self._silence = be, beats, rises, silence
        # When those that hang are looked for next.
        self._look = time.monotonic() + silence
        # Nothing is ever written: who reads it learns that the writer, this process, is gone.
        self._parent, self._held = os.pipe()
        self._numbers: dict[int, int] = {}
        self._due = dict.fromkeys(range(len(beats)), 0.0)
        # How often each was started in vain, one after the other; None before it was ever up.
        self._vain: dict[int, int | None] = dict.fromkeys(self._due)

    def watch(self, patience: float) -> int:
        """Start members, and start them again, until asked to end or one cannot start."""
        while True:
            now = time.monotonic()
            for number in [number for number, due in self._due.items() if due <= now]:
                self._start(number)
            self._kill_silent(now)
            if self._wait(min([*self._due.values(), self._look])) in ENDING:
                self._end(patience)
                return 0
            for number, code in self._ended():
                if not self._replace(number, code):
                    self._end(patience)
                    return 1

    def _replace(self, number: int, code: int) -> bool:
        """Have a member that ended started again, unless it is plain that it cannot start."""
        vain = self._vain[number]
        if self._rises[number]:
            self._vain[number] = 0
        elif vain is not None:
            self._vain[number] = vain + 1
        elif code in CANNOT_START:
            log.error("a process cannot start", process=number, code=code)
            return False
        pause = min(PAUSE_SECONDS * 2 ** (self._vain[number] or 0), LONGEST_PAUSE_SECONDS)
        log.warning("a process ended and is started again", process=number, code=code, after=pause)
        self._due[number] = time.monotonic() + pause
        return True

    def _start(self, number: int) -> None:
        _flush()
        self._beats[number], self._rises[number] = time.monotonic(), 0
        try:
            pid = os.fork()
        except OSError as error:
            log.error("no process can be started", process=number, fault=str(error))  # noqa: TRY400
            self._due[number] = time.monotonic() + LONGEST_PAUSE_SECONDS
            return
        if not pid:
            self._become(number)
        del self._due[number]
        self._numbers[pid] = number

    def _become(self, number: int) -> NoReturn:
        """Be a member, and never go back to what its parent has still to do."""
        code = 1
        try:
            os.close(self._held)
            self._be(number, self._parent, first=self._vain[number] is None)
            code = 0
        except SystemExit as ending:
            code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
        except Exception:
            log.exception("a process failed")
        finally:
            with suppress(OSError, ValueError):
                _flush()
            os._exit(code)

    def _kill_silent(self, now: float) -> None:
        """Kill who hangs, unless the whole machine stood still and we did not look in time."""
        if now < self._look:
            return
        in_time = now - self._look < self._silence / 2
        self._look = now + self._silence / LOOKS
        for number in self._numbers.values():
            silent = now - self._beats[number]
            if in_time and silent > self._silence:
                log.error("a process hangs and is killed", process=number, seconds=round(silent))
                self._tell(signal.SIGKILL, number)

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
            told = self._wait(given_up)
            if told in ENDING:
                # A second Ctrl-C is for those who do not want to wait; they are told the same.
                self._tell(signal.SIGINT if told == signal.SIGINT else signal.SIGTERM)
            self._ended()
        self._tell(signal.SIGKILL)
        for pid in self._numbers:
            os.waitpid(pid, 0)

    def _tell(self, what: signal.Signals, number: int | None = None) -> None:
        """Send a signal to all members, or to the one with this `number`."""
        for pid, one in self._numbers.items():
            if number in {None, one}:
                os.kill(pid, what)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed by who started us
            stream.flush()
