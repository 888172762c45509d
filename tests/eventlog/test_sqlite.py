"""The SQLite log: what survives a crash, and what a damaged or locked file does."""

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from eventlog.errors import EventLogUnavailable, UnsupportedEventLog
from eventlog.events import VideoDeleted, decode
from eventlog.log import START, open_event_log
from eventlog.sqlite import SqliteEventLog
from tests.support.server import REPOSITORY

# It rests between appends: who takes the lock again at once can starve another for seconds.
WRITER = """
import sys, time
from eventlog.events import VideoDeleted
from eventlog.sqlite import SqliteEventLog
log = SqliteEventLog(sys.argv[1])
for number in range(100_000):
    print(log.append([VideoDeleted(video_id=sys.argv[2], recorded_at=0)] * 3), flush=True)
    time.sleep(0.005)
"""


def start_writer(file: Path, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(file), name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)  # noqa: S603


def kill_after(writer: subprocess.Popen[str], count: int) -> str:
    """Kill a writer once it has written `count` positions; return the last one it was given."""
    assert writer.stdout is not None
    with writer.stdout:
        lines = [writer.stdout.readline() for _ in range(count)]
        writer.kill()
        lines += list(writer.stdout)
    assert writer.wait() == -signal.SIGKILL
    return [line.strip() for line in lines if line.endswith("\n")][-1]


def test_what_was_acknowledged_survives_kill_9_of_two_writers(tmp_path: Path) -> None:
    file = tmp_path / "events.db"
    writers = [start_writer(file, name) for name in ("a", "b")]
    acknowledged = [kill_after(writer, 10) for writer in writers]
    log = SqliteEventLog(str(file))
    entries = log.read(START, 1_000_000)
    assert {entry.position for entry in entries} >= set(acknowledged)
    found = [decode(entry.payload).video_id for entry in entries]
    assert len(found) % 3 == 0
    assert all(len(set(found[at : at + 3])) == 1 for at in range(0, len(found), 3))
    assert log.append([VideoDeleted(video_id="c", recorded_at=0)]) > max(acknowledged)
    log.close()


def test_an_append_waits_for_the_disk(tmp_path: Path) -> None:
    log = SqliteEventLog(str(tmp_path / "events.db"))
    assert log._writer.execute("PRAGMA synchronous").fetchone() == (2,)
    assert log._writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    log.close()


def test_a_locked_log_is_unavailable_for_writing_and_still_read(tmp_path: Path) -> None:
    log = SqliteEventLog(str(tmp_path / "events.db"))
    log.append([VideoDeleted(video_id="a", recorded_at=0)])
    other = sqlite3.connect(tmp_path / "events.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(EventLogUnavailable, match="locked"):
        log.append([VideoDeleted(video_id="b", recorded_at=0)])
    assert len(log.read(START, 10)) == 1
    other.execute("ROLLBACK")
    other.close()
    log.append([VideoDeleted(video_id="b", recorded_at=0)])
    assert len(log.read(START, 10)) == 2
    log.close()


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\x00" * 20])
def test_a_file_that_is_no_event_log_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "events.db").write_bytes(content)
    with pytest.raises(EventLogUnavailable, match=r"events\.db"):
        SqliteEventLog(str(tmp_path / "events.db"))


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(EventLogUnavailable, match="event log"):
        SqliteEventLog(str(tmp_path))


def test_a_parent_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(EventLogUnavailable, match="event log"):
        SqliteEventLog(str(tmp_path / "file" / "events.db"))


@pytest.mark.parametrize(
    "url", ["", "events.db", "sqlite://", "sqlite:///", "sqlite://x", "mysql://u:hunter2@h/db"]
)
def test_an_unsupported_url_says_what_is_supported_and_no_secret(url: str) -> None:
    with pytest.raises(UnsupportedEventLog, match="sqlite:///relative/path") as raised:
        open_event_log(url)
    assert "hunter2" not in str(raised.value)


def test_a_url_may_be_relative_or_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_event_log("sqlite:///here/events.db").close()
    open_event_log(f"sqlite:///{tmp_path}/there.db").close()
    assert (tmp_path / "here/events.db").is_file()
    assert (tmp_path / "there.db").is_file()
