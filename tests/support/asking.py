"""What is asked of a replica, in this process or another, to tell whether it is like the others."""

import ssl
from collections.abc import Sequence
from typing import Final

import httpx

from tests.support.server import Api, segment

Asked = Api | httpx.Client

# Trained users, one who came with the log, one whom nobody knows.
USERS: Final = ("user-00000", "user-00007", "newcomer", "stranger")
VIDEOS: Final = ("video-00000", "video-00031", "a", "b/c")


# A client reads a list of authorities in 30 ms, more than an answer takes; nobody here needs them.
_TRUSTING_NOBODY: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def asking(url: str) -> httpx.Client:
    """Return a client of the service at `url`, for a `with` block."""
    return httpx.Client(base_url=url, timeout=20, verify=_TRUSTING_NOBODY)


def paths(users: Sequence[str] = USERS, videos: Sequence[str] = VIDEOS) -> list[str]:
    """Return lists for `users` and of videos like `videos`: short, whole, and of some tags."""
    asked = [f"/v1/users/{segment(user)}/recommendations" for user in users]
    mixed = [f"{path}?k=9&diversity=0.3&explore=0.4&explain=true" for path in asked]
    asked += [f"/v1/videos/{segment(video)}/similar" for video in videos]
    known = [f"/v1/videos/{segment(video)}" for video in videos]
    options = ("k=3", "k=500", "k=500&tags_any=t1&tags_none=t2")
    return [*(f"{path}?{option}" for path in asked for option in options), *mixed, *known]


def answers(replica: Asked, position: str | None = None) -> dict[str, bytes]:
    """Return the bytes of every list, a video's state or that it is unknown, from `position` on."""
    found = {}
    for path in paths():
        given = "" if position is None else f"{'&' if '?' in path else '?'}min_position={position}"
        response = replica.request("GET", path + given)
        assert response.status_code in {200, 404}, response.text
        assert "x-degraded" not in response.headers, response.headers
        found[path] = response.content
    return found
