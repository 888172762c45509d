"""How many, how often, by which method: what is out of bounds is a problem, never a 500."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from eventlog.errors import EventLogFull, EventLogUnavailable, KeyReused
from service.api.problems import PROBLEMS
from service.errors import ServiceError
from tests.support.server import Api, features, segment, settings_for

LISTS = [
    "/v1/users/user-00000/recommendations",
    "/v1/users/nobody/recommendations",
    "/v1/videos/video-00000/similar",
]


def assert_problem(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    assert set(problem) >= {"type", "title", "status", "detail"}
    assert problem["type"].startswith("urn:reco:problem:")
    for error in problem.get("errors", []):
        assert set(error) >= {"field", "expected", "got"}
    return problem


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "k", ["0", "-1", "abc", "", "1.5", "1e9", "1000000000", "9" * 5000, "501", "NaN", "0x10", "%FF"]
)
def test_a_length_out_of_bounds_is_refused(still: Api, path: str, k: str) -> None:
    """Case 33."""
    problem = assert_problem(still.get(f"{path}?k={k}"), 422)
    assert "query.k" in problem["detail"]


@pytest.mark.parametrize("path", LISTS)
def test_a_list_is_as_long_as_asked_and_never_longer_than_the_catalog(
    still: Api, path: str
) -> None:
    """Case 33."""

    def length(query: str) -> int:
        return len(still.get(path + query).json()["recommendations"])

    assert length("") == 20
    assert length("?k=1") == 1
    assert length("?k=7") == 7
    assert 30 <= length("?k=500") <= 60


@pytest.mark.parametrize("path", [*LISTS, "/v1/model", "/v1/videos/video-00000", "/readyz"])
@pytest.mark.parametrize("query", ["n=5", "K=5", "user=x", "%00=1", "x", "=", "k=5&x=1"])
def test_an_unknown_parameter_is_refused_by_name(still: Api, path: str, query: str) -> None:
    """Case 36."""
    problem = assert_problem(still.get(f"{path}?{query}"), 422)
    assert "expected no such parameter" in problem["detail"]


@pytest.mark.parametrize("path", LISTS)
def test_a_parameter_that_comes_twice_is_refused(still: Api, path: str) -> None:
    """Case 36."""
    problem = assert_problem(still.get(f"{path}?k=1&k=2"), 422)
    assert "query.k: expected once, got 2 times" in problem["detail"]


@pytest.mark.parametrize(
    ("method", "path", "right"),
    [
        ("POST", LISTS[0], "GET"),
        ("PUT", "/v1/model", "GET"),
        ("PATCH", "/v1/model", "GET"),
        ("POST", "/v1/users/x", "DELETE, GET"),
        ("GET", "/v1/interactions", "POST"),
        ("DELETE", "/v1/interactions", "POST"),
        ("GET", "/v1/videos:batch", "POST"),
        ("HEAD", "/livez", "GET"),
        ("BREW", "/livez", "GET"),
        ("TRACE", "/v1/model", "GET"),
        ("HEAD", "/v1/videos/x", "DELETE, GET, PATCH, PUT"),
        ("OPTIONS", "/v1/videos/x", "DELETE, GET, PATCH, PUT"),
    ],
)
def test_a_wrong_method_is_405_and_says_which_are_right(
    still: Api, method: str, path: str, right: str
) -> None:
    response = still.request(method, path)
    assert response.status_code == 405
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["allow"] == right


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/",
        "/v2/model",
        "/v1/model/",
        "/v1/videos/",
        "/v1/users",
        "/v1/users//recommendations",
        "/v1/videos/a/b",
        "/v1/videos/a/b/similar",
        "/%2e%2e/etc/passwd",
        "//example.org/",
        "/v1/videos/a/similar/",
        "/V1/model",
    ],
)
def test_an_unknown_path_is_404(still: Api, path: str) -> None:
    assert_problem(still.get(path), 404)


def test_an_unknown_video_is_404(still: Api) -> None:
    for path in ("/v1/videos/nothing", "/v1/videos/nothing/similar"):
        problem = assert_problem(still.get(path), 404)
        assert "nothing" in problem["detail"]


def test_deleting_what_is_not_there_is_no_error(api: Api) -> None:
    assert api.delete_video("nothing").status_code == 200
    assert api.delete_video("nothing").status_code == 200
    assert api.model()["videos"] == 60


def test_a_catalog_emptied_to_the_last_video_answers_with_empty_lists(api: Api) -> None:
    """Case 34."""
    for row in range(60):
        assert api.delete_video(f"video-{row:05d}").status_code == 200
    assert api.model()["videos"] == 0
    assert api.recommend("user-00000") == []
    assert api.recommend("nobody") == []
    assert api.get("/readyz").status_code == 200
    assert_problem(api.get("/v1/videos/video-00000/similar"), 404)
    api.put_video("first")
    assert [p["video_id"] for p in api.recommend("user-00000")] == ["first"]
    assert [p["video_id"] for p in api.recommend("nobody")] == ["first"]
    assert api.similar("first") == []


def test_every_leaf_of_the_errors_has_an_answer() -> None:
    def leaves(kind: type[ServiceError]) -> set[type[ServiceError]]:
        below = kind.__subclasses__()
        return set().union(*map(leaves, below)) if below else {kind}

    log_errors = {EventLogUnavailable, EventLogFull, KeyReused}
    assert set(PROBLEMS) == leaves(ServiceError) | log_errors


def test_a_bug_is_a_problem_without_a_traceback_and_is_counted(api: Api) -> None:
    # The one way to have a bug on purpose: take away what every handler relies on.
    services = api.app.state.services
    del api.app.state.services
    response = api.get("/v1/model")
    api.app.state.services = services
    problem = assert_problem(response, 500)
    assert "Traceback" not in json.dumps(problem)
    labels = {"route": "/v1/model", "method": "GET", "code": "500"}
    assert api.metric("http_requests_total", **labels) == 1


def test_the_documentation_shows_every_route_and_the_videos_of_a_batch(still: Api) -> None:
    document = still.get("/openapi.json").json()
    assert {
        "/v1/users/{user_id}/recommendations",
        "/v1/recommendations",
        "/v1/videos",
        "/v1/videos/trending",
        "/v1/videos/fresh",
        "/v1/users/{user_id}/export",
        "/v1/recommendations:batch",
        "/v1/videos/{video_id}/similar",
        "/v1/videos/{video_id}",
        "/v1/users/{user_id}",
        "/v1/videos:batch",
        "/v1/videos:import",
        "/v1/interactions",
        "/v1/model",
        "/livez",
        "/readyz",
        "/metrics",
    } == set(document["paths"])
    assert "video_id" in document["components"]["schemas"]["BatchVideo"]["properties"]
    assert still.get("/docs").status_code == 200


@pytest.mark.parametrize(
    "position",
    ["x", "1", "0" * 16, f"{'0' * 16}-1", f"{'0' * 16}-{'0' * 15}", "%00", "\u0661" * 33],
)
def test_what_is_no_position_is_refused(still: Api, position: str) -> None:
    path = f"/v1/model?min_position={position}"
    assert "min_position" in assert_problem(still.get(path), 422)["detail"]


def test_a_position_that_was_reached_is_answered_at_once(api: Api) -> None:
    start = api.model()["position"]
    assert api.get(f"/v1/model?min_position={start}").status_code == 200
    position = api.put_video("v").json()["position"]
    reply = api.get(f"{LISTS[0]}?min_position={position}").json()
    assert reply["position"] >= position


def test_a_position_out_of_reach_is_503_with_the_position_reached(
    bundles: Path, tmp_path: Path
) -> None:
    settings = settings_for(bundles, tmp_path / "e.db", min_position_wait_seconds=0.1)
    with Api(settings) as api:
        api.ready().put_video("v")
        epoch = api.head().partition("-")[0]
        response = api.get(f"{LISTS[0]}?min_position={epoch}-{'9' * 16}")
        problem = assert_problem(response, 503)
        assert response.headers["retry-after"] == "1"
        assert problem["position"] == f"{epoch}-{1:016d}" == api.head()


def test_a_write_to_a_segment_with_everything_in_it_is_one_video(api: Api) -> None:
    path = f"/v1/videos/{segment('a/b?c#d%2F')}"
    assert api.request("PUT", path, json={"features": features(1)}).status_code == 201
    assert api.get(path).json()["video_id"] == "a/b?c#d%2F"
