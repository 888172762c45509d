"""Who is started, started again and ended: with processes that do nothing else."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from service.errors import AddressTaken
from service.shared_port import SharedPort

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="several processes need Linux")

PROGRAM = """
import os, signal, sys, time
from service.group import run_group

{before}

def run(member):
    os.write(1, b"%d %d\\n" % (member.number, member.size))
    {body}

run_group(2, "127.0.0.1", 0, run, patience=1.0, silence={silence})
"""


def start(
    body: str, folder: Path | None = None, *, silence: float = 60, before: str = ""
) -> "subprocess.Popen[str]":
    return subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-c", PROGRAM.format(body=body, silence=silence, before=before)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder or tempfile.gettempdir())},
    )


def told(group: "subprocess.Popen[str]", line: str, *, times: int) -> None:
    """Wait until a line was written so many times."""
    assert group.stdout is not None
    for _ in range(times):
        while (read := group.stdout.readline()) != f"{line}\n":
            assert read, "it ended"


@pytest.mark.parametrize(
    "body", ["sys.exit(1 if member.number else time.sleep(60))", "sys.exit(3)", "raise ValueError"]
)
def test_one_that_cannot_start_ends_all(body: str) -> None:
    group = start(body)
    group.communicate(timeout=20)
    assert group.returncode == 1


def test_one_that_does_not_end_when_asked_is_killed() -> None:
    group = start(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); os.write(1, b'deaf\\n'); time.sleep(60)"
    )
    told(group, "deaf", times=2)
    asked = time.monotonic()
    group.terminate()
    group.communicate(timeout=20)
    assert group.returncode == 0
    assert 1.0 <= time.monotonic() - asked < 10


def test_one_that_ends_is_started_again_and_keeps_its_number() -> None:
    group = start("time.sleep(60) if member.number else None")
    told(group, "0 2", times=3)
    group.terminate()
    assert "1 2" not in group.communicate(timeout=20)[0]
    assert group.returncode == 0


def test_one_that_was_up_and_cannot_start_again_leaves_the_others_alone() -> None:
    body = "member.number or time.sleep(60); member.first and member.rise(); sys.exit(1)"
    group = start(body)
    told(group, "1 2", times=3)
    assert group.poll() is None
    group.terminate()
    assert "0 2" not in group.communicate(timeout=20)[0].splitlines()[-1:]
    assert group.returncode == 0


def test_it_knows_who_ended_whoever_started_it() -> None:
    group = start(
        "member.number or time.sleep(60)",
        before="signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
    )
    told(group, "1 2", times=2)
    group.terminate()
    group.communicate(timeout=20)
    assert group.returncode == 0


def test_a_terminal_that_goes_ends_it_well(tmp_path: Path) -> None:
    group = start("time.sleep(60)", tmp_path)
    told(group, "1 2", times=1)
    assert list(tmp_path.iterdir())
    group.send_signal(signal.SIGHUP)
    group.communicate(timeout=20)
    assert group.returncode == 0
    assert not list(tmp_path.iterdir())


BEATING = "while member.number: member.beat(); time.sleep(0.1)"


def test_one_that_hangs_is_killed_and_started_again() -> None:
    group = start(BEATING + "\n    time.sleep(60)", silence=1)
    told(group, "0 2", times=3)
    group.terminate()
    out, _ = group.communicate(timeout=20)
    assert "1 2" not in out
    assert group.returncode == 0


def test_who_is_stopped_with_all_others_is_not_said_to_hang() -> None:
    group = start("while True: member.beat(); time.sleep(0.1)", silence=1)
    told(group, "1 2", times=1)
    members = [int(pid) for pid in children(group.pid)]
    for pid in (group.pid, *members):
        os.kill(pid, signal.SIGSTOP)
    time.sleep(3)
    # The parent first: it finds all of them silent, and has to know that it was away itself.
    os.kill(group.pid, signal.SIGCONT)
    time.sleep(0.04)
    for pid in members:
        os.kill(pid, signal.SIGCONT)
    time.sleep(1)
    assert [int(pid) for pid in children(group.pid)] == members
    group.terminate()
    group.communicate(timeout=20)
    assert group.returncode == 0


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()


def test_a_shared_port_takes_no_connection_before_one_listens() -> None:
    with SharedPort("127.0.0.1", 0) as shared:
        (first,), (second,) = shared.bind(), shared.bind()
        assert first.getsockname() == second.getsockname()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(first.getsockname(), timeout=5)
        second.listen()
        with socket.create_connection(first.getsockname(), timeout=5), second.accept()[0]:
            pass
        first.close()
        second.close()


def test_a_name_stands_for_all_of_its_addresses_that_are_here() -> None:
    with SharedPort("localhost", 0) as shared:
        bound = shared.bind()
        assert "127.0.0.1" in {one.getsockname()[0] for one in bound}
        assert len({one.getsockname()[1] for one in bound}) == 1
        for one in bound:
            one.close()


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_of_others_is_refused(host: str) -> None:
    with pytest.raises(AddressTaken, match=f"cannot listen at {host}, port 8000: "):
        SharedPort(host, 8000)


def test_a_port_is_refused_that_another_has() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(AddressTaken, match=f"port {port}: Address already in use"):
            SharedPort("127.0.0.1", port)
    with SharedPort("127.0.0.1", port), pytest.raises(AddressTaken, match="already in use"):
        # Nobody listens there yet, but somebody is about to.
        SharedPort("127.0.0.1", port)
