"""The service does what its OpenAPI document says: every operation, by examples and at random."""

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from service.app import create_app
from service.keys import Scope, create_key
from service.settings import Settings
from tests.support.commands import run
from tests.support.server import REPOSITORY, serving

METHODS = {"get", "put", "post", "patch", "delete"}
# Asked for by whoever it is for, with nothing to choose.
PLAIN = {"/livez", "/readyz", "/metrics", "/console", "/console/{name}"}
COMMAND = [
    *(sys.executable, "-m", "schemathesis.cli"),
    *("--config-file", str(REPOSITORY / "tests/support/schemathesis.toml"), "run"),
    *("--phases", "examples,coverage,fuzzing,stateful"),
    *("--max-examples", "8", "--generation-deterministic", "--no-color"),
]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    settings = Settings(api_keys=Path("keys.json"), event_log="sqlite:///nowhere.db")
    made: dict[str, Any] = create_app(settings).openapi()
    return made


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, found in document["paths"].items():
        for method in METHODS & set(found):
            yield method.upper(), path, found[method]


def contents(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every kind of body that goes in or comes back well."""
    if "requestBody" in operation:
        yield from operation["requestBody"]["content"].items()
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            yield from response.get("content", {}).items()


def test_every_operation_has_a_summary_and_an_id_of_its_own(document: dict[str, Any]) -> None:
    found = list(operations(document))
    assert len(found) > 20
    assert all(operation["summary"] and operation["description"] for _, _, operation in found)
    assert len({operation["operationId"] for _, _, operation in found}) == len(found)


def test_every_body_and_every_reply_has_an_example(document: dict[str, Any]) -> None:
    missing = [
        (method, path, kind)
        for method, path, operation in operations(document)
        for kind, content in contents(operation)
        if path not in PLAIN - {"/livez"} and "example" not in content
    ]
    assert missing == []


def test_every_id_in_a_path_has_an_example(document: dict[str, Any]) -> None:
    missing = [
        (method, path)
        for method, path, operation in operations(document)
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "path" and path not in PLAIN and "example" not in parameter
    ]
    assert missing == []


def test_every_refusal_is_a_problem(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        refusals = {s: r for s, r in operation["responses"].items() if s[0] in "45" and s != "400"}
        assert {"422"} <= set(refusals), (method, path)
        for status, response in refusals.items():
            assert list(response["content"]) == ["application/problem+json"], (method, path, status)
        if path not in PLAIN:
            assert {"401", "403", "503"} <= set(refusals), (method, path)
            assert operation["security"], (method, path)
        if "requestBody" in operation:
            assert {"408", "413", "415"} <= set(refusals), (method, path)


@pytest.fixture(scope="module")
def service(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A service that wants keys, and a key that may do all."""
    root = tmp_path_factory.mktemp("schema")
    keys, now = root / "keys.json", datetime.now(UTC).replace(microsecond=0)
    token = create_key(keys, "all", list(Scope), now=now, expires_at=None)
    log = f"sqlite:///{root}/events.db"
    environment = {"RECO_API_KEYS": str(keys), "RECO_MIN_POSITION_WAIT_SECONDS": "0.05"}
    with serving("--bundles", str(trained), "--event-log", log, env=environment) as process:
        process.wait_for(r"Ready: bundle (\S+)\.")
        yield process.url, token
        assert "Traceback" not in process.output


def test_every_example_of_a_request_is_taken(
    document: dict[str, Any], service: tuple[str, str]
) -> None:
    url, token = service
    # What writes comes first, what takes away last.
    order = ["PUT", "POST", "PATCH", "GET", "DELETE"]
    found = sorted(operations(document), key=lambda one: order.index(one[0]))
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {token}"}) as http:
        for method, path, operation in found:
            if path in PLAIN:
                continue
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path":
                    sent = quote(parameter["example"], safe="")
                    path = path.replace(f"{{{parameter['name']}}}", sent)  # noqa: PLW2901 - filled in
            body: dict[str, Any] = {}
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                raw = content["example"]
                body = {"content": raw} if isinstance(raw, str) else {"json": raw}
                body["headers"] = {"content-type": kind}
            response = http.request(method, path, **body)
            assert response.is_success, (method, path, response.text)
            assert '"rejected":1' not in response.text
            assert '"status":422' not in response.text


def test_whatever_is_asked_the_answer_is_one_of_the_document(
    service: tuple[str, str], tmp_path: Path
) -> None:
    url, token = service
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.support.schemathesis_hooks",
        "PYTHONPATH": str(REPOSITORY),
    }
    asked = [*COMMAND, "--header", f"Authorization: Bearer {token}", f"{url}/openapi.json"]
    done = run(asked, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "21 selected / 21 total" in done.stdout
