"""What no client may put into the catalog: each is refused by name, and leaves no trace."""

import json
from typing import Any

import pytest

from tests.support.server import WIDTHS, Api, features


def raw_video(value: str, *, modality: str = "visual") -> str:
    """Return a body whose first number of `modality` is the JSON text `value`."""
    body = json.dumps({"features": features(1)})
    numbers = json.dumps(features(1)[modality])
    first = json.dumps(features(1)[modality][0])
    return body.replace(numbers, f"[{value}{numbers[1 + len(first) :]}")


def assert_refused(api: Api, response: Any, status: int = 422) -> dict[str, Any]:
    """Assert a problem document, nothing recorded, and that a good request still works."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = json.loads(response.text, parse_constant=pytest.fail)
    assert problem["status"] == status
    assert problem["type"] == "urn:reco:problem:invalid-input"
    assert problem["title"]
    assert problem["detail"]
    for error in problem["errors"]:
        assert error["field"].split(".")[0] in {"body", "path", "query"}
        assert error["expected"]
        assert not error["expected"].startswith("Value error")
        assert error["got"]
    assert "Traceback" not in response.text
    assert api.head() == ""
    assert api.model()["videos"] == 60
    assert api.put_video("good").status_code == 201
    assert api.similar("good", 1)
    return problem


@pytest.mark.parametrize(
    "value",
    [
        "NaN",
        "Infinity",
        "-Infinity",
        '"NaN"',
        '"Infinity"',
        '"1.0"',
        "1e400",
        "-1e400",
        "1e39",
        "true",
        "false",
        "null",
        "[1.0]",
        "{}",
        '""',
        "9" * 400,
        "9" * 5000,
    ],
)
def test_a_number_that_is_no_float32_is_refused(api: Api, value: str) -> None:
    """Cases 1, 2 and 3."""
    problem = assert_refused(api, api.put_raw("/v1/videos/poison", raw_video(value)))
    assert "body" in problem["detail"]


def test_the_poison_tests_start_from_a_body_that_is_accepted(api: Api) -> None:
    assert api.put_raw("/v1/videos/sane", raw_video("0.5")).status_code == 201


def test_huge_finite_features_do_not_win_every_ranking(api: Api) -> None:
    """Case 3."""
    usual = api.recommend("user-00000", 1)[0]["score"]
    for sign, name in ((1, "huge"), (-1, "tiny")):
        body = {m: [sign * 3e38] * w for m, w in WIDTHS.items()}
        assert api.put_video(name, features=body).status_code == 201
    lists = [api.recommend(f"user-{row:05d}", 3) for row in range(20)]
    firsts = [places[0]["video_id"] for places in lists]
    assert firsts.count("huge") < 20
    assert firsts.count("tiny") < 20
    assert abs(lists[0][0]["score"]) < 10 * abs(usual) + 10


def test_a_modality_of_zeros_counts_as_missing(api: Api) -> None:
    """Case 4."""
    given = features(5)
    api.put_video("zeros", features={**given, "acoustic": [0.0] * 32})
    api.put_video("absent", features={m: given[m] for m in ("visual", "textual")})
    twin = api.similar("zeros", 1)[0]
    assert twin["video_id"] == "absent"
    assert twin["score"] == pytest.approx(1.0)


def test_features_that_are_all_zero_are_refused(api: Api) -> None:
    """Case 4."""
    body = {"features": {"visual": [0.0] * 64, "textual": [-0.0] * 48}}
    problem = assert_refused(api, api.put_raw("/v1/videos/zero", json.dumps(body)))
    assert "not all zero" in problem["detail"]


def test_features_that_round_to_zero_are_refused(api: Api) -> None:
    body = {"features": {"visual": [1e-60] * 64}}
    assert_refused(api, api.put_raw("/v1/videos/zero", json.dumps(body)))


@pytest.mark.parametrize("modality", list(WIDTHS))
def test_one_modality_is_enough_to_be_recommended(api: Api, modality: str) -> None:
    """Case 7."""
    assert api.put_video("lone", features=features(7, [modality])).status_code == 201
    assert "lone" in {p["video_id"] for p in api.recommend("user-00003", 500)}
    assert api.similar("lone", 5)


def test_a_wrong_width_names_what_was_expected_and_what_came(api: Api) -> None:
    """Case 6."""
    body = {"features": {"visual": [1.0, 2.0, 3.0]}}
    problem = assert_refused(api, api.put_raw("/v1/videos/short", json.dumps(body)))
    assert "expected 64 numbers, got 3" in problem["detail"]
    assert problem["errors"][0]["field"] == "body.features.visual"


@pytest.mark.parametrize("name", ["smell", "Visual", "", "\ud800", "visual\x00"])
def test_an_unknown_modality_is_refused(api: Api, name: str) -> None:
    """Case 6."""
    body = json.dumps({"features": {**features(1), name: [1.0]}})
    assert_refused(api, api.put_raw("/v1/videos/smelly", body))


@pytest.mark.parametrize(
    "given",
    [
        [],
        {},
        None,
        "",
        7,
        [[1.0]],
        {"visual": []},
        {"visual": None},
        {"visual": "1 2 3"},
        {"visual": 1.0},
        {"visual": {"0": 1.0}},
        {"visual": [[1.0] * 64]},
        {"visual": [[1.0], [2.0, 3.0]]},
        {"visual": [1.0, None]},
        {"visual": ["1.0"] * 64},
        {"visual": [1.0] * 20_000},
    ],
)
def test_features_of_another_shape_are_refused(api: Api, given: object) -> None:
    """Case 8."""
    assert_refused(api, api.put_raw("/v1/videos/odd", json.dumps({"features": given})))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"7",
        b'"text"',
        b"[]",
        b"{",
        b"{}{}",
        b'{"features": ',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"\xff",
        b'{"\xc3\x28": 1}',
        b"\x00",
        b"\xef\xbb\xbf{}",
        b'{"features": {}, "features": {}}',
        b"NaN",
    ],
)
def test_a_body_that_is_no_video_is_refused(api: Api, body: bytes) -> None:
    assert_refused(api, api.put_raw("/v1/videos/odd", body))


@pytest.mark.parametrize(
    "more",
    [
        {"unknown": 1},
        {"\ud800": 1},
        {"metadata": {"unknown": 1}},
        {"metadata": {"title": "\ud800"}},
        {"metadata": {"title": 7}},
        {"metadata": {"title": "x" * 1001}},
        {"metadata": {"tags": "cat"}},
        {"metadata": {"tags": [""]}},
        {"metadata": {"tags": ["x"] * 101}},
        {"metadata": []},
        {"metadata": {"published_at": "yesterday"}},
        {"metadata": {"published_at": "2026-01-01T00:00"}},
        {"metadata": {"published_at": "2026-01-01\ud80000:00+00:00"}},
        {"video_id": "other"},
    ],
)
def test_fields_that_are_unknown_or_malformed_are_refused(api: Api, more: dict[str, Any]) -> None:
    body = json.dumps({"features": features(1), **more})
    assert_refused(api, api.put_raw("/v1/videos/odd", body))


def test_metadata_comes_back_as_it_was_sent(api: Api) -> None:
    sent = {
        "title": 'T\u0000"itle 😀',
        "tags": ["a", "é"],
        "uploader": "u/1",
        "published_at": "2026-01-31T12:00:00Z",
    }
    api.put_video("told", metadata=sent)
    assert api.get("/v1/videos/told").json()["metadata"] == sent


def test_after_a_hundred_poisons_every_good_request_is_served(api: Api) -> None:
    """Case 9."""
    for _ in range(100):
        assert api.put_raw("/v1/videos/poison", raw_video("NaN")).status_code == 422
    for seed in range(100):
        assert api.put_video(f"good-{seed}", seed).status_code == 201
    for batch in range(9):
        names = [f"good-{batch}-{seed}" for seed in range(100)]
        videos = [{"video_id": name, "features": features(1)} for name in names]
        results = api.request("POST", "/v1/videos:batch", json={"videos": videos}).json()["results"]
        assert [result["status"] for result in results] == [201] * 100
    assert api.model()["videos"] == 1060
