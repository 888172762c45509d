"""A video in the console, what is like it, and all there are."""

from playwright.sync_api import expect

from tests.support.browser import Visitor, listed_ids, settle


def similar(visitor: Visitor, video_id: str, query: str = "") -> list[str]:
    reply = visitor.get(f"/v1/videos/{video_id}/similar{query}").json()
    return [place["video_id"] for place in reply["recommendations"]]


def test_a_video_is_shown_with_metadata_state_and_neighbours(visitor: Visitor) -> None:
    page = visitor.open("#/videos")
    page.get_by_label("Video", exact=True).fill("video-00007")
    page.keyboard.press("Enter")
    settle(page)
    told = visitor.get("/v1/videos/video-00007").json()
    card = page.get_by_role("region", name="The video")
    expect(card.get_by_role("heading")).to_have_text(told["metadata"]["title"])
    expect(card.locator(".state")).to_have_text("live")
    expect(card).to_contain_text("video-00007")
    expect(card).to_contain_text(told["metadata"]["uploader"])
    assert card.locator(".tag").all_inner_texts() == told["metadata"]["tags"]
    assert listed_ids(page) == similar(visitor, "video-00007")
    assert page.url.endswith("#/videos/video-00007")


def test_a_neighbour_leads_on(visitor: Visitor) -> None:
    page = visitor.open("#/videos/video-00007?k=5")
    first = similar(visitor, "video-00007")[0]
    page.locator(".places a.title").first.click()
    settle(page)
    assert page.url.endswith(f"#/videos/{first}")
    assert listed_ids(page) == similar(visitor, first)


def test_a_hidden_video_says_so(visitor: Visitor, hide: str) -> None:
    page = visitor.open(f"#/videos/{hide}")
    expect(page.get_by_role("region", name="The video").locator(".state")).to_have_text("hidden")
    page = visitor.open("#/videos?k=100")
    row = page.locator(".places > li", has_text=hide)
    expect(row.locator(".state")).to_have_text("hidden")


def test_all_videos_come_page_by_page_each_once(visitor: Visitor) -> None:
    page = visitor.open("#/videos?k=25")
    more = page.get_by_role("button", name="More")
    while more.is_visible():
        shown = len(listed_ids(page))
        more.click()
        expect(page.locator(".places > li").nth(shown)).to_be_visible()
        # Whoever uses the keyboard goes on with the first of the new ones.
        expect(page.locator(".places > li").nth(shown).locator("a.title")).to_be_focused()
    assert listed_ids(page) == [f"video-{row:05d}" for row in range(60)]


def test_a_video_that_is_not_there_is_told_by_its_name(visitor: Visitor) -> None:
    page = visitor.open("#/videos/nothing")
    expect(page.get_by_role("alert").first).to_contain_text("Unknown video (404)")
    expect(page.get_by_role("alert").first).to_contain_text("nothing")


def test_a_video_by_the_name_of_a_list_is_no_list(visitor: Visitor) -> None:
    page = visitor.open("#/videos/trending")
    expect(page.get_by_role("alert").first).to_contain_text("Unknown video (404)")


def test_an_id_that_a_browser_cannot_ask_for_is_no_other_video(visitor: Visitor) -> None:
    page = visitor.open("#/videos/..")
    expect(page.get_by_role("alert").first).to_contain_text("cannot be asked for")


def test_lists_for_everybody_are_those_of_the_service(visitor: Visitor) -> None:
    page = visitor.open("#/lists/trending?window=week&k=8")
    reply = visitor.get("/v1/videos/trending?window=week&k=8").json()
    assert listed_ids(page) == [place["video_id"] for place in reply["recommendations"]]
    assert page.get_by_label("Within").input_value() == "week"
    page.get_by_role("link", name="Fresh").click()
    settle(page)
    expect(page.get_by_role("heading", name="Nothing has arrived")).to_be_visible()
    assert page.url.endswith("#/lists/fresh")
