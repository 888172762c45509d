"""Why a video is in a list: what its content adds, modality by modality, and what it is like."""

from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.ablation import combinations_of
from models.bundle import layout
from models.bundle.reader import read_current_id
from service.recommend.explaining import decomposed
from tests.support.bundles import plant, write_small_bundle
from tests.support.damage import reseal
from tests.support.server import WIDTHS, Api, features, settings_for
from training.data.synthetic import make_synthetic

NAMES = tuple(WIDTHS)


def ask(api: Api, user_id: str, query: str = "") -> dict[str, dict[str, Any]]:
    """Return the explained places of a whole list by the ids of their videos."""
    reply = api.get(f"/v1/users/{user_id}/recommendations?k=500&explain=true{query}")
    assert reply.status_code == 200, reply.text
    return {place["video_id"]: place for place in reply.json()["recommendations"]}


def vector_of(api: Api, video_id: str) -> Any:
    return np.array(api.get(f"/v1/videos/{video_id}?vector=true").json()["vector"])


def user_vector(api: Api, user_id: str) -> Any:
    return np.array(api.get(f"/v1/users/{user_id}/export").json()["vector"])


@settings(deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=8, max_size=8))
def test_what_a_modality_adds_is_its_mean_gain_over_all_orders(scores: list[float]) -> None:
    found = decomposed(np.array(scores), NAMES)
    expected = dict.fromkeys(NAMES, 0.0)
    for order in permutations(range(3)):
        number = 0
        for bit in order:
            expected[NAMES[bit]] += (scores[number | 1 << bit] - scores[number]) / 6
            number |= 1 << bit
    assert found.contributions == pytest.approx(expected, abs=1e-12)
    assert found.baseline + sum(found.contributions.values()) == pytest.approx(found.score)
    assert sum(map(abs, found.shares.values())) == pytest.approx(1.0) or not any(
        found.contributions.values()
    )


def test_contributions_and_baseline_make_the_score_of_the_content(api: Api) -> None:
    api.put_video("new", 3)
    api.put_video("silent", 4, features=features(4, ["visual", "textual"]))
    user = user_vector(api, "user-00000")
    places = ask(api, "user-00000")
    assert len(places) > 30
    for video_id, place in places.items():
        why = place["explanation"]
        assert set(why["contributions"]) == set(why["shares"]) == set(NAMES)
        total = why["baseline"] + sum(why["contributions"].values())
        assert why["content"] == pytest.approx(total, abs=1e-12)
        assert sum(map(abs, why["shares"].values())) == pytest.approx(1)
        if not video_id.startswith("video"):
            # Of an arrival that nobody met the content is all there is.
            assert why["content"] == pytest.approx(place["score"], abs=1e-6)
            assert place["score"] == pytest.approx(float(vector_of(api, video_id) @ user), abs=1e-6)
    assert places["silent"]["explanation"]["contributions"]["acoustic"] == 0
    (baseline,) = {round(p["explanation"]["baseline"], 6) for p in places.values()}
    assert baseline != 0


def test_taking_a_modality_away_is_what_is_measured(api: Api) -> None:
    every = features(5)
    for number, kept in enumerate(combinations_of(3).tolist()):
        if number:
            names = [name for name, there in zip(NAMES, kept, strict=True) if there]
            api.put_video(f"set-{number}", features={name: every[name] for name in names})
    places = ask(api, "user-00000")
    whole = places["set-7"]["explanation"]
    scores = [whole["baseline"], *(places[f"set-{number}"]["score"] for number in range(1, 8))]
    expected = decomposed(np.array(scores), NAMES).contributions
    assert whole["contributions"] == pytest.approx(dict(expected), abs=1e-6)


def test_a_trained_video_is_explained_as_an_arrival_with_its_features_is(api: Api) -> None:
    sample = make_synthetic(videos=60, users=20, seed=0)
    places = ask(api, "user-00000")
    row = next(
        row for row in range(60) if f"video-{row:05d}" in places and sample.present[row].all()
    )
    copied = {name: matrix[row].tolist() for name, matrix in sample.features.items()}
    api.put_video("copy", features=copied)
    again = ask(api, "user-00000")
    trained, copy = (again[v]["explanation"] for v in (f"video-{row:05d}", "copy"))
    # The bundle keeps them in half precision.
    assert trained["content"] == pytest.approx(copy["content"], abs=2e-3)
    assert trained["contributions"] == pytest.approx(copy["contributions"], abs=3e-3)
    # The score of the trained one holds what viewers taught beside.
    assert again["copy"]["score"] == pytest.approx(copy["content"], abs=1e-6)
    assert trained["content"] != pytest.approx(again[f"video-{row:05d}"]["score"], abs=1e-3)


def test_what_viewers_made_of_an_arrival_is_no_part_of_its_content(api: Api) -> None:
    api.put_video("new", 3)
    before = ask(api, "user-00000")["new"]
    api.met("user-00001", "like", "new")
    after = ask(api, "user-00000")["new"]
    assert after["explanation"]["content"] == before["explanation"]["content"]
    assert after["score"] != pytest.approx(before["score"], abs=1e-4)


def test_other_features_other_contributions(api: Api) -> None:
    api.put_video("new", 3)
    before = ask(api, "user-00000")["new"]["explanation"]
    api.put_video("new", 4)
    api.put_video("new", 4, metadata={"title": "told again"})
    after = ask(api, "user-00000")["new"]["explanation"]
    assert after["contributions"] != before["contributions"]
    # A trained video that came with other features is explained from the log too.
    api.put_video("video-00001", 4)
    moved = ask(api, "nobody-yet", "").get("video-00001")
    api.watch("somebody", "video-00000")
    replaced = ask(api, "somebody")
    assert moved is not None
    ours, theirs = (replaced[v]["explanation"] for v in ("video-00001", "new"))
    assert ours["contributions"] == theirs["contributions"]


def plane(*degrees: float) -> Any:
    turned = np.radians(degrees)
    return np.column_stack([np.cos(turned), np.sin(turned)])


def test_the_nearest_watched_video_is_named(tmp_path: Path) -> None:
    angles = np.arange(60.0)
    root = tmp_path / "bundles"
    write_small_bundle(root, planted=plant(plane(*([0.0] * 20)), plane(*angles)))
    with Api(settings_for(root, tmp_path / "events.db")) as api:
        api.ready()
        api.met("somebody", "like", "video-00010", "video-00030", "video-00050")
        api.met("somebody", "dislike", "video-00021")
        found = ask(api, "somebody")
        nearest = {name: place["explanation"]["nearest"] for name, place in found.items()}
        assert nearest["video-00022"]["video_id"] == "video-00030"
        assert nearest["video-00019"]["video_id"] == "video-00010"
        assert nearest["video-00045"]["similarity"] == pytest.approx(np.cos(np.radians(5)))
        api.hide("video-00010")
        api.delete_video("video-00030")
        hidden = ask(api, "somebody")["video-00012"]["explanation"]["nearest"]
        assert hidden["video_id"] == "video-00050"
        # Of a trained user what was met in training counts, and so does a session.
        export = api.get("/v1/users/user-00000/export").json()
        trained = ask(api, "user-00000")
        for place in trained.values():
            assert place["explanation"]["nearest"]["video_id"] in export["seen_in_training"]
        body = {"k": 5, "explain": True, "session": [{"video_id": "video-00005", "kind": "like"}]}
        reply = api.request("POST", "/v1/recommendations", json=body).json()
        named = {p["explanation"]["nearest"]["video_id"] for p in reply["recommendations"]}
        assert named == {"video-00005"}


def test_who_has_no_vector_is_told_nothing_of_content(still: Api) -> None:
    for place in ask(still, "nobody").values():
        assert place["source"] in {"popular", "fresh"}
        assert place["explanation"] == {
            "content": None, "baseline": None, "contributions": {}, "shares": {}, "nearest": None,
        }  # fmt: skip


@pytest.mark.parametrize("query", ["", "?explain=false"])
def test_nothing_is_explained_unless_asked(still: Api, query: str) -> None:
    reply = still.get(f"/v1/users/user-00000/recommendations{query}").json()
    assert {place["explanation"] for place in reply["recommendations"]} == {None}


@pytest.mark.parametrize("value", ["1", "yes", ""])
def test_explain_is_true_or_false(still: Api, value: str) -> None:
    assert still.get(f"/v1/users/a/recommendations?explain={value}").status_code == 422


def test_a_bundle_without_ablations_explains_arrivals_alone(bundles: Path, tmp_path: Path) -> None:
    folder = bundles / read_current_id(bundles)
    (folder / layout.ABLATIONS).unlink()
    (bundles / layout.CURRENT).write_text(reseal(folder).name)
    with Api(settings_for(bundles, tmp_path / "events.db")) as api:
        api.ready()
        api.put_video("new", 3)
        places = ask(api, "user-00000")
        for video_id, place in places.items():
            assert bool(place["explanation"]["contributions"]) == (video_id == "new")
            assert place["explanation"]["nearest"] is not None
