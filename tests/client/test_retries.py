"""When a call is made again: only if that is safe and may help, and never in step with others."""

import json
import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from client import (
    NEVER,
    Client,
    Interaction,
    Problem,
    Retries,
    UnexpectedAnswer,
    Unreachable,
    Video,
)
from tests.support.clients import Way, connected
from tests.support.scripted import Answer, scripted

QUICK = Retries(first_seconds=0.01)
WAYS: list[Way] = ["waiting", "asyncio"]
LATER = Answer(503, b'{"title": "Overloaded", "status": 503, "detail": "too many"}')
WRITTEN = Answer(200, b'{"position": "1-1", "video_id": "v", "accepted": 1, "results": []}')
LIST = Answer(200, b'{"bundle_id": "b", "position": "", "recommendations": []}')

WRITES: list[Callable[[Client], Any]] = [
    lambda client: client.put_video("v", {"visual": [1.0]}),
    lambda client: client.patch_video("v", state="hidden"),
    lambda client: client.delete_video("v"),
    lambda client: client.put_videos([Video(video_id="v", features={"visual": [1.0]})]),
    lambda client: client.record([Interaction(user_id="u", video_id="v", kind="like")]),
    lambda client: client.erase_user("u"),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_what_may_pass_is_asked_again_until_it_is_answered(way: Way, status: int) -> None:
    with (
        scripted([Answer(status), Answer(status), LIST]) as script,
        connected(way, script.url, retries=QUICK) as client,
    ):
        assert client.recommend("u").recommendations == ()
    assert len(script.asked) == 3


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 415, 422, 500])
def test_what_will_not_pass_is_asked_once(way: Way, status: int) -> None:
    with (
        scripted([Answer(status), LIST]) as script,
        connected(way, script.url, retries=QUICK) as client,
        pytest.raises(Problem) as caught,
    ):
        client.recommend("u")
    assert caught.value.status == status
    assert len(script.asked) == 1


@pytest.mark.parametrize("way", WAYS)
def test_it_gives_up_after_its_attempts_and_says_what_it_was_told(way: Way) -> None:
    with (
        scripted([LATER]) as script,
        connected(way, script.url, retries=Retries(attempts=3, first_seconds=0.01)) as client,
        pytest.raises(Problem, match="503 Overloaded: too many"),
    ):
        client.model()
    assert len(script.asked) == 3


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("write", WRITES)
def test_a_write_is_sent_again_under_the_key_it_had(
    way: Way, write: Callable[[Client], Any]
) -> None:
    with (
        scripted([LATER, Answer(200, b"{}", cut=0), WRITTEN]) as script,
        connected(way, script.url, retries=QUICK) as client,
    ):
        write(client)
        write(client)
    keys = [asked.headers["idempotency-key"] for asked in script.asked]
    assert len(keys) == 4
    assert len(set(keys[:3])) == 1, "a retry must not be another write"
    assert keys[3] != keys[0], "another write must not be a retry"
    assert len({asked.body for asked in script.asked}) == 1


def test_a_key_of_the_caller_is_the_one_that_is_sent() -> None:
    with scripted([WRITTEN]) as script, Client(script.url) as client:
        client.delete_video("v", idempotency_key="mine")
    assert script.asked[0].headers["idempotency-key"] == "mine"


def test_a_read_bears_no_key() -> None:
    with scripted([LIST]) as script, Client(script.url) as client:
        client.recommend_in_session([])
    assert "idempotency-key" not in script.asked[0].headers


@pytest.mark.parametrize("way", WAYS)
def test_a_retry_after_is_waited_for(way: Way) -> None:
    soon = LATER._replace(headers={"retry-after": "1"})
    with scripted([soon, LIST]) as script, connected(way, script.url, retries=QUICK) as client:
        client.recommend("u")
    first, second = (asked.moment for asked in script.asked)
    assert 1.0 <= second - first < 2.0


def test_a_retry_after_beyond_patience_is_left_to_the_caller() -> None:
    long = LATER._replace(headers={"retry-after": "3600"})
    with (
        scripted([long, LIST]) as script,
        Client(script.url, retries=QUICK) as client,
        pytest.raises(Problem) as caught,
    ):
        client.recommend("u")
    assert caught.value.retry_after == 3600


def test_waits_grow_and_are_drawn_anew_each_time() -> None:
    retries = Retries(attempts=99, first_seconds=0.1, most_seconds=1.0, rng=random.Random(0))
    failure = Unreachable("gone")
    for attempt, bound in [(1, 0.1), (2, 0.2), (3, 0.4), (4, 0.8), (5, 1.0), (60, 1.0)]:
        drawn = [retries.pause(failure, attempt) for _ in range(200)]
        waits = [pause for pause in drawn if pause is not None]
        assert len(waits) == 200
        assert min(waits) < 0.1 * bound
        assert 0.9 * bound < max(waits) <= bound


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_says_nothing_in_time_is_unreachable(way: Way) -> None:
    slow = LIST._replace(wait=0.5)
    begun = time.monotonic()
    with (
        scripted([slow]) as script,
        connected(way, script.url, timeout=0.1, retries=NEVER) as client,
        pytest.raises(Unreachable, match="GET /v1/users/u/recommendations"),
    ):
        client.recommend("u")
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_is_late_once_is_asked_again(way: Way) -> None:
    late = LIST._replace(wait=0.6)
    with (
        scripted([late, LIST]) as script,
        connected(way, script.url, timeout=0.2, retries=QUICK) as client,
    ):
        assert client.recommend("u").bundle_id == "b"


def test_where_nobody_listens_is_unreachable() -> None:
    with scripted([LIST]) as script:
        pass
    with Client(script.url, retries=QUICK) as client, pytest.raises(Unreachable):
        client.model()


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"7", b'{"position": ""}'])
def test_an_answer_of_another_program_is_told_as_one(body: bytes) -> None:
    with (
        scripted([Answer(200, body)]) as script,
        Client(script.url) as client,
        pytest.raises(UnexpectedAnswer),
    ):
        client.recommend("u")


def test_a_reply_may_hold_more_than_is_known() -> None:
    more = json.loads(LIST.body) | {"surprise": {"a": [1]}}
    with scripted([Answer(200, json.dumps(more).encode())]) as script, Client(script.url) as client:
        assert client.recommend("u").position == ""


def test_a_problem_of_a_proxy_is_a_problem_too() -> None:
    with (
        scripted([Answer(502, b"<h1>Bad gateway</h1>")]) as script,
        Client(script.url, retries=NEVER) as client,
        pytest.raises(Problem) as caught,
    ):
        client.model()
    assert (caught.value.title, caught.value.field) == ("Bad Gateway", None)
    assert "Bad gateway" in caught.value.detail


def test_the_key_goes_with_every_request() -> None:
    with scripted([LIST]) as script, Client(script.url, api_key="reco_x") as client:
        client.recommend("u")
    assert script.asked[0].headers["authorization"] == "Bearer reco_x"


def test_a_number_that_json_has_no_word_for_is_refused_before_it_is_sent() -> None:
    with scripted([WRITTEN]) as script, Client(script.url) as client:
        with pytest.raises(ValueError, match="not JSON compliant"):
            client.put_video("v", {"visual": [float("nan")]})
        assert script.asked == []


@pytest.mark.parametrize("way", WAYS)
def test_a_session_asks_from_where_it_has_written(way: Way) -> None:
    with scripted([WRITTEN, LIST]) as script, connected(way, script.url) as client:
        session = client.session()
        session.record([Interaction(user_id="u", video_id="v", kind="like")])
        session.recommend("u")
        session.recommend_in_session([])
        session.recommend("u", min_position="0-9")
        client.recommend("u")
    paths = [asked.path.partition("?")[2] for asked in script.asked]
    assert paths == ["", "min_position=1-1", "min_position=1-1", "min_position=0-9", ""]
