"""PATCH of a video: what is told of it, and whether it is shown; GET with its vector."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.bundles import unit
from tests.support.server import Api, segment, settings_for

TOLD = {"title": "One", "tags": ["a", "b"], "uploader": "u", "language": "de"}


def patch(api: Api, video_id: str, body: Any) -> int:
    return api.request("PATCH", f"/v1/videos/{segment(video_id)}", json=body).status_code


def told(api: Api, video_id: str) -> dict[str, Any]:
    metadata: dict[str, Any] = api.get(f"/v1/videos/{segment(video_id)}").json()["metadata"]
    return metadata


@pytest.mark.parametrize("video_id", ["video-00003", "new"])
def test_what_is_named_is_replaced_and_null_takes_away(api: Api, video_id: str) -> None:
    if video_id == "new":
        api.put_video("new", metadata=TOLD)
    else:
        assert patch(api, video_id, {"metadata": {**TOLD, "published_at": None}}) == 200
    before = api.similar(video_id, 5)
    assert patch(api, video_id, {"metadata": {"tags": ["c"], "language": None}}) == 200
    assert told(api, video_id) == {"title": "One", "tags": ["c"], "uploader": "u"}
    assert api.similar(video_id, 5) == before
    found = api.get("/v1/videos?tags_any=c&uploader=u").json()["videos"]
    assert [video["video_id"] for video in found] == [video_id]
    assert api.get("/v1/videos?tags_any=a").json()["videos"] == []
    assert patch(api, video_id, {"metadata": {}}) == 200
    assert told(api, video_id) == {"title": "One", "tags": ["c"], "uploader": "u"}


def test_state_and_metadata_change_together_and_last_through_a_restart(
    bundles: Path, tmp_path: Path
) -> None:
    settings = settings_for(bundles, tmp_path / "events.db")
    with Api(settings) as api:
        api.ready()
        body = {"state": "hidden", "metadata": {"title": "Two"}}
        assert patch(api, "video-00003", body) == 200
    with Api(settings) as api:
        api.ready()
        reply = api.get("/v1/videos/video-00003").json()
        assert (reply["state"], reply["metadata"]["title"]) == ("hidden", "Two")
        assert patch(api, "video-00003", {"state": "live"}) == 200
        assert api.get("/v1/videos/video-00003").json()["state"] == "live"
        assert told(api, "video-00003")["title"] == "Two"


def test_a_patched_end_takes_a_video_out_and_brings_it_back(api: Api) -> None:
    """Case 20."""
    assert patch(api, "video-00003", {"metadata": {"expires_at": "2020-01-01T00:00:00Z"}}) == 200
    listed = {place["video_id"] for place in api.recommend("nobody", 500)}
    assert "video-00003" not in listed
    assert api.get("/v1/videos/video-00003").json()["state"] == "expired"
    assert patch(api, "video-00003", {"metadata": {"expires_at": None}}) == 200
    assert {p["video_id"] for p in api.recommend("nobody", 500)} == listed | {"video-00003"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"state": None},
        {"metadata": None},
        {"state": "gone"},
        {"metadata": {"tags": "a"}},
        {"metadata": {"expires_at": "tomorrow"}},
        {"metadata": {"colour": "red"}},
        {"features": {}},
        [],
        "hidden",
    ],
)
def test_a_bad_patch_is_refused(still: Api, body: Any) -> None:
    assert patch(still, "video-00003", body) == 422


def test_a_patch_of_no_video_is_404(still: Api) -> None:
    assert patch(still, "not-there", {"metadata": {"title": "x"}}) == 404


def test_the_vector_of_a_video_comes_on_request(api: Api) -> None:
    api.put_video("new", 3)
    for video_id in ("new", "video-00003"):
        path = f"/v1/videos/{video_id}"
        assert api.get(path).json()["vector"] is None
        assert api.get(f"{path}?vector=false").json()["vector"] is None
        vector = np.array(api.get(f"{path}?vector=true").json()["vector"], np.float32)
        assert len(vector) == api.model()["vector_dim"]
        np.testing.assert_allclose(vector, unit(vector[None])[0], rtol=1e-5)
        (nearest,) = api.similar(video_id, 1)
        other = api.get(f"/v1/videos/{segment(nearest['video_id'])}?vector=true").json()["vector"]
        assert nearest["score"] == pytest.approx(float(vector @ np.array(other)), abs=1e-5)


@pytest.mark.parametrize("value", ["1", "yes", "True", "", "on"])
def test_only_true_and_false_are_yes_and_no(still: Api, value: str) -> None:
    assert still.get(f"/v1/videos/video-00003?vector={value}").status_code == 422
