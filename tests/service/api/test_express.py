"""What is answered by the short way is what the long way answers, and says no less."""

import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from models.bundle import layout
from models.ids import UserId
from service.api.express import HOLD_SECONDS, TOGETHER, Express, Quick
from tests.support.server import Api, eventually, settings_for

USERS = ["user-00000", "user-00019", "nobody", "new comer", "a/b", "é", "%2F"]


def short(api: Api, user_id: str, k: int) -> Any:
    reply = api.get(f"/v1/users/{quote(user_id, safe='')}/recommendations?k={k}")
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "application/json"
    return reply


def long(api: Api, user_id: str, k: int) -> Any:
    reply = api.request("POST", "/v1/recommendations", json={"user_id": user_id, "k": k})
    assert reply.status_code == 200, reply.text
    return reply


def happen(api: Api) -> None:
    for number in range(6):
        api.put_video(f"new-{number}", number)
    api.delete_video("video-00003")
    api.request("PATCH", "/v1/videos/video-00004", json={"state": "hidden"})
    for user_id in USERS[:5]:
        api.met(user_id, "like", "video-00010")
        api.met(user_id, "dislike", "new-1")


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_both_ways_answer_alike(bundles: Path, tmp_path: Path, share: float) -> None:
    with Api(settings_for(bundles, tmp_path / "events.db", fresh_share=share)) as api:
        api.ready()
        for _ in range(2):
            for user_id in USERS:
                for k in (1, 20, 100):
                    one, other = short(api, user_id, k), long(api, user_id, k)
                    assert one.json() == other.json()
                    assert list(one.json()) == list(other.json())
            happen(api)


def test_both_ways_count_alike(api: Api) -> None:
    def counted() -> list[float]:
        names = ("reco_recommendations_total", "reco_recommended_arrivals_total")
        return [api.metric(names[0], source="personal"), api.metric(names[1])]

    happen(api)
    before = counted()
    short(api, "user-00001", 30)
    between = counted()
    long(api, "user-00001", 30)
    assert [b - a for a, b in zip(before, between, strict=True)] == [
        b - a for a, b in zip(between, counted(), strict=True)
    ]
    assert all(b > a for a, b in zip(before, between, strict=True))


def test_the_short_way_is_counted_as_a_request_and_guarded_like_all(api: Api) -> None:
    route = "/v1/users/{user_id}/recommendations"
    short(api, "user-00000", 5)
    before = api.metric("http_requests_total", route=route, method="GET", code="200")
    headers = short(api, "user-00000", 5).headers
    after = api.metric("http_requests_total", route=route, method="GET", code="200")
    assert after == before + 1
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


def test_what_answers_suffer_from_is_said_on_both_ways(bundles: Path, tmp_path: Path) -> None:
    with Api(settings_for(bundles, tmp_path / "events.db")) as api:
        api.ready()
        (bundles / layout.CURRENT).write_text("gone")
        eventually(lambda: api.metric("reco_degraded", fault="bundle"))
        assert "X-Degraded" in short(api, "user-00000", 5).headers
        assert "X-Degraded" in long(api, "user-00000", 5).headers


@pytest.mark.parametrize("path", ["%FF", "%00", "x" * 513])
def test_an_id_that_is_none_is_refused_as_everywhere(still: Api, path: str) -> None:
    reply = still.get(f"/v1/users/{path}/recommendations?k=3")
    assert reply.status_code == 422
    assert "path.user_id" in reply.json()["detail"]


def test_no_more_are_answered_in_one_go_than_the_event_loop_has_time_for(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    express = Express(api.app.state)
    quick = [Quick(express, UserId("user-00000"), 5)]
    assert express.most == 2
    pace = HOLD_SECONDS / 20
    clock = iter(range(1000))
    monkeypatch.setattr(time, "thread_time", lambda: pace * next(clock))
    for _ in range(50):
        express.answer(quick)
    assert express.most == TOGETHER
    pace = HOLD_SECONDS / 2.5
    for _ in range(50):
        express.answer(quick)
    assert express.most == 2
    pace = 1.0
    express.answer(quick)
    assert express.most == 1
    assert quick[0].reply
