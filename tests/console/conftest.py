"""A real browser at a real service with a trained bundle; without a browser all is skipped."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser

from tests.support.browser import Visitor, find_chromium, ready_service, running_browser
from tests.support.bundles import write_small_bundle
from tests.support.server import Process


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one bundle of 60 videos and 20 users."""
    root = tmp_path_factory.mktemp("trained")
    write_small_bundle(root)
    return root


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for one module: while one runs, no other event loop can in this thread."""
    executable = find_chromium()
    if executable is None:
        pytest.skip("no Chromium on the PATH")
    with running_browser(executable) as browser:
        yield browser


@pytest.fixture(scope="module")
def service(
    browser: Browser, trained: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Process]:
    """The service as its users run it, for all tests that bring no video."""
    with ready_service(trained, tmp_path_factory.mktemp("console")) as process:
        yield process


@pytest.fixture(scope="module")
def own_service(
    browser: Browser, trained: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Process]:
    """One for the tests of a module that does."""
    with ready_service(trained, tmp_path_factory.mktemp("own")) as process:
        yield process


@pytest.fixture
def visitor(browser: Browser, service: Process) -> Iterator[Visitor]:
    """Somebody at the console; no page may have failed, or asked anybody else."""
    visitor = Visitor(browser, service.url)
    yield visitor
    visitor.leave()
    assert visitor.faults == []


@pytest.fixture
def hide(service: Process) -> Iterator[str]:
    """The id of a video that is hidden while the test runs."""
    path = f"{service.url}/v1/videos/video-00011"
    assert httpx.patch(path, json={"state": "hidden"}).status_code == 200
    yield "video-00011"
    assert httpx.patch(path, json={"state": "live"}).status_code == 200
