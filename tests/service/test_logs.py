"""Every answer and every line about it bear the same id; who asked is told only where wanted."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from service.logs import configure_logging
from tests.support.asking import asking
from tests.support.server import Api, serving, settings_for

SHORT = "/v1/users/user-00000/recommendations?k=3"
LONG = "/v1/users/user-00000/recommendations?k=3&diversity=0.2"
PATHS = [SHORT, LONG, "/livez", "/no/such/path", "/v1/videos/none", "/v1/videos?k=none"]


@contextmanager
def lines() -> Iterator[list[dict[str, Any]]]:
    """Collect what is logged from info up; complete when the block ends."""
    text, found = io.StringIO(), list[dict[str, Any]]()
    handlers, level = logging.root.handlers[:], logging.root.level
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", text)
        configure_logging(level="info", style="json")
        logging.getLogger("httpx").setLevel(logging.WARNING)
        try:
            yield found
        finally:
            logging.getLogger("httpx").setLevel(logging.NOTSET)
            logging.root.handlers[:] = handlers
            logging.root.setLevel(level)
            structlog.reset_defaults()
    found += [json.loads(line) for line in text.getvalue().splitlines()]


def requests_in(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in found if line["event"] == "request"]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_has_an_id_of_its_own(still: Api, path: str) -> None:
    told = {still.get(path).headers["x-request-id"] for _ in range(5)}
    assert len(told) == 5
    assert all(one.isascii() and len(one) < 40 for one in told)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "given", ["a", "0af7651916cd43dd8448eb211c80319c", "x" * 128, "A.b_c:/+=@"]
)
def test_an_id_that_comes_goes_back(still: Api, path: str, given: str) -> None:
    assert still.get(path, headers={"X-Request-ID": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", 'a"b', "a\tb", "é", "a;b", "{}"])
def test_an_id_that_could_spoil_a_line_is_replaced(still: Api, given: str) -> None:
    headers = {"X-Request-ID": given.encode("latin-1")}
    told = still.get(SHORT, headers=headers).headers.get_list("x-request-id")
    assert len(told) == 1
    assert told[0] != given


def test_an_answer_to_a_bug_and_its_lines_bear_the_id(bundles: Path, tmp_path: Path) -> None:
    # Without OpenAPI, which a worker makes while the route is added.
    with Api(settings_for(bundles, tmp_path / "log.db", docs="off")) as api:
        api.ready()

        @api.app.get("/bug")
        async def bug() -> None:
            structlog.get_logger().warning("about to fail")
            raise RuntimeError

        with lines() as found:
            response = api.get("/bug", headers={"X-Request-ID": "mine"})
    assert response.status_code == 500
    assert response.headers["x-request-id"] == "mine"
    assert [line["request_id"] for line in found if line["event"] == "about to fail"] == ["mine"]


def test_nothing_is_said_of_a_request_unless_wanted(api: Api) -> None:
    with lines() as found:
        api.get(SHORT)
    assert requests_in(found) == []


def test_a_line_tells_route_status_time_and_what_answered(bundles: Path, tmp_path: Path) -> None:
    with Api(settings_for(bundles, tmp_path / "log.db", access_log="routes")) as api:
        api.ready()
        api.put_video("new")
        with lines() as found:
            replies = [
                api.get(path, headers={"X-Request-ID": "r"}).json() for path in (SHORT, LONG)
            ]
            api.get("/no/such/path")
    told = requests_in(found)
    for line, reply in zip(told, replies, strict=False):
        assert line["request_id"] == "r"
        assert line["route"] == "/v1/users/{user_id}/recommendations"
        assert (line["method"], line["status"], line["level"]) == ("GET", 200, "info")
        assert 0 < line["seconds"] < 10
        assert (line["bundle_id"], line["position"]) == (reply["bundle_id"], reply["position"])
    assert (told[2]["route"], told[2]["status"]) == ("unmatched", 404)
    assert "user-00000" not in json.dumps(found)


def test_paths_are_told_where_that_is_switched_on(bundles: Path, tmp_path: Path) -> None:
    with Api(settings_for(bundles, tmp_path / "log.db", access_log="paths")) as api:
        api.ready()
        with lines() as found:
            api.get(SHORT)
    assert [line["path"] for line in requests_in(found)] == [SHORT.partition("?")[0]]


@pytest.mark.e2e
def test_a_process_writes_one_json_object_a_line(trained: Path, tmp_path: Path) -> None:
    said = {"RECO_ACCESS_LOG": "routes", "RECO_LOG_FORMAT": "json"}
    log = f"sqlite:///{tmp_path}/events.db"
    with serving("--bundles", str(trained), "--event-log", log, env=said) as process:
        process.wait_for("(Ready)")
        with asking(process.url) as client:
            told = client.get(SHORT).headers["x-request-id"]
        process.wait_for(f'("request_id": "{told}")')
        objects = [json.loads(line) for line in process.output.splitlines() if line[0] == "{"]
    (line,) = [one for one in objects if one.get("request_id") == told]
    assert line["bundle_id"] == (trained / "CURRENT").read_text().strip()
