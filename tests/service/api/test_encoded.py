"""Features as base64: the same videos as from JSON, and refused as strictly."""

import base64
from typing import Any

import numpy as np
import pytest

from tests.support.server import Api, features

TYPES = {"float32": "<f4", "float16": "<f2"}


def encoded(given: dict[str, list[float]], dtype: str) -> dict[str, Any]:
    """Return features with their numbers as base64."""
    return {
        name: {
            "dtype": dtype,
            "data": base64.b64encode(np.array(row, TYPES[dtype]).tobytes()).decode(),
        }
        for name, row in given.items()
    }


@pytest.mark.parametrize("dtype", TYPES)
def test_an_encoded_video_is_the_video_it_encodes(api: Api, dtype: str) -> None:
    rounded = {n: np.array(r, TYPES[dtype]).astype(float).tolist() for n, r in features(3).items()}
    api.put_video("plain", features=rounded)
    assert api.put_video("encoded", features=encoded(features(3), dtype)).status_code == 201
    rows = [{"video_id": "batched", "features": encoded(features(3), dtype)}]
    reply = api.request("POST", "/v1/videos:batch", json={"videos": rows}).json()
    assert [result["status"] for result in reply["results"]] == [201]
    twins = api.similar("plain", 2)
    assert {place["video_id"] for place in twins} == {"encoded", "batched"}
    # Not merely alike: what the log keeps of them is the same to the last bit.
    assert len({place["score"] for place in twins}) == 1


def test_encoded_and_plain_numbers_may_stand_side_by_side(api: Api) -> None:
    mixed = {**features(3), **encoded(features(3, ["visual"]), "float32")}
    assert api.put_video("mixed", features=mixed).status_code == 201


def test_a_wrong_width_is_counted_in_numbers_not_in_bytes(api: Api) -> None:
    response = api.put_video("short", features=encoded({"visual": [1.0, 2.0, 3.0]}, "float16"))
    assert response.status_code == 422
    assert "body.features.visual: expected 64 numbers, got 3" in response.json()["detail"]


def test_what_overflows_float16_is_refused_by_place(api: Api) -> None:
    row = np.array([0.0] * 63 + [np.inf])
    response = api.put_video("over", features=encoded({"visual": row.tolist()}, "float16"))
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "body.features.visual.data"
    assert "got inf at place 63" in response.json()["detail"]
    assert api.head() == ""


def test_encoded_zeros_are_an_absent_modality(api: Api) -> None:
    zeros = encoded({"visual": [0.0] * 64}, "float16")
    assert api.put_video("nothing", features=zeros).status_code == 422
    given = {**features(1, ["acoustic"]), **zeros}
    assert api.put_video("something", features=given).status_code == 201
