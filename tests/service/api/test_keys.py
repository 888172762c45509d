"""Who may ask what: no key, a wrong one, one for something else. (Case 57)"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.api.protection.access import NEEDED
from service.keys import Scope, create_key, revoke_key
from tests.support.asking import asking
from tests.support.deployment import table_rows
from tests.support.server import Api, eventually, features, serving, settings_for

LIST = "/v1/users/user-00000/recommendations"
# Those with a name in their path are files; the tests of their pages ask for them.
OPEN = [asked for asked, scope in NEEDED.items() if scope is None and "{" not in asked[1]]
CLOSED = [(method, path) for (method, path), scope in NEEDED.items() if scope is not None]


def make(file: Path, name: str, *scopes: Scope, days: int = 1, now: datetime | None = None) -> str:
    now = now or datetime.now(UTC)
    return create_key(file, name, scopes, now=now, expires_at=now + timedelta(days=days))


def bearing(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


class Guarded:
    """The application with a key for each scope."""

    def __init__(self, api: Api, file: Path) -> None:
        self.api = api
        self.file = file
        self.tokens = {scope: make(file, scope, scope) for scope in Scope}

    def ask(self, method: str, path: str, token: str | None = None) -> httpx.Response:
        path = path.replace("{video_id}", "video-00001").replace("{user_id}", "user-00001")
        return self.api.request(method, path, headers=bearing(token) if token else {})


@pytest.fixture(scope="module")
def guarded(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    file = folder / "keys.json"
    make(file, "first", Scope.READ)
    with Api(settings_for(trained, folder / "events.db", api_keys=file)) as api:
        yield Guarded(api.ready(), file)


def assert_unauthorised(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 401, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["www-authenticate"].startswith("Bearer ")
    problem: dict[str, Any] = response.json()
    assert problem["status"] == 401
    return problem


def documented(api: Api) -> dict[tuple[str, str], dict[str, Any]]:
    paths = api.get("/openapi.json").json()["paths"]
    return {(m.upper(), path): one for path, methods in paths.items() for m, one in methods.items()}


def test_the_table_of_scopes_names_every_route_and_beside_them_open_pages_alone(
    still: Api,
) -> None:
    shown = documented(still)
    assert set(shown) <= set(NEEDED)
    assert {NEEDED[asked] for asked in set(NEEDED) - set(shown)} == {None}


def test_the_scopes_in_the_documents_are_those_of_the_table() -> None:
    rows = [row for row in table_rows("security.md") if re.match(r"`[A-Z]+ /", row[0])]
    written = {tuple(row[0].strip("`").split()): row[1].strip("`") for row in rows}
    assert written == {asked: NEEDED[asked] for asked in CLOSED}


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_a_route_is_shut_to_strangers_and_to_keys_for_something_else(
    guarded: Guarded, method: str, path: str
) -> None:
    assert_unauthorised(guarded.ask(method, path))
    for scope in set(Scope) - {NEEDED[method, path]}:
        response = guarded.ask(method, path, guarded.tokens[scope])
        assert response.status_code == 403
        assert response.headers["content-type"] == "application/problem+json"
        assert f'scope="{NEEDED[method, path]}"' in response.headers["www-authenticate"]
        assert guarded.api.head() == ""


def test_every_route_opens_to_the_right_key(bundles: Path, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    make(file, "first", Scope.READ)
    with Api(settings_for(bundles, tmp_path / "events.db", api_keys=file)) as api:
        guarded = Guarded(api.ready(), file)
        # What is deleted is deleted last.
        for method, path in sorted(CLOSED, key=lambda asked: asked[0] == "DELETE"):
            response = guarded.ask(method, path, guarded.tokens[Scope(str(NEEDED[method, path]))])
            # Those that want a body are asked without one.
            assert response.status_code in {200, 415, 422}, response.text


@pytest.mark.parametrize(("method", "path"), OPEN)
def test_probes_metrics_and_documentation_are_open(
    guarded: Guarded, method: str, path: str
) -> None:
    assert guarded.ask(method, path).status_code == 200
    assert guarded.ask(method, path, "nonsense").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": "Bearer \t "},
        {"authorization": "Bearer wrong"},
        {"authorization": "Bearer reco_" + "A" * 43},
        {"authorization": "Bearer " + "A" * 5000},
        {"authorization": b"Bearer \xff\xfe"},
        {"authorization": "Basic {token}"},
        {"authorization": "{token}"},
        {"authorization": "Bearer {token} {token}"},
        {"authorization": "Bearer {token}x"},
        {"x-api-key": "{token}"},
    ],
)
def test_what_is_no_good_key_is_401(guarded: Guarded, headers: Mapping[str, str | bytes]) -> None:
    token = guarded.tokens[Scope.READ]
    said = {
        name: value.replace("{token}", token) if isinstance(value, str) else value
        for name, value in headers.items()
    }
    response = guarded.api.get(LIST, headers=said)
    problem = assert_unauthorised(response)
    assert token not in response.text + str(response.headers)
    came = "authorization" in headers
    assert ("no API key came" in problem["detail"]) != came
    assert ("invalid_token" in response.headers["www-authenticate"]) == came


def test_two_keys_at_once_are_none(guarded: Guarded) -> None:
    good = f"Bearer {guarded.tokens[Scope.READ]}".encode()
    headers = [(b"authorization", good), (b"authorization", good)]
    assert_unauthorised(guarded.api.get(LIST, headers=headers))


def test_a_key_in_the_query_is_no_key(guarded: Guarded) -> None:
    token = guarded.tokens[Scope.READ]
    assert_unauthorised(guarded.api.get(f"{LIST}?api_key={token}&access_token={token}"))


@pytest.mark.parametrize("kind", ["bearer", "BEARER", "Bearer"])
def test_the_word_bearer_may_be_written_in_any_case(guarded: Guarded, kind: str) -> None:
    headers = {"authorization": f"{kind} {guarded.tokens[Scope.READ]}"}
    assert guarded.api.get(LIST, headers=headers).status_code == 200


def test_a_stranger_does_not_learn_what_there_is(guarded: Guarded) -> None:
    for method, path in [("GET", "/nothing"), ("POST", "/v1/model"), ("BREW", "/livez")]:
        assert_unauthorised(guarded.ask(method, path))
    token = guarded.tokens[Scope.READ]
    assert guarded.ask("GET", "/nothing", token).status_code == 404
    assert guarded.ask("POST", "/v1/model", token).status_code == 405


def test_an_expired_key_is_401(guarded: Guarded) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=9)
    token = make(guarded.file, "old", Scope.READ, now=long_ago)
    fresh = make(guarded.file, "fresh", Scope.READ)
    eventually(lambda: guarded.ask("GET", LIST, fresh).status_code == 200)
    assert_unauthorised(guarded.ask("GET", LIST, token))


def test_keys_are_added_and_revoked_while_it_runs(guarded: Guarded) -> None:
    old = make(guarded.file, "old-feed", Scope.READ)
    eventually(lambda: guarded.ask("GET", LIST, old).status_code == 200, within=5)
    new = make(guarded.file, "new-feed", Scope.READ)
    eventually(lambda: guarded.ask("GET", LIST, new).status_code == 200, within=5)
    revoke_key(guarded.file, "old-feed")
    eventually(lambda: guarded.ask("GET", LIST, old).status_code == 401, within=5)
    assert guarded.ask("GET", LIST, new).status_code == 200


def test_refusals_are_counted_by_reason_and_under_the_route(guarded: Guarded) -> None:
    route = "/v1/users/{user_id}/recommendations"

    def counted(reason: str, code: str) -> tuple[float, float]:
        labels = {"route": route, "method": "GET", "code": code}
        return (
            guarded.api.metric("reco_requests_refused_total", reason=reason),
            guarded.api.metric("http_requests_total", **labels),
        )

    guarded.ask("GET", route)
    guarded.ask("GET", route, guarded.tokens[Scope.ADMIN])
    before = counted("unknown key", "401"), counted("scope", "403")
    guarded.ask("GET", route)
    guarded.ask("GET", route, guarded.tokens[Scope.ADMIN])
    after = counted("unknown key", "401"), counted("scope", "403")
    assert after == tuple((reason + 1, code + 1) for reason, code in before)


def test_the_openapi_document_says_which_scope_an_operation_needs(guarded: Guarded) -> None:
    document = guarded.ask("GET", "/openapi.json").json()
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for asked, operation in documented(guarded.api).items():
        needed = NEEDED[asked]
        assert operation.get("security") == (None if needed is None else [{"key": [needed]}])
        assert {"401", "403"} <= set(operation["responses"]) or needed is None


def test_without_keys_all_is_open_and_no_document_asks_for_one(still: Api) -> None:
    assert still.get(LIST).status_code == 200
    assert still.get(LIST, headers=bearing("nonsense")).status_code == 200
    assert "securitySchemes" not in still.get("/openapi.json").json()["components"]


def test_the_documentation_can_be_switched_off(trained: Path, tmp_path: Path) -> None:
    with Api(settings_for(trained, tmp_path / "events.db", docs="off")) as api:
        api.ready()
        assert [api.get(path).status_code for path in ("/docs", "/openapi.json", "/redoc")] == [
            404,
            404,
            404,
        ]
        assert api.get(LIST).status_code == 200


@pytest.mark.e2e
def test_no_token_is_ever_logged_or_sent_back(trained: Path, tmp_path: Path) -> None:
    """Case 57: right ones, wrong ones and bodies that hold one, at the most talkative level."""
    file = tmp_path / "keys.json"
    tokens = [make(file, "all", *Scope), "reco_wrong-but-secret"]
    log = f"sqlite:///{tmp_path}/events.db"
    environment = {
        "RECO_API_KEYS": str(file),
        "RECO_LOG_LEVEL": "debug",
        "RECO_DOCS": "off",
    }
    arguments = ["--bundles", str(trained), "--event-log", log]
    with serving(*arguments, env=environment) as process, asking(process.url) as http:
        process.wait_for(r"(Ready: .*)\n")
        answers = []
        for token in tokens:
            headers = bearing(token)
            answers += [
                http.get(LIST, headers=headers),
                http.get("/nothing", headers=headers),
                http.put("/v1/videos/v", headers=headers, json={"features": features(1)}),
                http.put("/v1/videos/v", headers=headers, content=b"\xff" * 9),
                http.delete("/v1/users/nobody", headers=headers),
            ]
        answers.append(http.get("/metrics"))
        process.wait_for(r'(authorization: Bearer \$KEY)" .*similar')
        output = process.output
    assert [answer.status_code for answer in answers[:5]] == [200, 404, 201, 415, 200]
    assert {answer.status_code for answer in answers[5:10]} == {401}
    assert "API keys are needed" in output
    assert "/docs" not in output
    said = output + "".join(answer.text + str(answer.headers) for answer in answers)
    assert not any(token in said for token in tokens)


@pytest.mark.e2e
def test_a_start_without_keys_says_who_may_ask(trained: Path, tmp_path: Path) -> None:
    arguments = ["--bundles", str(trained), "--event-log", f"sqlite:///{tmp_path}/events.db"]
    with serving(*arguments) as process:
        process.wait_for(r"(no API keys: whoever is on this machine)")
    with serving(*arguments, "--host", "0.0.0.0") as process:  # noqa: S104 - that is the point
        process.wait_for(r"(warning.*no API keys: whoever reaches this host)")
