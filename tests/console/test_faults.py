"""What the console shows when something is wrong: where, what was expected, and what to do."""

import re

from playwright.sync_api import expect

from tests.support.browser import Visitor, listed_ids, settle


def test_a_length_out_of_bounds_is_told_at_its_field(visitor: Visitor) -> None:
    page = visitor.open("#/users/user-00001?k=501")
    length = page.get_by_label("Length")
    expect(length).to_have_attribute("aria-invalid", "true")
    expect(length).to_be_focused()
    expect(page.locator(".fault:visible")).to_contain_text("500")
    length.fill("3")
    page.keyboard.press("Enter")
    settle(page)
    expect(page.locator("[aria-invalid]")).to_have_count(0)
    assert len(listed_ids(page)) == 3


def test_a_parameter_that_has_no_field_is_told_above_the_list(visitor: Visitor) -> None:
    page = visitor.open("#/users/user-00001?colour=red")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("query.colour: expected no such parameter")


def test_an_empty_search_is_told_and_asks_nothing(visitor: Visitor) -> None:
    page = visitor.open()
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("Expected an id.")).to_be_visible()
    expect(page.get_by_label("User", exact=True)).to_be_focused()


def test_a_service_that_is_away_is_told_and_can_be_asked_again(visitor: Visitor) -> None:
    page = visitor.open("#/users/user-00001")
    page.context.set_offline(True)
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("alert").first).to_contain_text("The service cannot be reached")
    # The browser itself says so too, once for each question.
    away = "error in the console: Failed to load resource: net::ERR_INTERNET_DISCONNECTED"
    assert set(visitor.faults) == {away}
    visitor.faults.clear()
    page.context.set_offline(False)
    page.locator(".results").get_by_role("button", name="Try again").click()
    settle(page)
    assert len(listed_ids(page)) == 20


def test_the_page_shows_that_it_waits(visitor: Visitor) -> None:
    page = visitor.open("#/users/user-00001")
    page.evaluate(
        """() => {
            window.waited = [];
            const results = document.querySelector('.results');
            new MutationObserver(() => window.waited.push(results.getAttribute('aria-busy')))
                .observe(results, { attributes: true, attributeFilter: ['aria-busy'] });
        }"""
    )
    page.get_by_label("Length").fill("5")
    page.keyboard.press("Enter")
    settle(page)
    assert page.evaluate("window.waited") == ["true", None]


def test_changes_are_told_to_those_who_do_not_see_them(visitor: Visitor) -> None:
    page = visitor.open("#/users/user-00001")
    live = page.locator("#live")
    expect(live).to_have_attribute("aria-live", "polite")
    expect(live).to_have_text("20 videos for user-00001")
    page.locator(".places > li").first.get_by_role("button").click()
    expect(live).to_have_text(re.compile("Recorded like of"))
