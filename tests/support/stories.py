"""Stories: what clients do to a service, in any order, through any replica."""

import random
from typing import Any, Final, NamedTuple

import httpx
from hypothesis import strategies as st

from eventlog.events import KINDS, Kind
from tests.support.asking import USERS, VIDEOS, Asked
from tests.support.server import features, segment

# What is asked about, and what is not but is near it.
STORIED_VIDEOS: Final = (*VIDEOS, "y", "z")
STORIED_USERS: Final = (*USERS[:3], "another")
SEEDS: Final = 4
VERBS: Final = ("put", "put", "put", "met", "met", "met", "delete", "hide", "show", "erase")


class Step(NamedTuple):
    """What is done, to which video or user, and through which replica."""

    verb: str
    video_id: str
    user_id: str
    kind: Kind
    seed: int
    replica: int


def steps(replicas: int) -> st.SearchStrategy[Step]:
    """Draw a step."""
    return st.builds(
        Step,
        verb=st.sampled_from(VERBS),
        video_id=st.sampled_from(STORIED_VIDEOS),
        user_id=st.sampled_from(STORIED_USERS),
        kind=st.sampled_from(KINDS),
        seed=st.integers(1, SEEDS),
        replica=st.integers(0, replicas - 1),
    )


def random_step(rng: random.Random, replicas: int) -> Step:
    """Draw a step for a story that is told once."""
    return Step(
        verb=rng.choice(VERBS),
        video_id=rng.choice(STORIED_VIDEOS),
        user_id=rng.choice(STORIED_USERS),
        kind=rng.choice(KINDS),
        seed=rng.randint(1, SEEDS),
        replica=rng.randrange(replicas),
    )


def tell(replica: Asked, step: Step, last: str) -> str:
    """Do it, where all up to `last` is known; return the position reached."""
    response = _send(replica, step, last)
    # There is nothing to hide or show where the story has no such video.
    if response.status_code == 404 and step.verb in {"hide", "show"}:
        return last
    assert response.is_success, response.text
    position: str = response.json()["position"]
    return position


def _send(replica: Asked, step: Step, last: str) -> httpx.Response:
    video = f"/v1/videos/{segment(step.video_id)}"
    match step.verb:
        case "put":
            tagged = {"tags": [f"t{step.seed}", f"t{step.seed // 2}"]}
            body: dict[str, Any] = {"features": features(step.seed), "metadata": tagged}
            return replica.request("PUT", video, json=body)
        case "delete":
            return replica.request("DELETE", video)
        case "hide" | "show":
            body = {"state": "hidden" if step.verb == "hide" else "live"}
            return replica.request("PATCH", f"{video}?min_position={last}", json=body)
        case "met":
            met = {"user_id": step.user_id, "video_id": step.video_id, "kind": step.kind}
            return replica.request("POST", "/v1/interactions", json={"interactions": [met]})
        case _:
            return replica.request("DELETE", f"/v1/users/{segment(step.user_id)}")
