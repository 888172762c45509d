"""The API key in the console: asked for when it is needed, kept in the tab, told when it fails."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from service.keys import Scope, create_key
from tests.support.browser import Visitor, listed_ids, ready_service, settle
from tests.support.server import Process


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "keys.json"


@pytest.fixture(scope="module")
def reader(keys: Path) -> str:
    return create_key(keys, "reader", [Scope.READ], now=datetime.now(UTC), expires_at=None)


@pytest.fixture(scope="module")
def service(
    browser: Browser,
    trained: Path,
    keys: Path,
    reader: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Process]:
    folder, env = tmp_path_factory.mktemp("guarded"), {"RECO_API_KEYS": str(keys)}
    with ready_service(trained, folder, env=env) as process:
        yield process


def use(page: Page, key: str) -> None:
    page.get_by_role("dialog").get_by_label("API key").fill(key)
    page.keyboard.press("Enter")


def test_a_key_is_asked_for_when_it_is_needed_and_then_used(visitor: Visitor, reader: str) -> None:
    page = visitor.open("#/users/user-00001")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_label("API key")).to_be_focused()
    use(page, reader)
    expect(dialog).to_be_hidden()
    settle(page)
    assert len(listed_ids(page)) == 20
    expect(page.get_by_role("link", name="user-00004")).to_be_visible()


def test_a_wrong_key_is_told_at_its_field(visitor: Visitor) -> None:
    page = visitor.open("#/model")
    use(page, "wrong")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_label("API key")).to_have_attribute("aria-invalid", "true")
    use(page, "two words")
    expect(dialog.locator(".fault")).to_contain_text("without spaces")


def test_a_key_is_kept_in_its_tab_alone_and_can_be_forgotten(visitor: Visitor, reader: str) -> None:
    page = visitor.open("#/model")
    use(page, reader)
    settle(page)
    page.reload()
    settle(page)
    expect(page.locator(".tile").first).to_be_visible()
    assert reader not in page.evaluate("JSON.stringify({ ...localStorage }) + document.cookie")
    assert reader in page.evaluate("JSON.stringify({ ...sessionStorage })")
    assert reader not in page.content()
    assert reader not in page.url
    page.get_by_role("button", name="API key").click()
    page.get_by_role("button", name="Forget").click()
    expect(page.get_by_role("dialog").get_by_label("API key")).to_have_value("")
    assert page.evaluate("JSON.stringify({ ...sessionStorage })") == "{}"


def test_a_key_that_may_only_read_is_told_so_when_it_writes(visitor: Visitor, reader: str) -> None:
    page = visitor.open("#/users/user-00001")
    use(page, reader)
    settle(page)
    page.locator(".places > li").first.get_by_role("button").click()
    expect(page.locator(".notice")).to_contain_text("403")
    expect(page.locator(".notice").get_by_role("button", name="Enter an API key")).to_be_visible()
