"""What every event log must do, asked of each there is."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventlog.errors import EventsLost, KeyReused, LogReplaced, PositionTrimmed
from eventlog.events import Event, InteractionRecorded, VideoDeleted, VideoUpserted, decode
from eventlog.log import EventLog, Receipt, WriteKey, open_event_log
from eventlog.position import START, Place, Position, is_position, place_of
from eventlog.redis import RedisEventLog
from eventlog.sqlite import SqliteEventLog
from tests.support.protocols import implementations
from tests.support.redis import RedisServer

pytestmark = pytest.mark.anyio

Reopen = Callable[[], EventLog]


class Home(Protocol):
    """Where a log is, and what others may do to it."""

    url: str

    def empty(self) -> None:
        """Remove it with all it holds."""

    def delete(self, *numbers: int) -> None:
        """Delete entries, not saying so."""


class SqliteHome:
    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder}/log/events.db"
        self._file = folder / "log/events.db"

    def empty(self) -> None:
        for file in self._file.parent.glob("events.db*"):
            file.unlink()

    def delete(self, *numbers: int) -> None:
        connection = sqlite3.connect(self._file, isolation_level=None)
        connection.executemany("DELETE FROM events WHERE position = ?", [(n,) for n in numbers])
        connection.close()


class RedisHome:
    def __init__(self, server: RedisServer) -> None:
        self.url = server.url
        self._server = server
        self.empty()

    def empty(self) -> None:
        self._server.ask("FLUSHALL")

    def delete(self, *numbers: int) -> None:
        self._server.ask("XDEL", "{reco}:events", *[f"{number}-0" for number in numbers])


HOMES: dict[type, Callable[[pytest.FixtureRequest], Home]] = {
    SqliteEventLog: lambda request: SqliteHome(request.getfixturevalue("tmp_path")),
    RedisEventLog: lambda request: RedisHome(request.getfixturevalue("redis_server")),
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server.start()


@pytest.fixture(params=HOMES.values(), ids=[kind.__name__ for kind in HOMES])
def home(request: pytest.FixtureRequest) -> Home:
    """Where there is no log yet."""
    home: Home = request.param(request)
    return home


@pytest.fixture
async def reopen(home: Home) -> AsyncIterator[Reopen]:
    """Opens the same log again and again, as several processes would."""
    opened: list[EventLog] = []

    def open_once_more() -> EventLog:
        opened.append(open_event_log(home.url, poll_seconds=0.02))
        return opened[-1]

    yield open_once_more
    for log in opened:
        await log.close()


@pytest.fixture
async def log(reopen: Reopen) -> EventLog:
    """An empty log."""
    return reopen()


def deleted(name: str) -> VideoDeleted:
    return VideoDeleted(video_id=name, recorded_at=1.5)


async def record(log: EventLog, names: str, key: WriteKey | None = None) -> Position:
    """Append a batch of one event a letter."""
    return (await log.append([deleted(name) for name in names], key)).position


async def names(log: EventLog, after: Position = START, limit: int = 1000) -> str:
    events = [decode(entry.payload) for entry in await log.read(after, limit)]
    assert all(isinstance(event, VideoDeleted) for event in events)
    return "".join(event.video_id for event in events if isinstance(event, VideoDeleted))


def moved(position: Position, by: int) -> Position:
    """Return the position so many events later."""
    place = place_of(position)
    return Place(place.epoch, place.number + by).position


def test_no_event_log_escapes_this_suite() -> None:
    assert implementations(EventLog) == set(HOMES)


# Recording and reading


async def test_an_empty_log_has_no_head_and_no_entries(log: EventLog) -> None:
    assert await log.head() == START
    assert await log.read(START, 10) == []


async def test_events_come_back_in_order_and_as_they_were(log: EventLog) -> None:
    events: list[Event] = [
        VideoUpserted(
            video_id="a/é😀", features={"visual": b"\x00\x01"}, metadata={"t": [1]}, recorded_at=1.0
        ),
        deleted("b"),
        InteractionRecorded(user_id="u", video_id="v", kind="view", timestamp=2.0, recorded_at=3.0),
    ]
    receipt = await log.append(events)
    entries = await log.read(START, 10)
    assert [decode(entry.payload) for entry in entries] == events
    assert receipt == Receipt(entries[-1].position, repeated=False)
    assert await log.head() == receipt.position


async def test_positions_count_events_and_rise_as_text(log: EventLog) -> None:
    positions = [await record(log, "x") for _ in range(12)]
    assert positions == sorted(set(positions))
    assert all(is_position(position) and position > START for position in positions)
    assert [place_of(position).number for position in positions] == list(range(1, 13))
    assert len({place_of(position).epoch for position in positions}) == 1


async def test_a_read_begins_behind_its_position_and_keeps_to_its_limit(log: EventLog) -> None:
    first = await record(log, "abcd")
    await record(log, "efg")
    assert await names(log, limit=3) == "abc"
    assert await names(log, after=first) == "efg"
    assert await names(log, after=first, limit=2) == "ef"
    assert await names(log, after=await log.head()) == ""


async def test_an_append_that_fails_has_recorded_nothing(log: EventLog) -> None:
    await record(log, "a")
    with pytest.raises(UnicodeEncodeError):
        await record(log, "b\ud800")
    assert await names(log) == "a"
    await record(log, "c")
    assert await names(log) == "ac"


async def test_an_append_of_nothing_records_nothing(log: EventLog) -> None:
    assert await log.append([], WriteKey("k", b"")) == Receipt(START, repeated=False)
    position = await record(log, "a")
    assert await log.append([]) == Receipt(position, repeated=False)
    assert await names(log) == "a"


async def test_large_events_are_read_whole(log: EventLog) -> None:
    features = {"visual": bytes(range(256)) * 4000}
    event = VideoUpserted(video_id="v", features=features, metadata={}, recorded_at=0)
    for _ in range(6):
        await log.append([event] * 2)
    entries = await log.read(START, 100)
    assert [decode(entry.payload) for entry in entries] == [event] * 12


async def test_a_batch_larger_than_a_page_is_read_whole(log: EventLog) -> None:
    await log.append([deleted(str(number)) for number in range(1200)])
    found = [decode(entry.payload) for entry in await log.read(START, 5000)]
    assert found == [deleted(str(number)) for number in range(1200)]
    assert len(await log.read(START, 1100)) == 1100


# Several processes


async def test_what_one_process_appends_another_reads(reopen: Reopen) -> None:
    one, other = reopen(), reopen()
    await record(one, "a")
    position = await record(other, "b")
    assert await names(one) == await names(other) == "ab"
    assert await one.head() == await other.head() == position


async def test_a_log_opened_again_goes_on_where_it_ended(reopen: Reopen) -> None:
    log = reopen()
    last = await record(log, "a")
    await log.close()
    again = reopen()
    assert await names(again) == "a"
    assert await record(again, "b") == moved(last, 1)


async def test_batches_of_many_at_once_stay_whole_and_leave_no_gap(reopen: Reopen) -> None:
    logs = [reopen() for _ in range(3)]

    async def write(batch: int) -> Position:
        events = [deleted(f"{batch}") for _ in range(5)]
        return (await logs[batch % 3].append(events)).position

    told = await asyncio.gather(*[write(batch) for batch in range(60)])
    entries = await logs[0].read(START, 1000)
    found = [decode(entry.payload) for entry in entries]
    assert [place_of(entry.position).number for entry in entries] == list(range(1, 301))
    for batch, position in enumerate(told):
        last = place_of(position).number
        assert found[last - 5 : last] == [deleted(f"{batch}")] * 5


async def test_growth_by_another_process_is_noticed_soon(reopen: Reopen) -> None:
    log, other = reopen(), reopen()
    head = await record(log, "a")
    waiting = asyncio.create_task(log.grown(head))
    await asyncio.sleep(0.05)
    await record(other, "b")
    async with asyncio.timeout(0.5):
        await waiting
    assert await names(log, after=head) == "b"


async def test_waiting_for_growth_ends_without_growth_too(log: EventLog) -> None:
    for after in (START, await record(log, "a")):
        async with asyncio.timeout(3):
            await log.grown(after)


async def test_a_given_up_wait_for_growth_harms_nothing(log: EventLog) -> None:
    head = await record(log, "a")
    for _ in range(40):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.005):
                await log.grown(head)
    position = await record(log, "b")
    assert await log.head() == position
    async with asyncio.timeout(0.5):
        await log.grown(head)
    assert await names(log, after=head) == "b"


async def test_given_up_calls_harm_nothing(log: EventLog) -> None:
    """A cancelled call's answer must not be taken for the next call's."""
    await record(log, "a")
    calls: list[Callable[[], Any]] = [
        log.head,
        lambda: log.read(START, 1),
        lambda: record(log, "x"),
    ]
    for at in range(60):
        task = asyncio.create_task(calls[at % 3]())
        await asyncio.sleep(at * 0.00003)
        task.cancel()
        await asyncio.wait([task])
    # An append that was given up may still be on its way, and come before or behind.
    position = await record(log, "b")
    assert await names(log, after=moved(position, -1), limit=1) == "b"
    assert await log.head() >= position
    found = await names(log)
    assert (found[0], found.count("b")) == ("a", 1)


async def test_closing_twice_is_closing_once(reopen: Reopen) -> None:
    used, unused = reopen(), reopen()
    await record(used, "a")
    for log in (used, used, unused, unused):
        await log.close()


# Idempotency keys


async def test_a_key_that_comes_again_records_nothing_and_says_where(reopen: Reopen) -> None:
    log, other = reopen(), reopen()
    key = WriteKey("key/é\x00{}", b"\x00digest\xff")
    first = await log.append([deleted("a"), deleted("b")], key)
    await record(log, "c")
    assert await other.append([deleted("a"), deleted("b")], key) == Receipt(first.position, True)
    assert await log.append([deleted("z")], key) == Receipt(first.position, repeated=True)
    assert not first.repeated
    assert await names(log) == "abc"


async def test_a_key_with_another_digest_is_refused(log: EventLog) -> None:
    await record(log, "a", WriteKey("k", b"one"))
    for digest in (b"two", b"", b"one "):
        with pytest.raises(KeyReused, match="'k'"):
            await record(log, "b", WriteKey("k", digest))
    assert await names(log) == "a"
    await record(log, "b", WriteKey("k2", b"two"))
    assert await names(log) == "ab"


async def test_equal_keys_at_once_record_once(reopen: Reopen) -> None:
    logs = [reopen() for _ in range(3)]
    key = WriteKey("k", b"d")
    appends = [logs[n % 3].append([deleted("a"), deleted("b")], key) for n in range(30)]
    receipts = await asyncio.gather(*appends)
    assert {receipt.position for receipt in receipts} == {await logs[0].head()}
    assert [receipt.repeated for receipt in receipts].count(False) == 1
    assert await names(logs[0]) == "ab"


async def test_a_key_that_no_text_encoding_has_harms_no_other_append(log: EventLog) -> None:
    appends = [log.append([deleted("a")]) for _ in range(3)]
    bad = log.append([deleted("x")], WriteKey("\ud800", b"d"))
    *good, refused = await asyncio.gather(*appends, bad, return_exceptions=True)
    assert isinstance(refused, UnicodeEncodeError)
    assert all(isinstance(receipt, Receipt) for receipt in good)
    assert await names(log) == "aaa"


async def test_a_key_of_a_log_that_is_gone_is_not_known(log: EventLog, home: Home) -> None:
    await record(log, "a", WriteKey("k", b"d"))
    home.empty()
    receipt = await log.append([deleted("b")], WriteKey("k", b"d"))
    assert not receipt.repeated
    assert await names(log) == "b"


# Trimming


async def test_who_has_read_what_is_trimmed_reads_on_and_others_notice(reopen: Reopen) -> None:
    log, other = reopen(), reopen()
    second = await record(log, "ab")
    await record(log, "cd")
    await log.trim(second)
    for reader in (log, other):
        assert await names(reader, after=second) == "cd"
        assert await names(reader, after=moved(second, 1)) == "d"
        for behind in (START, moved(second, -1)):
            with pytest.raises(PositionTrimmed, match="were trimmed"):
                await reader.read(behind, 10)


async def test_a_log_that_is_trimmed_whole_goes_on(reopen: Reopen) -> None:
    log = reopen()
    last = await record(log, "abc")
    await log.trim(last)
    assert await log.head() == last
    assert await names(log, after=last) == ""
    with pytest.raises(PositionTrimmed, match="were trimmed"):
        await log.read(START, 10)
    assert await record(reopen(), "d") == moved(last, 1)
    assert await names(log, after=last) == "d"


async def test_trimming_never_goes_back(log: EventLog) -> None:
    third = await record(log, "abc")
    await record(log, "de")
    for upto in (third, third, moved(third, -1), START):
        await log.trim(upto)
        assert await names(log, after=third) == "de"
        with pytest.raises(PositionTrimmed, match="were trimmed"):
            await log.read(moved(third, -1), 10)


async def test_an_empty_log_is_trimmed_to_nothing(log: EventLog) -> None:
    await log.trim(START)
    assert await log.read(START, 10) == []


async def test_what_is_not_of_this_log_trims_nothing(log: EventLog) -> None:
    last = await record(log, "abc")
    for strange in (moved(last, 1), Place("0" * 16, 1).position):
        with pytest.raises(LogReplaced):
            await log.trim(strange)
    assert await names(log) == "abc"


# What others do to it


async def test_a_log_that_was_emptied_is_another_log(reopen: Reopen, home: Home) -> None:
    log, other = reopen(), reopen()
    old = await record(log, "ab")
    assert await names(other) == "ab"
    home.empty()
    for reader in (log, other):
        with pytest.raises(LogReplaced):
            await reader.read(old, 10)
        with pytest.raises(LogReplaced):
            await reader.read(moved(old, -1), 10)
        assert await names(reader) == ""
        assert await reader.head() == START
    new = await record(log, "cde")
    assert place_of(new).number == 3
    assert place_of(new).epoch > place_of(old).epoch
    assert new > old
    for reader in (log, other):
        assert await names(reader) == "cde"
        with pytest.raises(LogReplaced):
            await reader.read(old, 10)
        with pytest.raises(LogReplaced):
            await reader.trim(old)


async def test_a_position_ahead_of_the_log_is_not_of_it(log: EventLog) -> None:
    last = await record(log, "ab")
    with pytest.raises(LogReplaced):
        await log.read(moved(last, 1), 10)


async def test_what_somebody_else_deleted_is_missed(log: EventLog, home: Home) -> None:
    last = await record(log, "abcdef")
    home.delete(1, 2)
    assert await names(log, after=moved(last, -4)) == "cdef"
    for behind in (START, moved(last, -5)):
        with pytest.raises(PositionTrimmed):
            await log.read(behind, 10)
    home.delete(5)
    with pytest.raises(PositionTrimmed):
        await names(log, after=moved(last, -4))
    assert await names(log, after=moved(last, -1)) == "f"
    home.delete(3, 4, 6)
    with pytest.raises(PositionTrimmed):
        await log.read(moved(last, -1), 10)
    assert await names(log, after=last) == ""
    assert await record(log, "g") == moved(last, 1)


# Any sequence of calls

QUICK = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@QUICK
@given(batches=st.lists(st.text("abc", min_size=1)))
async def test_a_read_in_any_steps_gives_every_entry_once(
    reopen: Reopen, batches: list[str]
) -> None:
    log = reopen()
    position = await log.head()
    for batch in batches:
        await record(log, batch)
    found = ""
    while entries := await log.read(position, 3):
        found += "".join(decode(entry.payload).video_id for entry in entries)  # type: ignore[union-attr] # VideoDeleted
        position = entries[-1].position
    assert found == "".join(batches)
    await log.close()


STEP = st.one_of(
    st.tuples(st.just("append"), st.text("abc", min_size=1, max_size=4)),
    st.tuples(st.just("keyed"), st.sampled_from("kl")),
    st.tuples(st.just("trim"), st.integers(0, 12)),
    st.tuples(st.just("read"), st.tuples(st.integers(0, 12), st.integers(1, 5))),
    st.tuples(st.just("empty"), st.none()),
)


class Model:
    """What a log should hold, as a list."""

    def __init__(self) -> None:
        self.old: Position = START
        self.begin()

    def begin(self) -> None:
        self.held, self.trimmed, self.epoch = "", 0, ""
        self.keys: dict[str, int] = {}

    def at(self, number: int) -> Position:
        return Place(self.epoch or "f" * 16, number).position if number else START

    def expected(self, number: int, limit: int) -> str | type[EventsLost]:
        if number > len(self.held):
            return LogReplaced
        return self.held[number:][:limit] if number >= self.trimmed else PositionTrimmed


async def play(log: EventLog, home: Home, model: Model, step: str, said: Any) -> None:
    """Do one step to the log and the model."""
    if step == "append" or (step == "keyed" and said not in model.keys):
        key = WriteKey(said, b"") if step == "keyed" else None
        position = await record(log, said, key)
        model.held += said
        model.epoch = place_of(position).epoch
        assert position == model.at(len(model.held))
        if key:
            model.keys[said] = len(model.held)
    elif step == "keyed":
        receipt = await log.append([deleted("z")], WriteKey(said, b""))
        assert receipt == Receipt(model.at(model.keys[said]), repeated=True)
    elif step == "trim":
        number = min(said, len(model.held))
        await log.trim(model.at(number))
        model.trimmed = max(model.trimmed, number)
    elif step == "read":
        await compare(log, model, *said)
    else:
        model.old = model.at(len(model.held))
        home.empty()
        model.begin()


async def compare(log: EventLog, model: Model, number: int, limit: int) -> None:
    expected = model.expected(number, limit)
    if isinstance(expected, str):
        assert await names(log, model.at(number), limit) == expected
    else:
        with pytest.raises(expected):
            await log.read(model.at(number), limit)


@QUICK
@given(steps=st.lists(STEP, max_size=25))
async def test_any_sequence_of_calls_does_what_a_list_would(
    reopen: Reopen, home: Home, steps: list[tuple[str, Any]]
) -> None:
    home.empty()
    logs = [reopen(), reopen()]
    model = Model()
    for at, (step, said) in enumerate(steps):
        await play(logs[at % 2], home, model, step, said)
    for log in logs:
        assert await log.head() == model.at(len(model.held))
        for number in range(len(model.held) + 2):
            await compare(log, model, number, 100)
        if model.old != START:
            with pytest.raises(LogReplaced):
                await log.read(model.old, 1)
        await log.close()
