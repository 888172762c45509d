"""Lists for a user page by page: nothing comes twice, and nothing is passed over."""

from typing import Any

import pytest

from service.api import recommendations
from service.api.cursors import to_cursor
from service.api.options import MAX_CURSOR
from service.recommend.request import MARK_BYTES, MAX_SHOWN
from tests.support.server import Api, segment


def page(api: Api, user_id: str, query: str, cursor: str | None) -> tuple[list[str], str | None]:
    leading = "" if cursor is None else f"&cursor={cursor}"
    reply = api.get(f"/v1/users/{segment(user_id)}/recommendations?paged=true&{query}{leading}")
    assert reply.status_code == 200, reply.text
    body = reply.json()
    return [place["video_id"] for place in body["recommendations"]], body["next_cursor"]


def pages(api: Api, user_id: str, query: str) -> list[list[str]]:
    found, cursor = page(api, user_id, query, None)
    every = [found]
    while cursor is not None:
        found, cursor = page(api, user_id, query, cursor)
        every.append(found)
    return every


@pytest.mark.parametrize("user_id", ["user-00000", "nobody", "new comer"])
def test_pages_are_the_whole_list_in_parts(still: Api, user_id: str) -> None:
    whole, cursor = page(still, user_id, "k=500", None)
    assert cursor is None
    parts = pages(still, user_id, "k=7")
    assert [name for part in parts for name in part] == whole
    assert {len(part) for part in parts[:-1]} == {7}


@pytest.mark.parametrize("options", ["", "&diversity=0.7", "&explore=0.4", "&tags_none=x"])
@pytest.mark.parametrize("user_id", ["user-00000", "nobody"])
def test_nothing_repeats_and_nothing_is_skipped_while_videos_come_and_go(
    api: Api, user_id: str, options: str
) -> None:
    shown: list[str] = []
    gone = set()
    cursor, turn = None, 0
    while True:
        found, cursor = page(api, user_id, f"k=6{options}", cursor)
        shown += found
        if cursor is None:
            break
        if turn < 5:
            api.put_video(f"new-{turn}", turn)
            api.met(user_id, "like", found[0])  # the vector moves
            live = {place["video_id"] for place in api.recommend(user_id, 500)}
            gone.add(max(live - set(shown)))
            api.delete_video(max(live - set(shown)))
        turn += 1
    assert len(set(shown)) == len(shown)
    every = {place["video_id"] for place in api.recommend(user_id, 500)}
    assert not gone & set(shown)
    assert every <= set(shown)
    assert {f"new-{n}" for n in range(5)} <= set(shown)


def test_a_body_pages_too_and_a_session_may_grow_on_the_way(still: Api) -> None:
    shown: list[str] = []
    body: dict[str, Any] = {"k": 8, "paged": True}
    while True:
        reply = still.request("POST", "/v1/recommendations", json=body).json()
        shown += [place["video_id"] for place in reply["recommendations"]]
        if reply["next_cursor"] is None:
            break
        body["cursor"] = reply["next_cursor"]
        body["session"] = [{"video_id": shown[0], "kind": "like"}]
    assert len(shown) == len(set(shown)) == 60


def test_who_does_not_page_gets_no_cursor(still: Api) -> None:
    assert still.get("/v1/users/user-00000/recommendations?k=3").json()["next_cursor"] is None
    assert page(still, "user-00000", "k=3", None)[1] is not None


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "%00", "é", "A" * 12_000])
def test_a_cursor_that_was_not_handed_out_is_refused(still: Api, cursor: str) -> None:
    reply = still.get(f"/v1/users/a/recommendations?cursor={cursor}")
    assert reply.status_code == 422
    assert "query.cursor" in reply.json()["detail"]


def test_a_cursor_of_another_user_or_list_is_refused(still: Api) -> None:
    _, mine = page(still, "user-00000", "k=3", None)
    videos = still.get("/v1/videos?k=3").json()["next_cursor"]
    for cursor in (mine, videos):
        assert still.get(f"/v1/users/user-00001/recommendations?cursor={cursor}").status_code == 422
    many = {"requests": [{}, {"user_id": "user-00001", "cursor": mine}]}
    reply = still.request("POST", "/v1/recommendations:batch", json=many)
    assert reply.json()["errors"][0]["field"] == "body.requests.1.cursor"


def test_paging_ends_where_a_cursor_would_grow_too_long(
    still: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recommendations, "MAX_SHOWN", 20)
    assert [len(part) for part in pages(still, "nobody", "k=9")] == [9, 9, 9]


def test_the_longest_cursor_is_taken_back() -> None:
    longest = to_cursor("x", bytes(MARK_BYTES * MAX_SHOWN))
    assert len(longest) <= MAX_CURSOR
