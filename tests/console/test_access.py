"""The console without a mouse, without colours one can see, on a phone, and without motion."""

from itertools import product
from typing import Final

import pytest
from playwright.sync_api import expect

from tests.support.browser import DESK, PHONE, Scheme, Visitor, overflow, settle, violations

SCHEMES: Final[tuple[Scheme, ...]] = ("light", "dark")
VIEWS = {
    "users": "#/users",
    "user": "#/users/user-00001?k=6",
    "videos": "#/videos?k=6",
    "video": "#/videos/video-00003?k=6",
    "trending": "#/lists/trending?k=6",
    "nothing": "#/lists/fresh",
    "add": "#/add",
    "model": "#/model",
    "fault": "#/videos/nothing?k=0",
}


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_accessible_and_as_wide_as_its_window(visitor: Visitor, view: str) -> None:
    page = visitor.open(VIEWS[view])
    for size, scheme in product((DESK, PHONE), SCHEMES):
        page.set_viewport_size({"width": size["width"], "height": size["height"]})
        page.emulate_media(color_scheme=scheme)
        assert overflow(page) == 0, (size, scheme)
        assert violations(page) == [], (size, scheme)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_comes_after_a_click_is_accessible_too(visitor: Visitor, scheme: Scheme) -> None:
    page = visitor.open("#/users/user-00002?k=6", scheme=scheme, size=PHONE)
    page.locator(".places > li").first.get_by_role("button").click()
    expect(page.locator(".notice")).to_be_visible()
    settle(page)
    page.get_by_text("Options").click()
    assert violations(page) == []
    assert overflow(page) == 0
    page.get_by_role("button", name="API key").click()
    assert violations(page) == []


def test_light_and_dark_are_what_the_reader_prefers(visitor: Visitor) -> None:
    def paper(scheme: Scheme) -> str:
        page = visitor.open("#/model", scheme=scheme)
        colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return colour

    assert paper("light") == "rgb(245, 246, 248)"
    assert paper("dark") == "rgb(17, 21, 27)"


def test_the_first_tab_leads_past_the_menu(visitor: Visitor) -> None:
    page = visitor.open("#/users/user-00001")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("User", exact=True)).to_be_focused()
    assert page.url.endswith("#/users/user-00001")


def test_tab_goes_through_all_in_the_order_it_is_seen(visitor: Visitor) -> None:
    page = visitor.open("#/users/user-00001?k=2")
    order: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        told: str | None = page.evaluate(
            """() => {
                const node = document.activeElement;
                if (node === document.body) return null;
                const style = getComputedStyle(node);
                const seen = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
                const label = node.labels?.[0]?.textContent ?? node.textContent;
                return `${seen ? '' : 'UNSEEN '}${label.trim()}`;
            }"""
        )
        if told is None:
            break
        order.append(told)
    assert [one for one in order if one.startswith("UNSEEN")] == []
    wanted = ["Skip to the content", "Recommender", "Users", "Model", "API key", "User", "Show"]
    wanted += ["user-00000", "Options", "Length", "Tags", "Apply", "A click records", "like"]
    assert [one for one in order if one in wanted][: len(wanted)] == wanted


def test_a_slash_leads_to_the_search_but_not_out_of_a_field(visitor: Visitor) -> None:
    page = visitor.open("#/videos/video-00003")
    page.keyboard.press("/")
    search = page.get_by_label("Video", exact=True)
    expect(search).to_be_focused()
    page.keyboard.type("a/b")
    expect(search).to_have_value("a/b")


def test_a_view_that_is_gone_to_tells_its_name_and_has_the_focus(visitor: Visitor) -> None:
    page = visitor.open()
    page.get_by_role("link", name="Model").click()
    settle(page)
    expect(page.get_by_role("heading", name="Model", level=1)).to_be_focused()
    expect(page.get_by_role("link", name="Model")).to_have_attribute("aria-current", "page")
    assert page.title() == "Model · Recommender"


def test_nothing_moves_for_who_does_not_want_it(visitor: Visitor) -> None:
    page = visitor.open("#/users/user-00008", motion="reduce")
    page.locator(".places > li").nth(3).get_by_role("button").click()
    expect(page.locator(".notice")).to_contain_text("Recorded")
    assert page.evaluate("document.getAnimations().length") == 0


def test_rows_move_for_who_does(visitor: Visitor) -> None:
    page = visitor.open("#/users/user-00009", motion="no-preference")
    page.evaluate(
        """() => {
            const animate = Element.prototype.animate;
            window.moved = 0;
            Element.prototype.animate = function (...how) {
                window.moved += 1;
                return animate.apply(this, how);
            };
        }"""
    )
    page.locator(".places > li").nth(3).get_by_role("button").click()
    expect(page.locator(".notice")).to_contain_text("Recorded")
    assert page.evaluate("window.moved") > 0
