"""What every event log must do, asked of each there is."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventlog.events import (
    Event,
    InteractionRecorded,
    VideoDeleted,
    VideoUpserted,
    decode,
)
from eventlog.log import START, EventLog, open_event_log
from eventlog.sqlite import SqliteEventLog
from tests.support.protocols import implementations

URLS: dict[type, Callable[[Path], str]] = {
    SqliteEventLog: lambda folder: f"sqlite:///{folder}/log/events.db"
}


def test_no_event_log_escapes_this_suite() -> None:
    assert implementations(EventLog) == set(URLS)


@pytest.fixture(params=URLS.values(), ids=[kind.__name__ for kind in URLS])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], EventLog]:
    """Opens the same log again and again, as several processes would."""
    return lambda: open_event_log(request.param(tmp_path))


@pytest.fixture
def log(reopen: Callable[[], EventLog]) -> EventLog:
    """An empty log."""
    return reopen()


def deleted(name: str) -> VideoDeleted:
    return VideoDeleted(video_id=name, recorded_at=1.5)


def names(log: EventLog, after: str = START, limit: int = 1000) -> list[str]:
    return [decode(entry.payload).video_id for entry in log.read(after, limit)]  # type: ignore[arg-type] # a position of this log


def test_an_empty_log_has_no_head_and_no_entries(log: EventLog) -> None:
    assert log.head() == START
    assert log.read(START, 10) == []


def test_events_come_back_in_order_and_as_they_were(log: EventLog) -> None:
    events: list[Event] = [
        VideoUpserted(
            video_id="a/é😀", features={"visual": b"\x00\x01"}, metadata={"t": [1]}, recorded_at=1.0
        ),
        deleted("b"),
        InteractionRecorded(user_id="u", video_id="v", kind="view", timestamp=2.0, recorded_at=3.0),
    ]
    last = log.append(events)
    assert [decode(entry.payload) for entry in log.read(START, 10)] == events
    assert log.head() == last == log.read(START, 10)[-1].position


def test_positions_rise_as_text_and_are_recognised(log: EventLog) -> None:
    positions = [log.append([deleted(str(n))]) for n in range(12)]
    assert positions == sorted(set(positions))
    assert all(position > START for position in positions)
    assert all(log.is_position(position) for position in positions)
    for text in ("", "x", positions[0] + "0", "-" + positions[0][1:], "\u0661" * 16):
        assert not log.is_position(text)


def test_a_read_begins_behind_its_position_and_keeps_to_its_limit(log: EventLog) -> None:
    first = log.append([deleted(name) for name in "abcd"])
    log.append([deleted(name) for name in "efg"])
    assert names(log, limit=3) == list("abc")
    assert names(log, after=first) == list("efg")
    assert names(log, after=first, limit=2) == list("ef")
    assert names(log, after=log.head()) == []


def test_an_append_that_fails_has_recorded_nothing(log: EventLog) -> None:
    log.append([deleted("before")])
    with pytest.raises(UnicodeEncodeError):
        log.append([deleted("good"), deleted("\ud800")])
    assert names(log) == ["before"]
    log.append([deleted("after")])
    assert names(log) == ["before", "after"]


def test_what_one_process_appends_another_reads(reopen: Callable[[], EventLog]) -> None:
    one, other = reopen(), reopen()
    one.append([deleted("a")])
    position = other.append([deleted("b")])
    assert names(one) == names(other) == ["a", "b"]
    assert one.head() == other.head() == position


def test_a_log_opened_again_goes_on_where_it_ended(reopen: Callable[[], EventLog]) -> None:
    log = reopen()
    last = log.append([deleted("a")])
    log.close()
    again = reopen()
    assert names(again) == ["a"]
    assert again.append([deleted("b")]) > last


def test_batches_of_many_threads_stay_whole(reopen: Callable[[], EventLog]) -> None:
    logs = [reopen(), reopen()]

    def write(batch: int) -> None:
        logs[batch % 2].append([deleted(f"{batch}") for _ in range(5)])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(40)))
    found = names(logs[0])
    assert len(found) == 200
    assert all(len(set(found[start : start + 5])) == 1 for start in range(0, 200, 5))
    assert len(set(found)) == 40


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(batches=st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1)))
def test_a_read_in_any_steps_gives_every_entry_once(
    reopen: Callable[[], EventLog], batches: list[list[str]]
) -> None:
    log = reopen()
    start = log.head()
    for batch in batches:
        log.append([deleted(name) for name in batch])
    found: list[str] = []
    position = start
    while entries := log.read(position, 3):
        found += [decode(entry.payload).video_id for entry in entries]
        position = entries[-1].position
    assert found == [name for batch in batches for name in batch]
    log.close()
