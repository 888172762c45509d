"""The console as files: what is sent, how long it is kept, and what the page may do."""

import re
from pathlib import Path

import pytest

from service.api.console import FOLDER, POLICY
from tests.support.server import Api, settings_for

FILES = sorted(file.name for file in FOLDER.iterdir())


def test_the_page_comes_with_a_policy_that_lets_nothing_else_in(still: Api) -> None:
    response = still.get("/console")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers.get_list("content-security-policy") == [POLICY]
    assert "unsafe" not in POLICY
    assert {part.split()[0]: part.split()[1] for part in POLICY.split("; ")} == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", [name for name in FILES if name != "index.html"])
def test_a_file_comes_in_its_type(still: Api, name: str) -> None:
    kinds = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
    response = still.get(f"/console/{name}")
    assert response.content == (FOLDER / name).read_bytes()
    assert response.headers["content-type"].split(";")[0] == kinds[name.rpartition(".")[2]]


@pytest.mark.parametrize("path", ["/console", "/console/app.js"])
def test_a_browser_asks_again_and_is_told_that_nothing_changed(still: Api, path: str) -> None:
    first = still.get(path)
    assert first.headers.get_list("cache-control") == ["no-cache"]
    tag = first.headers["etag"]
    for said in (tag, f"W/{tag}", f'"other", {tag}'):
        again = still.get(path, headers={"if-none-match": said})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    assert still.get(path, headers={"if-none-match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    "name", ["index.html", "nothing.js", "..%2Fapp.py", "%2e%2e", "__init__.py", "app.js%00"]
)
def test_what_is_no_file_of_the_page_is_404(still: Api, name: str) -> None:
    response = still.get(f"/console/{name}")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


def test_the_page_and_its_modules_name_only_files_that_exist() -> None:
    page = (FOLDER / "index.html").read_text("utf-8")
    named = set(re.findall(r'(?:src|href)="([^"#]+)"', page))
    assert named == {"console/app.js", "console/style.css", "console/icon.svg"}
    for module in FOLDER.glob("*.js"):
        imported = re.findall(r'from "\./([^"]+)"', module.read_text("utf-8"))
        assert set(imported) <= set(FILES), module.name


def test_the_modules_never_make_elements_of_text() -> None:
    risky = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc"
    for module in FOLDER.glob("*.js"):
        assert re.findall(risky, module.read_text("utf-8")) == [], module.name


def test_whatever_files_are_asked_for_the_metrics_have_two_routes(api: Api) -> None:
    for name in ("app.js", "dom.js", "style.css", "nothing.js", "x" * 50):
        api.get(f"/console/{name}")
    api.get("/console")
    registry = api.services.telemetry.registry
    labels = [
        sample.labels
        for family in registry.collect()
        if family.name == "http_requests"
        for sample in family.samples
        if sample.name == "http_requests_total"
    ]
    routes = {said["route"] for said in labels}
    assert {route for route in routes if "console" in route} == {"/console", "/console/{name}"}
    assert "unmatched" not in routes


def test_the_console_can_be_switched_off(trained: Path, tmp_path: Path) -> None:
    with Api(settings_for(trained, tmp_path / "events.db", console="off")) as api:
        api.ready()
        assert api.get("/console").status_code == 404
        assert api.get("/console/app.js").status_code == 404
        assert api.get("/v1/model").status_code == 200
