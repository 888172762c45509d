"""What users are shown, asked over HTTP."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.ids import VideoId
from service.catalog.retrieval import nearest
from service.catalog.view import View
from tests.support.server import WIDTHS, Api, eventually, features, segment, settings_for
from training.data.synthetic import make_synthetic

EVERYBODY = [f"user-{row:05d}" for row in range(20)]


def ids(places: list[dict[str, object]]) -> list[object]:
    return [place["video_id"] for place in places]


def view_of(api: Api) -> View:
    return api.services.catalog.view


def trained_features(row: int) -> dict[str, list[float]]:
    """Return what the bundle's network was shown of a video, as the extractors gave it."""
    matrices = make_synthetic(videos=60, users=20, seed=0).features
    return {str(name): matrix[row].tolist() for name, matrix in matrices.items()}


def test_a_video_seen_in_training_is_never_recommended(api: Api) -> None:
    bundle = view_of(api).snapshot.bundle
    for row, user in enumerate(bundle.user_ids):
        start, end = bundle.seen_starts[row : row + 2]
        seen = {bundle.video_ids[video] for video in bundle.seen_videos[start:end]}
        shown = set(ids(api.recommend(user, 500)))
        assert seen
        assert shown == set(bundle.video_ids) - seen


@pytest.mark.parametrize("user", ["user-00000", "nobody"])
def test_a_video_is_gone_from_the_very_next_list_once_it_is_seen(api: Api, user: str) -> None:
    """Case 23."""
    left = set(ids(api.recommend(user, 500)))
    while len(left) > 5:
        video = str(api.recommend(user, 1)[0]["video_id"])
        assert api.watch(user, video).status_code == 202
        left.remove(video)
        assert set(ids(api.recommend(user, 500))) == left
        assert len(api.recommend(user, 10)) == min(10, len(left))


def test_who_has_seen_everything_gets_an_empty_list(api: Api) -> None:
    """Case 25."""
    for user in ("user-00000", "nobody"):
        api.watch(user, *(f"video-{row:05d}" for row in range(60)))
        assert api.recommend(user) == []


def test_having_seen_a_video_outlives_its_replacement_and_its_return(api: Api) -> None:
    best = str(api.recommend("user-00000", 1)[0]["video_id"])
    api.watch("user-00000", best)
    api.put_video(best, 1)
    assert best not in ids(api.recommend("user-00000", 500))
    api.delete_video(best)
    api.put_video(best, 2)
    assert best not in ids(api.recommend("user-00000", 500))
    assert best in ids(api.recommend("nobody", 500))


def test_an_interaction_may_come_before_its_video(api: Api) -> None:
    reply = api.watch("user-00000", "early").json()
    assert reply["results"] == [{"place": 0, "note": "no video 'early' at the moment"}]
    api.put_video("early")
    assert "early" not in ids(api.recommend("user-00000", 500))
    assert "early" in ids(api.recommend("user-00001", 500))


def test_an_unknown_user_gets_what_is_popular_then_what_is_fresh(api: Api) -> None:
    """Case 27."""
    for name in ("older", "newest"):
        api.put_video(name)
    places = api.recommend("nobody", 500)
    counts = view_of(api).snapshot.bundle.popularity
    popular = [place for place in places if place["source"] == "popular"]
    assert [place["score"] for place in popular] == sorted(counts[counts > 0], reverse=True)
    assert {p["source"] for p in places[len(popular) :]} == {"fresh"}
    assert ids(places)[-2:] == ["newest", "older"]


def test_a_history_of_nothing_that_is_there_is_no_history_and_one_video_is_one(api: Api) -> None:
    """Case 29."""
    stranger = api.recommend("nobody", 500)
    api.put_video("gone")
    api.watch("somebody", "gone", "never-there")
    api.delete_video("gone")
    assert api.recommend("somebody", 500) == stranger
    api.watch("somebody", "video-00001")
    places = api.recommend("somebody", 500)
    assert {place["source"] for place in places} == {"fold_in"}
    assert set(ids(places)) == set(ids(stranger)) - {"video-00001"}


def test_a_known_user_gets_a_personal_list(api: Api) -> None:
    lists = {user: api.recommend(user, 10) for user in EVERYBODY}
    assert {place["source"] for places in lists.values() for place in places} == {"personal"}
    assert len({json.dumps(ids(places)) for places in lists.values()}) > 10


def test_scores_are_finite_and_sorted(api: Api) -> None:
    """Case 37."""
    for seed in range(20):
        api.put_video(f"new-{seed}", seed)
    for places in [*map(api.recommend, EVERYBODY), api.similar("new-3"), api.recommend("nobody")]:
        scores = [place["score"] for place in places]
        assert scores == sorted(scores, reverse=True)
        assert np.isfinite(scores).all()


def test_an_arrival_of_a_users_taste_leads_that_users_next_list(api: Api) -> None:
    """Case 21."""
    view = view_of(api)
    drawn = [features(seed) for seed in range(400)]
    vectors = view.snapshot.fuser.fuse(
        [{m: np.array(row, np.float32) for m, row in video.items()} for video in drawn]
    )
    # Against the best of all, seen or not: whoever likes an arrival more than that.
    users = np.array(view.snapshot.bundle.users)
    margin = users @ vectors.T - (users @ view.snapshot.vectors.T).max(axis=1)[:, None]
    user, best = np.unravel_index(margin.argmax(), margin.shape)
    assert margin[user, best] > 0
    api.put_video("planted", features=drawn[int(best)])
    first = api.recommend(f"user-{user:05d}", 1)[0]
    assert (first["video_id"], first["source"]) == ("planted", "personal")


def test_videos_with_the_same_features_are_each_others_nearest(api: Api) -> None:
    for name, seed in (("c", 5), ("a", 5), ("b", 5), ("other", 6)):
        api.put_video(name, seed)
    assert ids(api.similar("c", 2)) == ["a", "b"]
    assert [place["score"] for place in api.similar("c", 2)] == pytest.approx([1, 1])


def test_a_replacement_keeps_the_count_and_leaves_the_old_neighbourhood(api: Api) -> None:
    """Case 15."""
    api.put_video("twin", 1)
    assert api.put_video("moving", 1).status_code == 201
    assert ids(api.similar("twin", 1)) == ["moving"]
    assert api.put_video("moving", 2).status_code == 200
    assert api.model()["videos"] == 62
    api.put_video("other", 2)
    assert ids(api.similar("moving", 1)) == ["other"]
    assert api.similar("twin", 500)[0]["score"] < 0.9999
    assert ids(api.similar("twin", 500)).count("moving") == 1
    assert api.put_video("moving", 2).status_code == 200
    assert api.model()["videos"] == 63


def test_a_deleted_video_is_gone_from_everything_at_once(api: Api) -> None:
    """Case 17."""
    api.put_video("new", 1)
    api.put_video("near", 1)
    for video in ("new", str(api.recommend("nobody", 1)[0]["video_id"])):
        assert api.delete_video(video).status_code == 200
        assert api.get(f"/v1/videos/{segment(video)}").status_code == 404
        assert api.get(f"/v1/videos/{segment(video)}/similar").status_code == 404
        for user in [*EVERYBODY, "nobody"]:
            assert video not in ids(api.recommend(user, 500))
        for other in ("near", "video-00003"):
            assert video not in ids(api.similar(other, 500))
    assert api.model()["videos"] == 60


def test_ten_live_videos_are_found_with_ninety_percent_deleted(api: Api) -> None:
    """Case 18."""
    order = ids(api.recommend("user-00000", 500))
    for row in range(60):
        if f"video-{row:05d}" not in order[-10:]:
            api.delete_video(f"video-{row:05d}")
    assert ids(api.recommend("user-00000", 10)) == order[-10:]
    assert len(api.recommend("nobody", 10)) == 10
    assert len(api.similar(str(order[-1]), 10)) == 9


def test_a_trained_video_sent_again_with_its_training_features_is_itself_again(api: Api) -> None:
    before = api.similar("video-00007", 500), [api.recommend(user, 500) for user in EVERYBODY]
    api.put_video("video-00007", 9)
    assert api.similar("video-00007", 500) != before[0]
    given = trained_features(7)
    assert api.put_video("video-00007", features=given).status_code == 200
    after = api.similar("video-00007", 500), [api.recommend(user, 500) for user in EVERYBODY]
    assert after == before
    api.delete_video("video-00007")
    assert api.put_video("video-00007", features=given).status_code == 201
    after = api.similar("video-00007", 500), [api.recommend(user, 500) for user in EVERYBODY]
    assert after == before


def test_two_replicas_at_one_position_give_the_same_bytes(bundles: Path, tmp_path: Path) -> None:
    """Cases 37 and 38."""
    settings = settings_for(bundles, tmp_path / "events.db")
    rng = np.random.default_rng(0)
    with Api(settings) as first:
        first.ready()
        for step in range(150):
            name = f"new-{rng.integers(60)}"
            missing = list(WIDTHS)[int(rng.integers(3))]
            some = [m for m in WIDTHS if m != missing]
            first.put_video(name, features=features(step, some if step % 2 else list(WIDTHS)))
            if step % 5 == 0:
                first.delete_video(f"new-{rng.integers(60)}")
                first.watch(EVERYBODY[step % 20], name)
        # It followed event by event; the second replays all of them at once.
        with Api(settings) as second:
            second.ready()
            assert second.model() == first.model()
            live = [c.video_id for c in nearest(view_of(first), VideoId("video-00000"), 500)]
            paths = [f"/v1/users/{user}/recommendations?k=60" for user in [*EVERYBODY, "nobody"]]
            for path in [*paths, *(f"/v1/videos/{name}/similar?k=60" for name in live)]:
                assert first.get(path).text == second.get(path).text


def test_what_one_replica_records_another_shows(bundles: Path, tmp_path: Path) -> None:
    """Cases 23 and 38."""
    settings = settings_for(bundles, tmp_path / "events.db")
    with Api(settings) as one, Api(settings) as other:
        one.ready()
        other.ready()
        position = one.put_video("new").json()["position"]
        path = f"/v1/videos/new/similar?min_position={position}"
        assert other.get(path).status_code == 200
        other.delete_video("new")
        eventually(lambda: one.get("/v1/videos/new").status_code == 404, within=5)
