"""A video that is added in the console is there at once, and the page shows where."""

import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import (
    PHONE,
    Scheme,
    Visitor,
    listed_ids,
    overflow,
    settle,
    violations,
)
from tests.support.server import Process, features

USERS = [f"user-{row:05d}" for row in range(20)]


@pytest.fixture(scope="module")
def service(own_service: Process) -> Process:
    return own_service


def add(page: Page, video_id: str, **fields: str) -> None:
    page.get_by_label("Id", exact=True).fill(video_id)
    for label, text in fields.items():
        page.get_by_label(label.replace("_", " "), exact=True).fill(text)
    page.get_by_role("button", name="Add", exact=True).click()
    settle(page)


def steps(page: Page) -> list[str]:
    return page.locator(".steps > li b").all_inner_texts()


def test_a_video_of_made_up_features_appears_everywhere(visitor: Visitor) -> None:
    page = visitor.open("#/add")
    expect(page.get_by_text("64 visual, 32 acoustic, 48 textual")).to_be_visible()
    user = "Look_for_it_in_the_list_of_user"
    add(page, "drawn one", Title="Drawn", Tags="cats, new", Language="en", **{user: "user-00001"})
    assert steps(page)[:3] == ["Recorded as new", "In what is fresh", "Has neighbours"]
    assert re.fullmatch(r"Among the neighbours of video-\d+", steps(page)[3])
    assert steps(page)[4] == "In the list of user-00001"
    assert page.locator(".steps > li.good").count() == 5
    times = page.locator(".steps .time").all_inner_texts()
    assert all(re.fullmatch(r"[\d.]+ ms", time) for time in times)
    told = visitor.get("/v1/videos/drawn%20one").json()
    assert told["metadata"] == {"title": "Drawn", "tags": ["cats", "new"], "language": "en"}
    page.get_by_role("link", name="See what is fresh").click()
    settle(page)
    assert listed_ids(page)[0] == "drawn one"
    assert visitor.get("/v1/videos/fresh").json()["recommendations"][0]["video_id"] == "drawn one"


def test_a_video_like_one_that_was_added_is_its_nearest(visitor: Visitor) -> None:
    page = visitor.open("#/add")
    add(page, "model")
    page.get_by_label("Features", exact=True).select_option(label="like model")
    add(page, "twin")
    nearest = visitor.get("/v1/videos/twin/similar?k=1").json()["recommendations"][0]
    assert nearest["video_id"] == "model"
    expect(page.locator(".steps > li").nth(2)).to_contain_text("the nearest is model")


def test_pasted_features_are_sent_as_they_are(visitor: Visitor) -> None:
    page = visitor.open("#/add")
    page.get_by_label("Features", exact=True).select_option("json")
    add(page, "pasted", Features_as_JSON=json.dumps(features(5)))
    expect(page.get_by_role("heading", name="pasted is there")).to_be_visible()
    add(page, "pasted", Features_as_JSON=json.dumps(features(5, ["visual"])))
    assert steps(page)[0] == "Recorded in place of what was there"


def test_a_fault_is_shown_at_the_field_it_is_in(visitor: Visitor) -> None:
    page = visitor.open("#/add")
    page.get_by_label("Features", exact=True).select_option("json")
    pasted = page.get_by_label("Features as JSON")

    def fault() -> str:
        expect(pasted).to_have_attribute("aria-invalid", "true")
        expect(pasted).to_be_focused()
        described = pasted.get_attribute("aria-describedby")
        return page.locator(f"#{described}").inner_text()

    add(page, "faulty", Features_as_JSON='{"visual": [1, 2')
    assert "Expected JSON" in fault()
    add(page, "faulty", Features_as_JSON='{"visual": [1, 2]}')
    assert "expected 64 numbers, got 2" in fault()
    add(page, "faulty", Features_as_JSON='{"smell": [1, 2]}')
    assert "visual" in fault()
    assert visitor.get("/v1/videos/faulty").status_code == 404
    add(page, "faulty", Tags="x" * 101, Features_as_JSON=json.dumps(features(5)))
    expect(page.get_by_label("Tags")).to_have_attribute("aria-invalid", "true")
    add(page, "faulty", Tags="short", Features_as_JSON=json.dumps(features(5)))
    expect(page.locator("[aria-invalid]")).to_have_count(0)
    expect(page.get_by_role("heading", name="faulty is there")).to_be_visible()


def test_an_id_is_needed_and_one_with_a_fault_is_told(visitor: Visitor) -> None:
    page = visitor.open("#/add")
    add(page, "")
    expect(page.get_by_label("Id", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("Expected an id.")).to_be_visible()
    add(page, "x" * 513)
    expect(page.get_by_label("Id", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".fault:visible")).to_contain_text("at most 512")


def test_exploring_brings_what_has_just_arrived_into_a_list(visitor: Visitor) -> None:
    page = visitor.open("#/add")
    add(page, "explored")
    arrived = {v["video_id"] for v in visitor.get("/v1/videos/fresh").json()["recommendations"]}
    # What others have drawn here may suit somebody best.
    asked = ((user, visitor.get(f"/v1/users/{user}/recommendations?k=1")) for user in USERS)
    lists = ((user, answer.json()["recommendations"]) for user, answer in asked)
    user = next(user for user, (first,) in lists if first["video_id"] not in arrived)
    page = visitor.open(f"#/users/{user}?k=1")
    assert listed_ids(page)[0] not in arrived
    page.get_by_role("spinbutton", name="Explore").fill("1")
    page.keyboard.press("Enter")
    settle(page)
    assert page.url.endswith(f"#/users/{user}?k=1&explore=1")
    assert listed_ids(page)[0] in arrived


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_became_of_it_is_accessible(visitor: Visitor, scheme: Scheme) -> None:
    page = visitor.open("#/add", size=PHONE, scheme=scheme)
    add(page, f"seen in {scheme}")
    expect(page.locator(".steps")).to_be_visible()
    page.get_by_label("Features", exact=True).select_option("json")
    assert violations(page) == []
    assert overflow(page) == 0
