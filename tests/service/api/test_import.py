"""Imports of any length: line by line, told as they go, and nothing acknowledged is ever lost."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from eventlog.position import START
from service.api.lines import Lines
from service.api.outbox import UNREAD_BYTES, Outbox
from service.errors import BodyTooSlow, LineTooLong
from tests.support.server import Api, features

PATH = "/v1/videos:import"
LINES = {"content-type": "application/x-ndjson"}


def row(video_id: str, seed: int = 1, **more: Any) -> bytes:
    return json.dumps({"video_id": video_id, "features": features(seed), **more}).encode()


def bring(api: Api, body: bytes | Iterator[bytes]) -> list[dict[str, Any]]:
    """Import a body and return what was told of it, line by line."""
    response = api.request("POST", PATH, content=body, headers=LINES)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    assert response.text.endswith("\n")
    return [json.loads(line) for line in response.text.splitlines()]


def test_every_good_line_is_recorded_and_every_bad_one_told_by_its_number(api: Api) -> None:
    lines = [row(f"v{n}", n) for n in range(6)]
    lines[1] = b"no JSON"
    lines[2] = b""
    lines[4] = row("short", features={"visual": [1.0]})
    *told, ended = bring(api, b"\n".join(lines))
    rejected = [one for one in told if one["event"] == "rejected"]
    assert [(one["line"], one["video_id"]) for one in rejected] == [(2, None), (5, "short")]
    assert rejected[1]["problem"]["status"] == 422
    assert "line 5: features.visual: expected 64 numbers" in rejected[1]["problem"]["detail"]
    assert (ended["event"], ended["lines"]) == ("ended", 6)
    assert (ended["accepted"], ended["rejected"], ended["problem"]) == (3, 2, None)
    assert ended["position"] == api.head()
    assert len(api.entries(START)) == 3
    assert api.get("/v1/videos/v5").status_code == 200


def test_an_imported_video_is_the_one_that_is_put(api: Api) -> None:
    api.put_video("put", 3, metadata={"title": "t"})
    bring(api, row("imported", 3, metadata={"title": "t"}) + b"\n")
    assert api.similar("put", 1)[0]["video_id"] == "imported"
    assert api.get("/v1/videos/imported").json()["metadata"] == {"title": "t"}


@pytest.mark.parametrize("cut", [1, 7, 100_000])
def test_lines_may_come_in_any_pieces(api: Api, cut: int) -> None:
    body = b"\r\n".join([row("a"), row("b", 2)]) + b"\n"
    pieces = (body[start : start + cut] for start in range(0, len(body), cut))
    assert bring(api, pieces)[-1]["accepted"] == 2


def test_nothing_is_a_good_import_of_nothing(api: Api) -> None:
    (ended,) = bring(api, b"")
    assert ended == {
        "event": "ended",
        "lines": 0,
        "accepted": 0,
        "rejected": 0,
        "position": "",
        "degraded": None,
        "problem": None,
    }


def test_progress_is_told_for_every_thousand_lines(api: Api) -> None:
    told = bring(api, b"\n".join(row(f"v{n}", n % 7) for n in range(2500)))
    progress = [one for one in told if one["event"] == "progress"]
    assert progress[-1]["lines"] == 2500
    assert len(progress) >= 2
    assert [one["lines"] for one in progress] == sorted({one["lines"] for one in progress})
    assert all(one["position"] for one in progress)
    assert api.model()["videos"] == 2560


def test_a_line_too_long_ends_the_import_and_says_where(api: Api) -> None:
    long = b'{"video_id": "' + b"x" * (2 << 20) + b'"}'
    *told, ended = bring(api, b"\n".join([row("before"), long, row("behind")]))
    assert [one["event"] for one in told] == ["progress"]
    assert (ended["lines"], ended["accepted"]) == (1, 1)
    assert (ended["problem"]["status"], ended["problem"]["title"]) == (413, "Line too long")
    assert api.get("/v1/videos/before").status_code == 200
    assert api.get("/v1/videos/behind").status_code == 404


def test_what_ends_an_import_before_it_began_is_answered_as_everywhere(api: Api) -> None:
    response = api.request("POST", PATH, content=b"x" * (3 << 20), headers=LINES)
    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("kind", ["application/json", "text/plain", ""])
def test_a_body_that_is_not_called_lines_is_refused_by_name(api: Api, kind: str) -> None:
    response = api.request("POST", PATH, content=row("v"), headers={"content-type": kind})
    assert response.status_code == 415
    assert "application/x-ndjson" in response.json()["detail"]
    assert api.head() == ""


def test_a_third_import_at_once_is_told_to_come_again(api: Api) -> None:
    async def three() -> list[httpx.Response]:
        gate = asyncio.Event()

        async def slow(number: int) -> Any:
            yield row(f"slow-{number}") + b"\n"
            await gate.wait()

        transport = httpx.ASGITransport(api.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            begun = [
                asyncio.create_task(http.post(PATH, content=slow(number), headers=LINES))
                for number in range(2)
            ]
            await asyncio.sleep(0.2)
            third = await http.post(PATH, content=row("third"), headers=LINES)
            gate.set()
            return [third, *await asyncio.gather(*begun)]

    third, *begun = api._wait(three())
    assert third.status_code == 503
    assert third.headers["retry-after"] == "1"
    assert [response.status_code for response in begun] == [200, 200]


# Lines


def fed(*messages: bytes | float | None) -> Any:
    """Return an ASGI `receive` of these bytes; a number waits, None goes away."""
    rest = iter(messages)

    async def receive() -> Message:
        for one in rest:
            if isinstance(one, bytes):
                return {"type": "http.request", "body": one, "more_body": True}
            if one is None:
                return {"type": "http.disconnect"}
            await asyncio.sleep(one)
        return {"type": "http.request", "body": b"", "more_body": False}

    return receive


async def pieces(lines: Lines) -> list[list[bytes]]:
    found = []
    while piece := await lines.piece():
        found.append(piece)
    return found


def read(*messages: bytes | float | None, seconds: float = 5.0) -> list[list[bytes]]:
    return asyncio.run(pieces(Lines(fed(*messages), max_bytes=10, seconds=seconds)))


def test_no_line_is_lost_or_cut_wherever_the_pieces_end() -> None:
    assert read(b"a\nb", b"c\n\nd", b"", b"e") == [[b"a", b"bc", b"", b"de"]]
    assert [len(piece) for piece in read(b"x\n" * 1700, b"y\n" * 10)] == [1700, 10]


def test_lines_that_wait_for_more_are_handed_on_after_a_second() -> None:
    assert read(b"a\nb", 1.3, b"c\n") == [[b"a"], [b"bc"]]


def test_a_line_of_the_largest_size_is_taken_and_no_longer_one() -> None:
    assert read(b"1234567890\n") == [[b"1234567890"]]
    for body in (b"12345678901\n", b"12345678901"):
        with pytest.raises(LineTooLong):
            read(body)


def test_the_lines_before_one_too_long_are_handed_on_first() -> None:
    async def both() -> list[bytes]:
        lines = Lines(fed(b"a\n123456", b"78901", b"\nb\n"), max_bytes=10, seconds=5)
        found = await lines.piece()
        with pytest.raises(LineTooLong):
            await lines.piece()
        return found

    assert asyncio.run(both()) == [b"a"]


@pytest.mark.parametrize("messages", [[b"a", 0.5], [b"a", 0.06, b"b", 0.06, b"c"], [0.5]])
def test_a_line_that_comes_too_slowly_is_waited_for_no_longer(messages: Sequence[Any]) -> None:
    with pytest.raises(BodyTooSlow):
        read(*messages, seconds=0.1)


def test_slow_lines_are_taken_as_long_as_each_comes_in_time() -> None:
    slow = [part for _ in range(4) for part in (b"a", 0.06, b"\n")]
    assert sum(map(len, read(*slow, seconds=0.1))) == 4


def test_a_client_that_goes_away_ends_the_reading() -> None:
    with pytest.raises(ClientDisconnect):
        read(b"a\nb", None)


def test_no_more_is_read_than_is_asked_for() -> None:
    asked = 0

    async def receive() -> Message:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"x\n" * 500, "more_body": True}

    asyncio.run(Lines(receive, max_bytes=10, seconds=5).piece())
    assert asked == 2


# Replies


def test_a_client_that_reads_nothing_holds_the_work_up_only_so_far() -> None:
    async def put() -> int:
        async def never(_: Message) -> None:
            await asyncio.Event().wait()

        outbox = Outbox(never, media_type="x/y", seconds=0.1)
        taken = 0
        try:
            for _ in range(20):
                await outbox.put(b"x" * (1 << 20))
                taken += 1
        except ClientDisconnect:
            return taken
        finally:
            outbox.drop()
        raise AssertionError("it took all")

    assert asyncio.run(put()) == UNREAD_BYTES >> 20
