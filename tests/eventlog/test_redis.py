"""The Redis log and a server that dies, stands still, fills up, forgets or is not there."""

import asyncio
import signal
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from eventlog.errors import (
    EventLogFull,
    EventLogUnavailable,
    LogReplaced,
    PositionTrimmed,
    UnsupportedEventLog,
)
from eventlog.events import VideoDeleted, decode
from eventlog.log import KEY_SECONDS, WriteKey, open_event_log
from eventlog.position import START, Position, place_of
from eventlog.redis import BLOCK_SECONDS, RETRY_SECONDS, RedisEventLog
from tests.support.redis import RedisServer

pytestmark = pytest.mark.anyio

# What a call may take on a server that is not there; measured with both cores busy.
BOUND = 2.5
# What was read before is enough memory for the server itself, not for much beside it.
FULL = ("CONFIG", "SET", "maxmemory", "1")
ROOM = ("CONFIG", "SET", "maxmemory", "0")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of the test's own."""
    with RedisServer(tmp_path) as server:
        yield server.start()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[RedisEventLog]:
    log = RedisEventLog(url)
    try:
        yield log
    finally:
        await log.close()


@pytest.fixture
async def log(server: RedisServer) -> AsyncIterator[RedisEventLog]:
    async with opened(server.url) as log:
        yield log


async def record(log: RedisEventLog, names: str, key: WriteKey | None = None) -> Position:
    events = [VideoDeleted(video_id=name, recorded_at=0) for name in names]
    return (await log.append(events, key)).position


async def names(log: RedisEventLog, after: Position = START) -> str:
    events = [decode(entry.payload) for entry in await log.read(after, 1_000_000)]
    return "".join(event.video_id for event in events if isinstance(event, VideoDeleted))


async def refusal(call: Callable[[], object], kind: type[Exception]) -> str:
    """Return what `call` says when it gives up, in time."""
    began = time.monotonic()
    with pytest.raises(kind) as raised:
        await call()  # type: ignore[misc] # an async function
    assert time.monotonic() - began < BOUND
    return str(raised.value)


async def everything_is_refused(log: RedisEventLog) -> None:
    calls = [lambda: record(log, "x"), lambda: log.read(START, 1), log.head]
    await asyncio.gather(*[refusal(call, EventLogUnavailable) for call in calls])


# A server that dies


async def test_what_was_acknowledged_survives_kill_9(
    server: RedisServer, log: RedisEventLog
) -> None:
    acknowledged: list[Position] = []
    enough = asyncio.Event()

    async def write() -> None:
        while True:
            acknowledged.append(await record(log, "abc"))
            if len(acknowledged) > 40:
                enough.set()

    writers = [asyncio.create_task(write()) for _ in range(4)]
    await enough.wait()
    server.kill()
    told = await asyncio.gather(*writers, return_exceptions=True)
    assert {type(one) for one in told} == {EventLogUnavailable}
    server.start()
    entries = await log.read(START, 100_000)
    assert {entry.position for entry in entries} >= set(acknowledged)
    assert await names(log) == "abc" * (len(entries) // 3)
    assert place_of(await record(log, "d")).number == len(entries) + 1


async def test_a_server_that_was_restarted_is_used_at_once(
    server: RedisServer, log: RedisEventLog
) -> None:
    head = await record(log, "a")
    waiting = asyncio.create_task(log.grown(head))
    await asyncio.sleep(0.1)
    server.kill()
    with pytest.raises(EventLogUnavailable):
        await waiting
    server.start()
    await record(log, "b")
    await log.grown(head)
    assert await names(log) == "ab"


async def test_a_trimmed_log_survives_a_restart(server: RedisServer, log: RedisEventLog) -> None:
    last = await record(log, "ab")
    await log.trim(last)
    server.compact()
    server.kill()
    server.start()
    assert await log.head() == last
    assert place_of(await record(log, "c")).number == 3
    assert await names(log, after=last) == "c"
    with pytest.raises(PositionTrimmed):
        await log.read(START, 1)


async def test_a_server_that_is_not_there_is_unavailable_until_it_comes(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        async with opened(server.url) as log:
            await everything_is_refused(log)
            await refusal(lambda: log.grown(START), EventLogUnavailable)
            server.start()
            await record(log, "a")
            await log.grown(START)
            assert await names(log) == "a"


# A server that stands still


async def test_a_server_that_stands_still_is_unavailable_until_it_goes_on(
    server: RedisServer, log: RedisEventLog
) -> None:
    head = await record(log, "a")
    server.signal(signal.SIGSTOP)
    waiting = asyncio.create_task(log.grown(head))
    await everything_is_refused(log)
    async with asyncio.timeout(BLOCK_SECONDS + 0.5):
        with pytest.raises(EventLogUnavailable):
            await waiting
    server.signal(signal.SIGCONT)
    await record(log, "b")
    # The refused append may have been in the server's ears already: then it is there, once.
    assert await names(log) in {"ab", "axb"}


async def test_many_calls_to_a_server_that_stands_still_all_end(
    server: RedisServer, log: RedisEventLog
) -> None:
    server.signal(signal.SIGSTOP)
    began = time.monotonic()
    calls = [record(log, "x") for _ in range(100)]
    told = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(one) for one in told} == {EventLogUnavailable}
    assert time.monotonic() - began < BOUND
    server.signal(signal.SIGCONT)
    found = [await record(log, "y") for _ in range(100)]
    assert len(set(found)) == 100


async def test_an_append_whose_answer_was_lost_is_recorded_once(
    server: RedisServer, log: RedisEventLog
) -> None:
    """The server stands still for longer than an answer is waited for: the log asks again."""
    await record(log, "a")
    server.signal(signal.SIGSTOP)
    appends = [
        asyncio.create_task(record(log, "b")),
        asyncio.create_task(record(log, "c", WriteKey("k", b"d"))),
    ]
    await asyncio.sleep(1.3)
    server.signal(signal.SIGCONT)
    positions = await asyncio.gather(*appends)
    assert sorted(await names(log)) == ["a", "b", "c"]
    assert len(set(positions)) == 2
    # Both were sent twice: else this test would show nothing.
    assert server.ask("INFO", "commandstats")["cmdstat_evalsha"]["calls"] >= 5


async def test_the_first_append_with_a_key_is_no_repetition_though_it_was_sent_twice(
    server: RedisServer, log: RedisEventLog
) -> None:
    await record(log, "a")
    server.signal(signal.SIGSTOP)
    event = VideoDeleted(video_id="b", recorded_at=0)
    append = asyncio.create_task(log.append([event], WriteKey("k", b"d")))
    await asyncio.sleep(1.3)
    server.signal(signal.SIGCONT)
    receipt = await append
    assert not receipt.repeated
    assert (await log.append([event], WriteKey("k", b"d"))).repeated
    assert await names(log) == "ab"


async def test_keys_are_forgotten_in_time(server: RedisServer, log: RedisEventLog) -> None:
    await record(log, "a", WriteKey("k", b"d"))
    await record(log, "b")
    (call,) = server.ask("KEYS", "{reco}:call:*")
    assert KEY_SECONDS - 60 < server.ask("TTL", "{reco}:key:k") <= KEY_SECONDS
    assert 0 < server.ask("TTL", call) <= RETRY_SECONDS


# A server that is full


async def test_a_full_server_refuses_and_is_read_and_goes_on_when_there_is_room(
    server: RedisServer, log: RedisEventLog
) -> None:
    last = await record(log, "ab")
    server.ask(*FULL)
    for call in (lambda: record(log, "xyz"), lambda: record(log, "x", WriteKey("k", b"d"))):
        await refusal(call, EventLogFull)
    assert await log.head() == last
    assert await names(log) == "ab"
    await log.grown(START)
    server.ask(*ROOM)
    await record(log, "c", WriteKey("k", b"other"))
    assert await names(log) == "abc"


async def test_a_full_server_without_a_log_begins_none(
    server: RedisServer, log: RedisEventLog
) -> None:
    server.ask(*FULL)
    await refusal(lambda: record(log, "x"), EventLogFull)
    assert await log.head() == START
    server.ask(*ROOM)
    assert server.ask("KEYS", "*") == []


async def test_a_full_server_that_forgot_its_scripts_is_read(
    server: RedisServer, log: RedisEventLog
) -> None:
    await record(log, "ab")
    server.ask("SCRIPT", "FLUSH")
    server.ask(*FULL)
    assert await names(log) == "ab"
    await refusal(lambda: record(log, "x"), EventLogFull)


async def test_trimming_makes_room_on_a_full_server(
    server: RedisServer, log: RedisEventLog
) -> None:
    last = START
    for _ in range(40):
        event = VideoDeleted(video_id="v" * 100_000, recorded_at=0)
        last = (await log.append([event])).position
    server.ask(
        "CONFIG", "SET", "maxmemory", server.ask("INFO", "memory")["used_memory"] - 1_000_000
    )
    await refusal(lambda: record(log, "x"), EventLogFull)
    await log.trim(last)
    with pytest.raises(PositionTrimmed):
        await log.read(START, 1)
    assert await record(log, "a") > last


# A server that forgets


@pytest.mark.parametrize("lost", ["{reco}:events", "{reco}:extent"])
async def test_a_log_of_which_half_is_gone_is_another_log(
    server: RedisServer, log: RedisEventLog, lost: str
) -> None:
    old = await record(log, "abc", WriteKey("k", b"d"))
    await log.trim(Position(old[:-1] + "1"))
    server.ask("DEL", lost)
    for call in (lambda: log.read(old, 10), lambda: log.trim(old)):
        await refusal(call, LogReplaced)
    kept = "" if lost.endswith("events") else "bc"
    new = await record(log, "d", WriteKey("k", b"d"))
    assert place_of(new).epoch > place_of(old).epoch
    assert place_of(new).number == (4 if kept else 1)
    if kept:
        with pytest.raises(PositionTrimmed, match="were trimmed"):
            await log.read(START, 10)
    first = Position(new[:-1] + "1") if kept else START
    assert await names(log, after=first) == kept + "d"
    assert await log.head() == new
    await refusal(lambda: log.read(old, 10), LogReplaced)


async def test_waiting_for_growth_of_a_log_that_vanishes_ends(
    server: RedisServer, log: RedisEventLog
) -> None:
    head = await record(log, "ab")
    waiting = asyncio.create_task(log.grown(head))
    await asyncio.sleep(0.1)
    server.ask("FLUSHALL")
    async with asyncio.timeout(BOUND):
        await waiting
    await refusal(lambda: log.read(head, 1), LogReplaced)


async def test_a_stream_that_somebody_else_trimmed_is_missed(
    server: RedisServer, log: RedisEventLog
) -> None:
    last = await record(log, "abcd")
    server.ask("XTRIM", "{reco}:events", "MAXLEN", 2)
    await refusal(lambda: log.read(START, 10), PositionTrimmed)
    assert await names(log, after=Position(last[:-1] + "2")) == "cd"


async def test_what_somebody_else_added_is_no_event(
    server: RedisServer, log: RedisEventLog
) -> None:
    last = await record(log, "ab")
    server.ask("XADD", "{reco}:events", "*", "a", "b")
    await refusal(lambda: log.read(last, 10), PositionTrimmed)


async def test_a_key_of_another_kind_is_named_and_left_alone(
    server: RedisServer, log: RedisEventLog
) -> None:
    server.ask("SET", "{reco}:events", "mine")
    assert "WRONGTYPE" in await refusal(lambda: record(log, "a"), EventLogUnavailable)
    assert server.ask("KEYS", "*") == ["{reco}:events"]


async def test_logs_with_other_prefixes_are_other_logs(server: RedisServer) -> None:
    async with (
        opened(server.url) as one,
        opened(f"{server.url}?prefix=two") as two,
        opened(server.url.removesuffix("0") + "1") as three,
    ):
        for log, text in ((one, "a"), (two, "bc"), (three, "def")):
            await record(log, text, WriteKey("k", text.encode()))
        await record(one, "a", WriteKey("k", b"a"))
        assert [await names(log) for log in (one, two, three)] == ["a", "bc", "def"]


# Secrets and URLs


async def test_a_wrong_password_is_unavailable_and_not_told(tmp_path: Path) -> None:
    with RedisServer(tmp_path, "--requirepass", "p@ss/word") as server:
        server.password = "p@ss/word"  # noqa: S105 - of this test
        server.start()
        async with opened(f"redis://:hunter2@127.0.0.1:{server.port}") as log:
            for call in (lambda: record(log, "a"), lambda: log.grown(START)):
                said = await refusal(call, EventLogUnavailable)
                assert "hunter2" not in said
                assert str(server.port) in said
        async with opened(f"redis://default:p%40ss%2Fword@127.0.0.1:{server.port}/0") as log:
            await record(log, "a")
            assert await names(log) == "a"


@pytest.mark.parametrize(
    "rest",
    [
        "",
        ":hunter2@",
        ":hunter2@host:port",
        ":hunter2@host:99999",
        ":hunter2@host/zero",
        ":hunter2@host/0/1",
        ":hunter2@host/0?prefix={x}",
        ":hunter2@host/0?prefix=",
        ":hunter2@host/0?timeout=1",
        ":hunter2@host/0?ssl_ca_certs=file" + "&x=1",
        ":hunter2#x@host",
        ":hunter2@[::1",
        "user:hunter2/word@host",  # what stands for the port here is a part of the password
    ],
)
@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_a_malformed_url_says_what_is_expected_and_no_secret(scheme: str, rest: str) -> None:
    with pytest.raises(UnsupportedEventLog, match="expected redis://") as raised:
        open_event_log(f"{scheme}://{rest}")
    assert "hunter2" not in "".join(traceback.format_exception(raised.value))


async def test_a_server_that_does_not_speak_tls_is_unavailable(server: RedisServer) -> None:
    async with opened(f"rediss://127.0.0.1:{server.port}") as log:
        await refusal(lambda: record(log, "a"), EventLogUnavailable)
