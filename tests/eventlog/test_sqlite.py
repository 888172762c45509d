"""The SQLite log: what survives a crash, and what a damaged, locked, lost or full file does."""

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eventlog.errors import (
    EventLogFull,
    EventLogUnavailable,
    LogReplaced,
    UnsupportedEventLog,
)
from eventlog.events import VideoDeleted, decode
from eventlog.log import WriteKey, open_event_log
from eventlog.position import START, place_of
from eventlog.sqlite import SqliteEventLog

pytestmark = pytest.mark.anyio

REPOSITORY = Path(__file__).parents[2]

# It rests between appends: who takes the lock again at once can starve another for seconds.
WRITER = """
import asyncio, sys
from eventlog.events import VideoDeleted
from eventlog.sqlite import SqliteEventLog

async def write():
    log = SqliteEventLog(sys.argv[1], poll_seconds=1)
    for number in range(100_000):
        receipt = await log.append([VideoDeleted(video_id=sys.argv[2], recorded_at=0)] * 3)
        print(receipt.position, flush=True)
        await asyncio.sleep(0.005)

asyncio.run(write())
"""

# A limit on the size of files stands for a full disk.
CRAMPED = """
import asyncio, json, resource, sys
from eventlog.errors import EventLogUnavailable
from eventlog.events import VideoDeleted
from eventlog.position import START
from eventlog.sqlite import SqliteEventLog

event = VideoDeleted(video_id="v" * 1000, recorded_at=0)

async def write():
    log = SqliteEventLog(sys.argv[1], poll_seconds=1)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    recorded, refused = 0, 0
    while refused < 3:
        try:
            await log.append([event] * 2)
            recorded += 2
        except EventLogUnavailable:
            refused += 1
    held = len(await log.read(START, 100_000))
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await log.append([event] * 2)
    after = len(await log.read(START, 100_000))
    await log.close()
    print(json.dumps([recorded, held, after]))

asyncio.run(write())
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


@pytest.fixture
async def log(file: Path) -> AsyncIterator[SqliteEventLog]:
    log = SqliteEventLog(str(file), poll_seconds=0.02)
    yield log
    await log.close()


def deleted(name: str) -> VideoDeleted:
    return VideoDeleted(video_id=name, recorded_at=0)


async def names(log: SqliteEventLog) -> list[str]:
    events = [decode(entry.payload) for entry in await log.read(START, 1_000_000)]
    return [event.video_id for event in events if isinstance(event, VideoDeleted)]


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *arguments]
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


# Durable and whole


async def test_what_was_acknowledged_survives_kill_9_of_two_writers(
    file: Path, log: SqliteEventLog
) -> None:
    writers = [start(WRITER, str(file), name) for name in ("a", "b")]
    acknowledged = [kill_after(writer, 10) for writer in writers]
    entries = await log.read(START, 1_000_000)
    assert {entry.position for entry in entries} >= set(acknowledged)
    found = await names(log)
    assert len(found) % 3 == 0
    assert all(len(set(found[at : at + 3])) == 1 for at in range(0, len(found), 3))
    assert (await log.append([deleted("c")])).position > max(acknowledged)


async def test_an_append_waits_for_the_disk(log: SqliteEventLog) -> None:
    connection = log._writer._connection
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_appends_that_wait_together_share_a_transaction(log: SqliteEventLog) -> None:
    said: list[str] = []
    log._writer._connection.set_trace_callback(said.append)
    receipts = await asyncio.gather(*[log.append([deleted(str(n))] * 2) for n in range(100)])
    log._writer._connection.set_trace_callback(None)
    assert said.count("COMMIT") <= 3
    assert sorted(place_of(r.position).number for r in receipts) == list(range(2, 201, 2))


async def test_a_refused_append_takes_no_other_of_its_group_along(log: SqliteEventLog) -> None:
    await log.append([deleted("a")], WriteKey("k", b"one"))
    keyed = [log.append([deleted("x")], WriteKey("k", digest)) for digest in (b"two", b"one")]
    told = await asyncio.gather(log.append([deleted("b")]), *keyed, return_exceptions=True)
    assert [type(one).__name__ for one in told] == ["Receipt", "KeyReused", "Receipt"]
    assert await names(log) == ["a", "b"]


async def test_what_a_row_holds_comes_back_as_it_is(file: Path, log: SqliteEventLog) -> None:
    await log.append([deleted(name) for name in "abc"])
    other = sqlite3.connect(file)
    other.execute("UPDATE events SET payload = ? WHERE position = 1", (b"\xff\x00",))
    other.execute("UPDATE events SET payload = ? WHERE position = 3", (b"",))
    other.commit()
    other.close()
    first, second, third = await log.read(START, 10)
    assert (first.payload, third.payload) == (b"\xff\x00", b"")
    assert decode(second.payload) == deleted("b")


def test_many_may_open_a_new_log_at_once(tmp_path: Path) -> None:
    async def write(path: Path) -> None:
        log = SqliteEventLog(str(path), poll_seconds=1)
        await log.append([deleted("a")])
        await log.close()

    async def held(path: Path) -> int:
        log = SqliteEventLog(str(path), poll_seconds=1)
        found = len(await log.read(START, 100))
        await log.close()
        return found

    for attempt in range(5):
        path = tmp_path / f"{attempt}.db"
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda _, path=path: asyncio.run(write(path)), range(6)))
        assert asyncio.run(held(path)) == 6


def test_a_new_log_is_opened_though_another_process_makes_it_at_this_moment(file: Path) -> None:
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.3, lambda: other.execute("ROLLBACK"))
    timer.start()
    log = SqliteEventLog(str(file), poll_seconds=1)
    timer.join()
    other.close()
    asyncio.run(log.close())


# Locked, full, lost


async def test_a_locked_log_is_unavailable_for_writing_and_still_read(
    file: Path, log: SqliteEventLog
) -> None:
    await log.append([deleted("a")])
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writing = asyncio.create_task(log.append([deleted("b")]))
    await asyncio.sleep(0.1)
    assert await names(log) == ["a"]
    with pytest.raises(EventLogUnavailable, match="locked"):
        await writing
    other.execute("ROLLBACK")
    other.close()
    await log.append([deleted("c")])
    assert await names(log) == ["a", "c"]


async def test_an_append_that_waited_too_long_is_refused(file: Path) -> None:
    log = SqliteEventLog(str(file), poll_seconds=1, queue_seconds=0.2)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    early = [asyncio.create_task(log.append([deleted("early")])) for _ in range(3)]
    await asyncio.sleep(0.3)
    late = asyncio.create_task(log.append([deleted("late")]))
    await asyncio.sleep(0)
    other.execute("ROLLBACK")
    other.close()
    for task in early:
        with pytest.raises(EventLogUnavailable, match="too many writes"):
            await task
    await late
    assert await names(log) == ["late"]
    await log.close()


async def test_a_full_log_refuses_and_is_read_and_goes_on_when_there_is_room(
    log: SqliteEventLog,
) -> None:
    await log.append([deleted("a")])
    pages = log._writer._connection.execute("PRAGMA page_count").fetchone()[0]
    log._writer._connection.execute(f"PRAGMA max_page_count = {pages}")
    large = [deleted("v" * 100_000), deleted("w")]
    for _ in range(2):
        with pytest.raises(EventLogFull):
            await log.append(large)
    assert await names(log) == ["a"]
    log._writer._connection.execute("PRAGMA max_page_count = 1000000")
    await log.append(large)
    assert len(await names(log)) == 3


def test_a_disk_that_is_full_loses_nothing_that_was_acknowledged(file: Path) -> None:
    child = start(CRAMPED, str(file))
    output, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    recorded, held, after = json.loads(output)
    assert recorded == held > 10
    assert after == held + 2


@pytest.mark.parametrize("pattern", ["events.db*", "events.db"])
async def test_a_file_that_is_deleted_while_open_is_not_written_on(
    file: Path, log: SqliteEventLog, pattern: str
) -> None:
    other = SqliteEventLog(str(file), poll_seconds=1)
    old = (await log.append([deleted("a"), deleted("b")])).position
    assert await names(other) == ["a", "b"]
    for found in file.parent.glob(pattern):
        found.unlink()
    new = (await log.append([deleted("c")])).position
    assert place_of(new).number == 1
    assert place_of(new).epoch > place_of(old).epoch
    for reader in (log, other):
        assert await names(reader) == ["c"]
        with pytest.raises(LogReplaced):
            await reader.read(old, 10)
    await other.append([deleted("d")])
    await other.close()
    assert await names(log) == ["c", "d"]
    after = sqlite3.connect(file)
    assert after.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    after.close()


async def test_what_was_written_to_a_file_just_deleted_is_not_acknowledged(
    file: Path, log: SqliteEventLog
) -> None:
    await log.append([deleted("a")])
    connection = log._writer._connection

    def delete(statement: str) -> None:
        if statement == "COMMIT":
            file.unlink()

    connection.set_trace_callback(delete)
    with pytest.raises(EventLogUnavailable, match="removed or replaced"):
        await log.append([deleted("b")])
    await log.append([deleted("c")])
    assert await names(log) == ["c"]


async def test_a_log_whose_folder_comes_back_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    log = SqliteEventLog(str(folder / "events.db"), poll_seconds=1)
    await log.append([deleted("a")])
    folder.rename(tmp_path / "away")
    folder.write_text("", "utf-8")
    for _ in range(2):
        with pytest.raises(EventLogUnavailable, match=r"events\.db"):
            await log.append([deleted("b")])
        with pytest.raises(EventLogUnavailable, match=r"events\.db"):
            await log.read(START, 1)
    folder.unlink()
    (tmp_path / "away").rename(folder)
    await log.append([deleted("c")])
    assert await names(log) == ["a", "c"]
    await log.close()


async def test_an_append_to_a_closed_log_says_so(log: SqliteEventLog) -> None:
    await log.close()
    async with asyncio.timeout(5):
        with pytest.raises(RuntimeError):
            await log.append([deleted("a")])


# Opening


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\x00" * 20])
def test_a_file_that_is_no_event_log_is_named(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(EventLogUnavailable, match=r"events\.db"):
        SqliteEventLog(str(file), poll_seconds=1)


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(EventLogUnavailable, match="event log"):
        SqliteEventLog(str(tmp_path), poll_seconds=1)


def test_a_parent_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(EventLogUnavailable, match="event log"):
        SqliteEventLog(str(tmp_path / "file" / "events.db"), poll_seconds=1)


@pytest.mark.parametrize(
    "url", ["", "events.db", "sqlite://", "sqlite:///", "sqlite://x", "mysql://u:hunter2@h/db"]
)
def test_an_unsupported_url_says_what_is_supported_and_no_secret(url: str) -> None:
    with pytest.raises(UnsupportedEventLog, match="sqlite:///relative/path") as raised:
        open_event_log(url)
    assert "hunter2" not in str(raised.value)


async def test_a_url_may_be_relative_or_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for url in ("sqlite:///here/events.db", f"sqlite:///{tmp_path}/there.db"):
        await open_event_log(url).close()
    assert (tmp_path / "here/events.db").is_file()
    assert (tmp_path / "there.db").is_file()
