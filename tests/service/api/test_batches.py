"""Many at once: of videos each stands alone, of interactions all stand or fall together."""

import json
from typing import Any

import httpx
import pytest

from eventlog.position import START
from tests.support.server import Api, features


def assert_nothing_recorded(api: Api, response: httpx.Response) -> None:
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"
    json.loads(response.text, parse_constant=pytest.fail)
    assert api.head() == START
    assert api.watch("u", "v").status_code == 202


def test_one_bad_video_in_a_hundred_does_not_stop_the_others(api: Api) -> None:
    """Case 5."""
    videos = [{"video_id": f"batch-{n}", "features": features(n)} for n in range(100)]
    videos[17]["features"] = {"visual": [1.0]}
    body = {"videos": videos}
    response = api.request("POST", "/v1/videos:batch", json=body)
    assert response.status_code == 200
    results = response.json()["results"]
    assert [r["status"] for r in results].count(201) == 99
    assert results[17]["status"] == 422
    assert "expected 64 numbers, got 1" in results[17]["problem"]["detail"]
    assert results[17]["position"] is None
    assert api.model()["videos"] == 159
    assert api.get("/v1/videos/batch-17").status_code == 404
    assert len(api.entries(START, 500)) == 99


@pytest.mark.parametrize(
    "bad",
    [
        None,
        7,
        "text",
        [],
        {},
        {"video_id": "x"},
        {"video_id": "", "features": {"visual": [1.0]}},
        {"video_id": "\ud800", "features": {"visual": [1.0] * 64}},
        {"video_id": "a\x00", "features": {"visual": [1.0] * 64}},
        {"video_id": "x", "features": {"visual": [float("nan")] * 64}},
        {"video_id": "x", "features": {"visual": [1e39] * 64}},
    ],
)
def test_each_bad_row_of_a_batch_has_its_own_problem(api: Api, bad: object) -> None:
    good = {"video_id": "good", "features": features(1)}
    body = json.dumps({"videos": [bad, good]})
    response = api.request(
        "POST", "/v1/videos:batch", content=body, headers={"content-type": "application/json"}
    )
    assert response.status_code == 200, response.text
    json.loads(response.text, parse_constant=pytest.fail)
    first, second = response.json()["results"]
    assert (first["status"], second["status"]) == (422, 201)
    assert "body.videos.0" in first["problem"]["detail"]
    assert first["problem"]["type"] == "urn:reco:problem:invalid-input"
    assert all(set(error) >= {"field", "expected", "got"} for error in first["problem"]["errors"])
    assert api.model()["videos"] == 61


def test_a_video_that_comes_twice_in_a_batch_is_one_video(api: Api) -> None:
    """Case 14."""
    videos = [{"video_id": "twin", "features": features(n)} for n in (1, 2)]
    results = api.request("POST", "/v1/videos:batch", json={"videos": videos}).json()["results"]
    assert [r["status"] for r in results] == [201, 200]
    assert api.model()["videos"] == 61
    api.put_video("probe", features=features(2))
    assert api.similar("probe", 1)[0]["video_id"] == "twin"


@pytest.mark.parametrize("videos", [[], [{}] * 1001, {}, None])
def test_a_batch_of_no_or_too_many_videos_is_refused(api: Api, videos: object) -> None:
    response = api.request("POST", "/v1/videos:batch", json={"videos": videos})
    assert_nothing_recorded(api, response)


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": ""},
        {"user_id": "\ud800"},
        {"user_id": "x" * 513},
        {"user_id": 7},
        {"user_id": None},
        {"video_id": "a\nb"},
        {"video_id": "é" * 257},
        {"kind": "stare"},
        {"kind": None},
        {"timestamp": "noon"},
        {"timestamp": float("nan")},
        {"timestamp": -1},
        {"timestamp": 1e12},
        {"timestamp": True},
        {"timestamp": "2026-01-01T00:00:00"},
        {"timestamp": "0001-01-01T00:00:00+23:59"},
        {"unknown": 1},
        {"\ud800": 1},
    ],
)
def test_one_bad_interaction_records_none(api: Api, change: dict[str, Any]) -> None:
    good = {"user_id": "u", "video_id": "v", "kind": "view"}
    body = json.dumps({"interactions": [good, {**good, **change}]})
    response = api.request(
        "POST", "/v1/interactions", content=body, headers={"content-type": "application/json"}
    )
    assert_nothing_recorded(api, response)
