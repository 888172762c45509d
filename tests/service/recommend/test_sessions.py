"""Lists asked for with a body: sessions of known and unknown users, and many at once."""

from typing import Any

import pytest

from tests.support.server import Api


def ask(api: Api, **body: Any) -> dict[str, Any]:
    response = api.request("POST", "/v1/recommendations", json=body)
    assert response.status_code == 200, response.text
    reply: dict[str, Any] = response.json()
    return reply


def places(reply: dict[str, Any]) -> list[tuple[str, str]]:
    return [(place["video_id"], place["source"]) for place in reply["recommendations"]]


def met(*video_ids: str, kind: str = "like") -> list[dict[str, str]]:
    return [{"video_id": video_id, "kind": kind} for video_id in video_ids]


@pytest.mark.parametrize("user_id", ["user-00000", "nobody"])
def test_a_body_without_context_asks_what_the_path_asks(still: Api, user_id: str) -> None:
    path = f"/v1/users/{user_id}/recommendations?k=7&exclude=video-00001"
    assert ask(still, user_id=user_id, k=7, exclude=["video-00001"]) == still.get(path).json()


def test_the_next_list_of_somebody_unnamed_reflects_a_click(still: Api) -> None:
    first = ask(still, k=500)
    assert first["user_id"] is None
    assert {source for _, source in places(first)} <= {"popular", "fresh"}
    clicked = places(first)[0][0]
    then = ask(still, k=500, session=met(clicked))
    assert {source for _, source in places(then)} == {"fold_in"}
    assert clicked not in dict(places(then))
    assert len(places(then)) == len(places(first)) - 1
    other = ask(still, k=500, session=met(places(first)[1][0]))
    assert places(other)[1:] != places(then)[1:]


@pytest.mark.parametrize("user_id", ["user-00000", "nobody"])
def test_a_session_counts_as_if_it_had_been_recorded(api: Api, user_id: str) -> None:
    api.met(user_id, "like", "video-00003")
    session = [*met("video-00004"), *met("video-00003", kind="skip"), *met("video-00005")]
    asked = ask(api, user_id=user_id, k=500, session=session)
    for event in session:
        api.met(user_id, event["kind"], event["video_id"])
    recorded = ask(api, user_id=user_id, k=500)
    assert asked["recommendations"] == recorded["recommendations"]
    # What is in both is counted once.
    again = ask(api, user_id=user_id, k=500, session=session)
    assert again["recommendations"] == recorded["recommendations"]


def test_a_session_is_not_recorded(api: Api) -> None:
    before = api.head()
    ask(api, user_id="nobody", session=met("video-00001"))
    assert api.head() == before
    assert places(ask(api, user_id="nobody"))[0][1] == "popular"


def test_a_session_of_videos_nobody_knows_is_no_session(still: Api) -> None:
    """Case 29."""
    unknown = ask(still, session=met("gone", "never-there"))
    assert places(unknown) == places(ask(still))


def test_a_batch_answers_each_as_if_asked_alone(still: Api) -> None:
    requests: list[dict[str, Any]] = [
        {"user_id": f"user-{row % 20:05d}", "k": 3 + row % 5} for row in range(200)
    ]
    requests += [{"session": met("video-00002")}, {}, {"user_id": "nobody", "tags_any": ["x"]}]
    reply = still.request("POST", "/v1/recommendations:batch", json={"requests": requests}).json()
    assert reply["results"] == [ask(still, **one) for one in requests]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"k": 0}, "body.k"),
        ({"k": 501}, "body.k"),
        ({"k": True}, "body.k"),
        ({"k": "5"}, "body.k"),
        ({"user_id": ""}, "body.user_id"),
        ({"user_id": 7}, "body.user_id"),
        ({"session": [{"video_id": "a", "kind": "stare"}]}, "body.session.0.kind"),
        ({"session": [{"video_id": "a", "at": 1}]}, "body.session.0.at"),
        ({"session": [{"video_id": "a"}] * 201}, "body.session"),
        ({"exclude": ["a\x00"]}, "body.exclude.0"),
        ({"tags_any": "a"}, "body.tags_any"),
        ({"published_before": 7}, "body.published_before"),
        ({"n": 5}, "body.n"),
    ],
)
def test_a_bad_body_is_refused_by_name(still: Api, body: dict[str, Any], field: str) -> None:
    """Cases 33 and 36."""
    alone = still.request("POST", "/v1/recommendations", json=body)
    assert alone.status_code == 422
    assert {error["field"] for error in alone.json()["errors"]} == {field}
    many = {"requests": [{}, body]}
    batch = still.request("POST", "/v1/recommendations:batch", json=many)
    assert batch.status_code == 422
    found = {error["field"] for error in batch.json()["errors"]}
    assert found == {field.replace("body", "body.requests.1", 1)}


@pytest.mark.parametrize("count", [0, 257])
def test_a_batch_of_none_or_too_many_is_refused(still: Api, count: int) -> None:
    body: dict[str, Any] = {"requests": [{}] * count}
    assert still.request("POST", "/v1/recommendations:batch", json=body).status_code == 422
