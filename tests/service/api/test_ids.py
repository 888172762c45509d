"""Ids go through HTTP unchanged, and no two of them are ever one."""

import pytest

from tests.support.server import Api, segment

GOOD = [
    "a/b",
    "a%2Fb",
    "a%252Fb",
    "/",
    "//",
    "..",
    ".",
    "../../etc",
    "%",
    "%zz",
    "%00",
    "?",
    "?k=1",
    "#",
    "+",
    "a+b",
    "a b",
    " ",
    "&",
    "=",
    ";",
    ":",
    "videos:batch",
    "'",
    '"',
    "\\",
    "{}",
    "*",
    "<b>",
    "é",
    "e\u0301",
    "😀",
    "日本",
    "ABC",
    "abc",
    "similar",
    "x" * 512,
    "é" * 256,
]


@pytest.mark.parametrize("video_id", GOOD, ids=ascii)
def test_a_video_id_makes_the_round_trip(api: Api, video_id: str) -> None:
    """Cases 10 and 11."""
    assert api.put_video(video_id).status_code == 201
    assert api.get(f"/v1/videos/{segment(video_id)}").json()["video_id"] == video_id
    assert api.get(f"/v1/videos/{segment(video_id)}/similar").json()["video_id"] == video_id
    assert video_id in {p["video_id"] for p in api.recommend("user-00000", 500)}
    assert api.put_video(video_id, 2).status_code == 200
    assert api.delete_video(video_id).status_code == 200
    assert api.get(f"/v1/videos/{segment(video_id)}").status_code == 404
    assert video_id not in {p["video_id"] for p in api.recommend("user-00000", 500)}


@pytest.mark.parametrize("user_id", GOOD, ids=ascii)
def test_a_user_id_makes_the_round_trip(api: Api, user_id: str) -> None:
    """Cases 10 and 11."""
    reply = api.get(f"/v1/users/{segment(user_id)}/recommendations?k=1").json()
    assert reply["user_id"] == user_id
    best = reply["recommendations"][0]["video_id"]
    assert api.watch(user_id, best).status_code == 202
    assert api.recommend(user_id, 1)[0]["video_id"] != best


def test_ids_that_look_alike_are_different_videos(api: Api) -> None:
    """Case 11."""
    for seed, video_id in enumerate(GOOD):
        assert api.put_video(video_id, seed).status_code == 201, video_id
    assert api.model()["videos"] == 60 + len(GOOD)


def test_a_history_belongs_to_one_spelling_of_a_user(api: Api) -> None:
    best = api.recommend("\u00e9", 1)[0]["video_id"]
    api.watch("\u00e9", best)
    assert api.recommend("e\u0301", 1)[0]["video_id"] == best


def test_a_batch_keeps_ids_as_they_are(api: Api) -> None:
    videos = [{"video_id": v, "features": {"visual": [1.0] * 64}} for v in GOOD]
    results = api.request("POST", "/v1/videos:batch", json={"videos": videos}).json()["results"]
    assert [r["video_id"] for r in results] == GOOD
    assert {r["status"] for r in results} == {201}


@pytest.mark.parametrize(
    "encoded",
    [
        "%00",
        "a%00b",
        "%0A",
        "%7F",
        "%C2%85",
        "x" * 513,
        "%C3%A9" * 257,
        "x" * 10_000,
        "%FF",
        "%C3",
        "%ED%A0%80",
        "%C0%AF",
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/videos/{}"),
        ("GET", "/v1/videos/{}/similar"),
        ("DELETE", "/v1/videos/{}"),
        ("GET", "/v1/users/{}/recommendations"),
        ("PUT", "/v1/videos/{}"),
    ],
)
def test_what_is_no_id_is_refused(still: Api, method: str, path: str, encoded: str) -> None:
    """Case 11."""
    body = {"features": {"visual": [1.0] * 64}} if method == "PUT" else None
    response = still.request(method, path.format(encoded), json=body)
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert "path." in response.json()["detail"]
    assert still.head() == ""


def test_an_id_sent_unencoded_is_the_same_id(api: Api) -> None:
    api.put_video("é")
    assert _raw_get(api, "/v1/videos/é".encode()) == 200


def _raw_get(api: Api, raw_path: bytes) -> int:
    """GET a path whose bytes no client library would send."""
    statuses: list[int] = []

    async def ask() -> None:
        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                statuses.append(int(str(message["status"])))

        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "path": "/",
            "scheme": "http",
            "raw_path": raw_path,
            "query_string": b"",
            "headers": [],
            "root_path": "",
            "server": ("test", 80),
            "client": ("test", 1),
            "asgi": {"version": "3.0"},
        }
        await api.app(scope, receive, send)  # type: ignore[arg-type] # plain dicts are messages

    api._wait(ask())
    return statuses[0]
