"""Windows of an import: nothing twice, nothing left out, whatever is cut where."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from client import AsyncClient, Client, ImportProgress, Problem, RejectedLine, Retries, Video
from client.importing import WINDOW_LINES, Windows, windows
from tests.support.clients import Way, connected
from tests.support.scripted import Answer, scripted

WAYS: list[Way] = ["waiting", "asyncio"]
QUICK = Retries(attempts=3, first_seconds=0.01)


def videos(count: int) -> list[Video]:
    return [Video(video_id=f"v{n}", features={"visual": [0.5]}) for n in range(count)]


def said(*events: dict[str, Any], **more: Any) -> Answer:
    return Answer(200, "".join(json.dumps(event) + "\n" for event in events).encode(), **more)


def progress(lines: int, rejected: int = 0, event: str = "progress", **more: Any) -> dict[str, Any]:
    position = f"p{lines}"
    counts = {"lines": lines, "accepted": lines - rejected, "rejected": rejected}
    return {"event": event, **counts, "position": position, "degraded": None, **more}


def rejected(line: int) -> dict[str, Any]:
    return {"event": "rejected", "line": line, "video_id": None, "problem": {"status": 422}}


def sent(body: bytes) -> list[str]:
    return [json.loads(line)["video_id"] for line in body.split(b"\n")]


@pytest.mark.parametrize("way", WAYS)
def test_after_a_cut_it_goes_on_behind_what_was_told(way: Way) -> None:
    whole = said(progress(2), rejected(3), progress(4, 1))
    cut = whole._replace(cut=len(said(progress(2), rejected(3)).body))
    rest = said(rejected(1), progress(2, 1), progress(2, 1, "ended", problem=None))
    with scripted([cut, rest]) as script, connected(way, script.url, retries=QUICK) as client:
        told = list(client.import_videos(videos(4)))
    assert [sent(asked.body) for asked in script.asked] == [["v0", "v1", "v2", "v3"], ["v2", "v3"]]
    # The line that was refused twice is told of once, by its place among all.
    assert [one.line for one in told if isinstance(one, RejectedLine)] == [3]
    assert told[-1] == ImportProgress(lines=4, accepted=3, rejected=1, position="p2")


@pytest.mark.parametrize("way", WAYS)
def test_a_passing_problem_within_is_waited_out(way: Way) -> None:
    full = {"status": 503, "title": "Event log full", "detail": ""}
    first = said(progress(1), progress(1, event="ended", problem=full))
    rest = said(progress(1), progress(1, event="ended", problem=None))
    script_of = [Answer(503), first, Answer(503), rest]
    with scripted(script_of) as script, connected(way, script.url, retries=QUICK) as client:
        assert list(client.import_videos(videos(2)))[-1].lines == 2  # type: ignore[union-attr] # progress
    assert [len(sent(asked.body)) for asked in script.asked] == [2, 2, 1, 1]


@pytest.mark.parametrize("way", WAYS)
def test_without_any_progress_it_gives_up_in_the_end(way: Way) -> None:
    with (
        scripted([said(progress(1)), Answer(503)]) as script,
        connected(way, script.url, retries=QUICK) as client,
    ):
        drawn = iter(client.import_videos(videos(2)))
        assert next(drawn) == ImportProgress(lines=1, accepted=1, position="p1")
        with pytest.raises(Problem):
            next(drawn)
    assert len(script.asked) == 3


def test_a_reply_that_ends_before_the_import_is_a_cut() -> None:
    rest = said(progress(1), progress(1, event="ended", problem=None))
    with scripted([said(progress(1)), rest]) as script, Client(script.url, retries=QUICK) as client:
        assert [one.lines for one in client.import_videos(videos(2))] == [1, 2]  # type: ignore[union-attr] # progress


def test_nothing_is_sent_for_nothing() -> None:
    with scripted([Answer(500)]) as script, Client(script.url) as client:
        assert list(client.import_videos([])) == []
    assert script.asked == []


def test_windows_hold_all_videos_once_and_few_of_them_at_a_time() -> None:
    found = list(windows(videos(2 * WINDOW_LINES + 3)))
    assert [len(lines) for lines in found] == [WINDOW_LINES, WINDOW_LINES, 3]
    names = [json.loads(line)["video_id"] for lines in found for line in lines]
    assert names == [f"v{n}" for n in range(2 * WINDOW_LINES + 3)]


def test_a_window_of_large_videos_is_full_sooner() -> None:
    gathered = Windows()
    large = Video(video_id="v", features={"visual": [0.123456789] * 16_384})
    count = next(n for n in range(1, 1000) if gathered.add(large))
    assert 50 < count < 200


def test_videos_may_come_one_by_one_and_late() -> None:
    import asyncio  # noqa: PLC0415 - for this test alone

    async def late() -> AsyncIterator[Video]:
        for one in videos(2):
            await asyncio.sleep(0)
            yield one

    async def bring(url: str) -> list[Any]:
        async with AsyncClient(url) as client:
            return [told async for told in client.import_videos(late())]

    done = said(progress(2), progress(2, event="ended", problem=None))
    with scripted([done]) as script:
        assert asyncio.run(bring(script.url))[-1].lines == 2
