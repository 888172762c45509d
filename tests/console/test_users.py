"""A user's list in the console: the one the service gives, and it moves with what they do."""

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Visitor, listed_ids, settle


def recommended(visitor: Visitor, user_id: str, query: str = "") -> list[str]:
    reply = visitor.get(f"/v1/users/{user_id}/recommendations{query}").json()
    return [place["video_id"] for place in reply["recommendations"]]


def stat(page: Page, label: str) -> str:
    return page.locator(".stat", has_text=label).locator("b").inner_text()


def test_a_typed_user_gets_the_list_that_the_service_gives(visitor: Visitor) -> None:
    page = visitor.open()
    expect(page.get_by_role("heading", name="Whose list?")).to_be_visible()
    page.get_by_label("User", exact=True).fill("user-00003")
    page.keyboard.press("Enter")
    settle(page)
    assert page.url.endswith("#/users/user-00003")
    assert page.title() == "user-00003 · Users · Recommender"
    wanted = recommended(visitor, "user-00003")
    assert len(wanted) == 20
    assert listed_ids(page) == wanted
    assert visitor.answers == []


def test_a_row_tells_title_source_and_score(visitor: Visitor) -> None:
    page = visitor.open("#/users/user-00001")
    reply = visitor.get("/v1/users/user-00001/recommendations").json()
    place = reply["recommendations"][0]
    video = visitor.get(f"/v1/videos/{place['video_id']}").json()
    row = page.locator(".places > li").first
    expect(row.locator(".what > a.title")).to_have_text(video["metadata"]["title"])
    expect(row.locator(".under")).to_contain_text(video["metadata"]["uploader"])
    expect(row.locator(".source")).to_have_text(place["source"])
    expect(row.locator(".score b")).to_have_text(f"{place['score']:.3f}".replace("-", "\u2212"))
    expect(page.locator("#served")).to_contain_text(reply["bundle_id"])


def test_a_user_can_be_picked_among_examples(visitor: Visitor) -> None:
    page = visitor.open()
    page.get_by_role("link", name="user-00004").click()
    settle(page)
    assert listed_ids(page) == recommended(visitor, "user-00004")
    assert page.get_by_label("User", exact=True).input_value() == "user-00004"


def test_a_stranger_gets_what_is_popular_and_is_called_unknown(visitor: Visitor) -> None:
    page = visitor.open("#/users/somebody%20new%2F1")
    assert page.get_by_label("User", exact=True).input_value() == "somebody new/1"
    assert stat(page, "user") == "unknown"
    assert set(page.locator(".source").all_inner_texts()) == {"popular"}
    assert listed_ids(page) == recommended(visitor, "somebody%20new%2F1")


def test_options_are_in_the_address_and_in_the_question(visitor: Visitor) -> None:
    page = visitor.open("#/users/user-00001")
    tags = page.locator(".places > li .tag").all_inner_texts()
    wanted = max(set(tags), key=tags.count)
    page.get_by_label("Length").fill("7")
    page.get_by_label("Tags").fill(f" {wanted}, no such tag")
    page.get_by_role("button", name="Apply").click()
    settle(page)
    assert page.url.endswith(f"#/users/user-00001?k=7&tags_any={wanted}&tags_any=no+such+tag")
    assert listed_ids(page) == recommended(visitor, "user-00001", f"?k=7&tags_any={wanted}")
    page.get_by_label("Videos with").select_option("tags_none")
    settle(page)
    assert listed_ids(page) == recommended(visitor, "user-00001", f"?k=7&tags_none={wanted}")
    page.get_by_role("button", name="Reset").click()
    settle(page)
    assert listed_ids(page) == recommended(visitor, "user-00001")


def test_a_new_list_takes_nothing_from_who_types_on(visitor: Visitor) -> None:
    page = visitor.open("#/users/user-00001")
    length, tags = page.get_by_label("Length"), page.get_by_label("Tags")
    tags.evaluate(
        """(tags, length) => {
            length.value = "7";
            length.dispatchEvent(new Event("change", { bubbles: true }));
            tags.value = "half a ta";
        }""",
        length.element_handle(),
    )
    expect(page.locator(".places > li")).to_have_count(7)
    assert tags.input_value() == "half a ta"


def test_a_deep_link_fills_the_options(visitor: Visitor) -> None:
    query = "k=4&tags_all=cats&tags_all=dance&uploader=creator-001&language=en"
    page = visitor.open(f"#/users/user-00002?{query}")
    assert page.get_by_label("Length").input_value() == "4"
    assert page.get_by_label("Tags").input_value() == "cats, dance"
    assert page.get_by_label("Videos with").input_value() == "tags_all"
    assert page.get_by_label("Uploader").input_value() == "creator-001"
    assert page.get_by_label("Language").input_value() == "en"
    expect(page.get_by_role("heading", name="No video fits")).to_be_visible()


def test_back_and_forward_lead_through_what_was_shown(visitor: Visitor) -> None:
    page = visitor.open("#/users/user-00001")
    page.get_by_role("link", name="user-00005").click()
    settle(page)
    page.locator(".places a.title").first.click()
    settle(page)
    page.go_back()
    settle(page)
    assert listed_ids(page) == recommended(visitor, "user-00005")
    page.go_back()
    settle(page)
    assert listed_ids(page) == recommended(visitor, "user-00001")


def test_a_click_is_recorded_and_the_list_moves(visitor: Visitor) -> None:
    page = visitor.open("#/users/user-00006", motion="no-preference")
    before = listed_ids(page)
    assert stat(page, "recorded since") == "0"
    with page.expect_request(lambda request: "min_position=" in request.url):
        page.locator(".places > li").nth(2).get_by_role("button", name="Record like").click()
    expect(page.locator(".notice")).to_contain_text("Recorded like of")
    settle(page)
    after = listed_ids(page)
    assert before[2] not in after
    assert after != [video for video in before if video != before[2]]
    assert after == recommended(visitor, "user-00006")
    new = [video for video in after if video not in before]
    expect(page.locator(".move.new")).to_have_count(len(new))
    assert page.locator(".notice").inner_text().count(f"{len(new)} new") == 1
    expect(page.locator(".stat", has_text="recorded since").locator("b")).to_have_text("1")
    # The clicked row has gone: whoever uses the keyboard goes on where it was.
    assert page.evaluate("document.activeElement.closest('li')") is not None
    assert page.locator(".places > li").nth(2).locator("button:focus").count() == 1


def test_the_kind_of_a_click_can_be_chosen(visitor: Visitor) -> None:
    page = visitor.open("#/users/user-00007")
    met = listed_ids(page)[0]
    page.get_by_label("A click records").select_option("dislike")
    page.get_by_role("button", name=f"Record dislike of {met}").click()
    expect(page.locator(".notice")).to_contain_text("Recorded dislike of")
    exported = visitor.get("/v1/users/user-00007/export").json()
    assert [(one["video_id"], one["weight"]) for one in exported["history"]] == [(met, -2.0)]


def test_bars_show_the_share_of_each_modality_and_what_is_nearest(visitor: Visitor) -> None:
    page = visitor.open("#/users/user-00010")
    reply = visitor.get("/v1/users/user-00010/recommendations?explain=true").json()
    against = 0
    for place, row in zip(
        reply["recommendations"], page.locator(".places > li").all(), strict=True
    ):
        told = place["explanation"]
        shares = {name: share for name, share in told["shares"].items() if share}
        bars = row.locator(".shares i")
        whole = bars.first.locator("..").bounding_box()
        assert whole is not None
        assert bars.count() == len(shares) > 0
        for bar in bars.all():
            kind = bar.get_attribute("class") or ""
            share = shares[kind.split()[0]]
            assert ("against" in kind) == (share < 0)
            against += share < 0
            box = bar.bounding_box()
            assert box is not None
            # Two gaps of 2 pixels are taken from the bars.
            assert box["width"] == pytest.approx(abs(share) * whole["width"], abs=5)
        label = row.locator(".shares").get_attribute("aria-label") or ""
        assert all(name in label for name in shares)
        near = row.locator(".near a")
        assert (near.get_attribute("href") or "").endswith(told["nearest"]["video_id"])
    assert against > 0, "no modality takes anything away: the other case is not seen"


def test_the_list_goes_on_where_it_ended(visitor: Visitor) -> None:
    page = visitor.open("#/users/user-00011?k=15")
    shown = listed_ids(page)
    page.get_by_role("button", name="More").click()
    expect(page.locator(".places > li").nth(15)).to_be_visible()
    settle(page)
    ids = listed_ids(page)
    assert ids[:15] == shown
    assert len(ids) == len(set(ids)) == 30
    assert ids == recommended(visitor, "user-00011", "?k=30")
    expect(page.locator(".places > li .rank").last).to_have_text("30")


def test_a_diverse_list_is_another_one(visitor: Visitor) -> None:
    page = visitor.open("#/users/user-00012")
    plain = listed_ids(page)
    page.get_by_label("Diversity").fill("0.8")
    settle(page)
    assert "diversity=0.8" in page.url
    assert listed_ids(page) == recommended(visitor, "user-00012", "?diversity=0.8") != plain
    expect(page.locator(".options output")).to_have_text("0.80")
