"""What a write promises: seen at once, recorded once, hidden, erased, undone."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.server import Api, eventually, features, segment

KEY = {"idempotency-key": "try-1"}
BODY = {"features": features(1)}


def listed(api: Api, user: str) -> set[str]:
    return {place["video_id"] for place in api.recommend(user, 500)}


def test_a_write_with_a_key_is_recorded_once_however_often_it_is_sent(api: Api) -> None:
    """Case 14."""
    first = api.request("PUT", "/v1/videos/v", json=BODY, headers=KEY)
    again = api.request("PUT", "/v1/videos/v", json=BODY, headers=KEY)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["position"] == again.json()["position"] == api.head()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert len(api.entries()) == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/videos:batch", {"videos": [{"video_id": "b", **BODY}]}),
        (
            "POST",
            "/v1/interactions",
            {"interactions": [{"user_id": "u", "video_id": "video-00001", "kind": "like"}]},
        ),
        ("PATCH", "/v1/videos/video-00001", {"state": "hidden"}),
        ("DELETE", "/v1/videos/video-00001", None),
        ("DELETE", "/v1/users/user-00001", None),
    ],
)
def test_every_write_takes_a_key(api: Api, method: str, path: str, body: object) -> None:
    more = {} if body is None else {"json": body}
    first = api.request(method, path, headers=KEY, **more)
    again = api.request(method, path, headers=KEY, **more)
    assert first.is_success
    # A hidden video can be patched again; a deleted one is still a success.
    assert again.is_success
    assert again.headers["idempotency-replayed"] == "true"
    assert len(api.entries()) == 1


def test_a_key_that_comes_with_another_request_is_refused(api: Api) -> None:
    api.request("PUT", "/v1/videos/v", json=BODY, headers=KEY)
    for path, body in (("/v1/videos/w", BODY), ("/v1/videos/v", {"features": features(2)})):
        response = api.request("PUT", path, json=body, headers=KEY)
        assert response.status_code == 422
        assert "idempotency key" in response.json()["detail"].lower()
    assert len(api.entries()) == 1


@pytest.mark.parametrize("key", ["", "k" * 201])
def test_a_key_of_no_sensible_length_is_refused(api: Api, key: str) -> None:
    response = api.request("PUT", "/v1/videos/v", json=BODY, headers={"idempotency-key": key})
    assert response.status_code == 422
    assert api.entries() == []


def test_the_same_write_at_the_same_time_is_recorded_once(api: Api) -> None:
    def put(_: int) -> str:
        response = api.request("PUT", "/v1/videos/v", json=BODY, headers=KEY)
        position: str = response.json()["position"]
        return position

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(put, range(16)))) == 1
    assert len(api.entries()) == 1


def test_a_hidden_video_is_in_no_list_until_it_is_shown_again(api: Api) -> None:
    """Case 20."""
    trained, arrival = "video-00003", "a/b"
    api.put_video(arrival)
    for name in (trained, arrival):
        users = [
            user for user in ("user-00000", "user-00007", "nobody") if name in listed(api, user)
        ]
        assert users
        assert api.hide(name).status_code == 200
        assert all(name not in listed(api, user) for user in users)
        assert name not in {place["video_id"] for place in api.similar("video-00001", 500)}
        known = api.get(f"/v1/videos/{segment(name)}").json()
        assert known["state"] == "hidden"
        assert api.similar(name, 3)
        assert api.hide(name, "live").status_code == 200
        assert all(name in listed(api, user) for user in users)
        assert api.get(f"/v1/videos/{segment(name)}").json()["state"] == "live"


def test_a_hidden_video_stays_hidden_when_replaced_and_not_when_deleted(api: Api) -> None:
    for name in ("video-00003", "arrival"):
        api.put_video(name, 1)
        api.hide(name)
        api.put_video(name, 2)
        assert name not in listed(api, "nobody")
        api.delete_video(name)
        api.put_video(name, 3)
        assert name in listed(api, "nobody")


@pytest.mark.parametrize(
    "body", [{}, {"state": "gone"}, {"state": "live", "x": 1}, {"state": 1}, []]
)
def test_a_state_that_is_none_is_refused(api: Api, body: object) -> None:
    response = api.request("PATCH", "/v1/videos/video-00001", json=body)
    assert response.status_code == 422
    assert api.entries() == []


def test_hiding_what_is_not_there_is_404_and_records_nothing(api: Api) -> None:
    assert api.hide("nothing").status_code == 404
    assert api.entries() == []


def test_an_erased_user_is_a_stranger(api: Api) -> None:
    user = "user-00000"
    stranger = api.recommend("nobody", 500)
    api.watch(user, "video-00001")
    assert api.recommend(user, 500) != stranger
    assert {place["source"] for place in api.recommend(user, 500)} == {"personal"}
    response = api.erase(user)
    assert response.status_code == 200
    assert response.json()["position"] == api.head()
    assert api.recommend(user, 500) == api.recommend("nobody", 500)
    api.watch(user, "video-00002")
    assert "video-00002" not in listed(api, user)
    assert {place["source"] for place in api.recommend(user, 500)} == {"fold_in"}


def test_erasing_a_stranger_is_no_error(api: Api) -> None:
    assert api.erase("who/ever").status_code == 200


def test_a_quarantined_event_is_named(api: Api) -> None:
    api.put_video("v")
    assert api.model()["quarantined"] == 0
    api.append_raw(b"\xc1")
    eventually(lambda: api.model()["quarantined"] == 1)
    [entry] = api.model()["quarantine"]
    assert entry["position"] == api.head()
    assert entry["fault"]
