"""What every answer says to browsers, and which pages may ask at all."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.api.protection.headers import HEADERS
from service.settings import Settings
from tests.support.asking import asking
from tests.support.server import Api, serving, settings_for

LIST = "/v1/users/user-00000/recommendations"
PAGE = "https://feed.example.org"


@pytest.fixture(scope="module")
def shared(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The application with an origin that may ask."""
    log = tmp_path_factory.mktemp("shared") / "events.db"
    with Api(settings_for(trained, log, cors_origins=f"{PAGE}, http://localhost:3000")) as api:
        yield api.ready()


def preflight(api: Api, origin: str, **more: str) -> httpx.Response:
    headers = {"origin": origin, "access-control-request-method": "PUT", **more}
    return api.request("OPTIONS", "/v1/videos/v", headers=headers)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", LIST, 200),
        ("GET", "/livez", 200),
        ("GET", "/metrics", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/nothing", 404),
        ("POST", LIST, 405),
        ("GET", f"{LIST}?k=0", 422),
        ("PUT", "/v1/videos/v", 422),
    ],
)
def test_every_answer_tells_browsers_to_keep_and_guess_nothing(
    still: Api, method: str, path: str, status: int
) -> None:
    response = still.request(method, path)
    assert response.status_code == status
    assert {name: response.headers[name] for name in HEADERS} == HEADERS
    assert "strict-transport-security" not in response.headers


def test_an_answer_to_a_bug_has_the_same_headers(api: Api) -> None:
    services = api.app.state.services
    del api.app.state.services
    response = api.get("/v1/model")
    api.app.state.services = services
    assert response.status_code == 500
    assert len(response.headers.get_list("x-request-id")) == 1
    assert {name: response.headers[name] for name in HEADERS} == HEADERS


def test_an_answer_to_a_bug_before_fastapi_is_reached_has_them_too(
    still: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.api.express.is_quick", None)
    response = still.get(LIST, headers={"x-request-id": "mine"})
    assert (response.status_code, response.json()["title"]) == (500, "Internal error")
    assert {name: response.headers[name] for name in HEADERS} == HEADERS
    assert response.headers.get_list("x-request-id") == ["mine"]
    monkeypatch.undo()
    assert still.get(LIST).status_code == 200


def test_only_the_page_of_the_documentation_may_run_its_script(still: Api) -> None:
    response = still.get("/docs")
    policy = response.headers.get_list("content-security-policy")
    assert len(policy) == 1
    allowed = dict(rule.split(" ", 1) for rule in policy[0].split("; "))
    assert allowed["default-src"] == "'none'"
    assert allowed["connect-src"] == "'self'"
    # All that the page loads is covered by the policy.
    for kind, tag in (("script-src", "<script src="), ("style-src", 'rel="stylesheet"')):
        assert tag in response.text
        host = allowed[kind].split()[0]
        assert f'"{host}/' in response.text


def test_no_page_of_another_origin_may_ask_by_default(still: Api) -> None:
    response = still.get(LIST, headers={"origin": PAGE})
    assert response.status_code == 200
    assert not [name for name in response.headers if name.startswith("access-control")]
    assert preflight(still, PAGE).status_code == 405


@pytest.mark.parametrize("origin", [PAGE, "http://localhost:3000"])
def test_pages_of_an_origin_that_is_set_may_ask_without_cookies(shared: Api, origin: str) -> None:
    asked = {"access-control-request-headers": "authorization,content-type,idempotency-key"}
    allowed = preflight(shared, origin, **asked)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == origin
    assert "PUT" in allowed.headers["access-control-allow-methods"]
    response = shared.get(LIST, headers={"origin": origin})
    assert response.headers["access-control-allow-origin"] == origin
    assert "Retry-After" in response.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize("origin", ["https://evil.example.org", f"{PAGE}.evil.org", "null"])
def test_pages_of_other_origins_may_not(shared: Api, origin: str) -> None:
    refused = preflight(shared, origin)
    assert refused.status_code == 400
    assert refused.headers["content-type"] == "application/problem+json"
    assert "access-control-allow-origin" not in refused.headers
    response = shared.get(LIST, headers={"origin": origin})
    assert "access-control-allow-origin" not in response.headers


def test_a_page_can_read_why_it_was_refused(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text('{"keys": []}')
    more = {"cors_origins": (PAGE,), "api_keys": tmp_path / "keys.json"}
    with Api(settings_for(trained, tmp_path / "events.db", **more)) as api:
        assert preflight(api, PAGE).status_code == 200
        response = api.get(LIST, headers={"origin": PAGE})
        assert response.status_code == 401
        assert response.headers["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize("origins", ["feed.example.org", f"{PAGE}/", f"{PAGE}/x", "HTTPS://A.org"])
def test_what_no_browser_sends_as_an_origin_is_refused(origins: str) -> None:
    with pytest.raises(ValueError, match="cors_origins"):
        Settings(cors_origins=origins)


@pytest.mark.e2e
def test_the_service_does_not_say_what_it_runs_on(trained: Path, tmp_path: Path) -> None:
    arguments = ["--bundles", str(trained), "--event-log", f"sqlite:///{tmp_path}/events.db"]
    with serving(*arguments) as process, asking(process.url) as http:
        for path in ("/livez", "/nothing"):
            headers = http.get(path).headers
            assert not {"server", "x-powered-by"} & set(headers)
