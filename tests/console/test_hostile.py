"""Ids and metadata that are written to be taken for HTML stay text, in every view."""

from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import expect

from tests.support.browser import PHONE, Visitor, overflow
from tests.support.server import Process, features, segment

EVIL = '<img src=x onerror="window.hit=1">'
LINK = "javascript:window.hit=1"
LONG = "W" * 500


# Shown from right to left, with all that follows.
TURNED = "\u202eabc"
SCRIPT = "<script>window.hit=1</script>"


@pytest.fixture(scope="module")
def service(own_service: Process) -> Process:
    """A service with videos that are called and told of like that."""
    with httpx.Client(base_url=own_service.url) as client:
        for seed, video_id in enumerate((EVIL, LINK, LONG, SCRIPT, TURNED)):
            told = {"title": EVIL, "tags": [EVIL, LINK], "uploader": EVIL, "language": "<b>en</b>"}
            body = {"features": features(seed), "metadata": told}
            reply = client.put(f"/v1/videos/{segment(video_id)}", json=body)
            assert reply.status_code == 201, reply.text
        met = [{"user_id": EVIL, "video_id": EVIL, "kind": "like"}]
        assert client.post("/v1/interactions", json={"interactions": met}).status_code == 202
    return own_service


VIEWS = [
    "#/lists/fresh",
    "#/lists/trending",
    "#/videos?k=100",
    f"#/videos/{quote(EVIL, safe='')}",
    f"#/videos/{quote(LINK, safe='')}",
    f"#/videos/{quote(LONG, safe='')}",
    f"#/users/{quote(EVIL, safe='')}?k=100&uploader={quote(EVIL)}&tags_any={quote(EVIL)}",
    f"#/users/{quote(EVIL, safe='')}?k=100",
    f"#/add/{quote(EVIL, safe='')}",
    f"#/{quote(EVIL, safe='')}/{quote(EVIL, safe='')}?{quote(EVIL)}={quote(EVIL)}",
    f"#/lists/{quote(EVIL, safe='')}",
    "#/videos/%E0%A4%A",
]


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_of_it_becomes_an_element_or_runs(visitor: Visitor, view: str) -> None:
    page = visitor.open(view, size=PHONE)
    assert page.evaluate("window.hit") is None
    assert page.locator("main img, main script, main b:has(img)").count() == 0
    links = page.locator("a").evaluate_all("all => all.map(one => one.protocol)")
    assert set(links) == {"http:"}
    assert overflow(page) == 0


def test_it_is_shown_as_it_is(visitor: Visitor) -> None:
    page = visitor.open("#/lists/fresh")
    titles = page.locator(".places a.title")
    expect(titles.first).to_have_text(EVIL)
    expect(page.locator(".places .under").first).to_contain_text(LINK)
    page = visitor.open(f"#/videos/{quote(EVIL, safe='')}")
    expect(page.get_by_role("region", name="The video")).to_contain_text(EVIL)


def test_a_click_on_a_title_leads_to_the_video_of_that_id(visitor: Visitor) -> None:
    page = visitor.open("#/lists/fresh")
    row = page.locator(".places > li", has_text=LINK).filter(has=page.locator("code"))
    row.locator("code", has_text=LINK).first.locator("xpath=../..").locator("a.title").click()
    expect(page.locator(".facts code").first).to_have_text(LINK)
    assert page.evaluate("window.hit") is None
