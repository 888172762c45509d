"""Who is served together with others gets what they would get alone."""

from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventlog.events import (
    KINDS,
    Event,
    InteractionRecorded,
    VideoDeleted,
    VideoHidden,
    VideoUpserted,
)
from eventlog.position import START, Position
from models.bundle.manifest import IndexEntry
from models.bundle.reader import read_bundle, read_current_id
from models.ids import UserId, VideoId
from service.catalog import batching, retrieval
from service.catalog.edit import Edit, Feedback, Fused
from service.catalog.index import FaissIndex
from service.catalog.overlay import Overlay
from service.catalog.snapshot import Snapshot
from service.catalog.view import View
from service.recommend.recommender import recommend, recommend_many
from service.recommend.request import Exploring, Request
from tests.support.bundles import plant, unit, write_small_bundle

VIDEOS, USERS, WIDTH = 400, 30, 8
NAMES = [f"user-{row:05d}" for row in range(USERS)] + ["nobody", "somebody"]
VIDEO_NAMES = [f"video-{row:05d}" for row in range(0, VIDEOS, 7)] + ["a", "b", "c"]


@pytest.fixture(
    scope="module",
    params=[("Flat", 1, 3), ("PQ8x4fsr", 4, 3), ("Flat", 1, 1)],
    ids=["whole", "rounded", "one"],
)
def snapshot(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """Videos behind an inverted file of ten lists."""
    rng = np.random.default_rng(3)
    root = tmp_path_factory.mktemp("together")
    planted = plant(rng.normal(size=(USERS, WIDTH)), rng.normal(size=(VIDEOS, WIDTH)))
    write_small_bundle(root, videos=VIDEOS, users=USERS, planted=planted)
    made = Snapshot(read_bundle(root / read_current_id(root)))
    held, refine, nprobe = request.param
    index: Any = faiss.index_factory(WIDTH, f"IVF10,{held}", faiss.METRIC_INNER_PRODUCT)
    index.train(np.array(made.vectors))
    index.add(np.array(made.vectors))
    made.index = FaissIndex(index, IndexEntry(f"ivf10,{held}", nprobe, refine, 0.9))
    return made


STEPS = st.lists(
    st.tuples(st.just("put"), st.sampled_from(VIDEO_NAMES), st.integers(0, 99))
    | st.tuples(st.sampled_from(["delete", "hide"]), st.sampled_from(VIDEO_NAMES), st.just(0))
    | st.tuples(st.sampled_from(NAMES), st.sampled_from(VIDEO_NAMES), st.integers(0, 3)),
    max_size=60,
)


def told(snapshot: Snapshot, steps: list[tuple[str, str, int]]) -> View:
    view = View(snapshot, Overlay.empty(snapshot, START))
    weights = dict.fromkeys(KINDS, 1.0)
    for number, (verb, name, seed) in enumerate(steps):
        edit = Edit(snapshot, view.overlay, Feedback(weights, 1000))
        vector = unit(np.random.default_rng(seed).normal(size=(1, WIDTH)))[0]
        event: Event
        match verb:
            case "put":
                event = VideoUpserted(video_id=name, features={}, metadata={}, recorded_at=0)
            case "delete":
                event = VideoDeleted(video_id=name, recorded_at=0)
            case "hide":
                event = VideoHidden(video_id=name, recorded_at=0)
            case _:
                kind = sorted(KINDS)[seed]
                event = InteractionRecorded(
                    user_id=verb, video_id=name, kind=kind, timestamp=0, recorded_at=0
                )
        edit.apply(event, Fused(vector, 1000 + seed) if verb == "put" else None)
        view = View(snapshot, edit.finish(Position(f"{number:016d}")))
    return view


@pytest.fixture(autouse=True, params=[0, 4096], ids=["in cells", "all arrivals"])
def _few_rows_are_fewer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let so small a catalog be searched as a large one is."""
    monkeypatch.setattr(retrieval, "FEW_ARRIVALS", request.param)
    for module in (retrieval, batching):
        monkeypatch.setattr(module, "FEW_ROWS", 30)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=STEPS,
    names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=12),
    k=st.sampled_from([1, 5, 20, 100]),
    share=st.sampled_from([0.0, 0.4]),
)
def test_together_is_as_alone(
    snapshot: Snapshot, steps: list[tuple[str, str, int]], names: list[str], k: int, share: float
) -> None:
    view = told(snapshot, steps)
    requests = [
        Request(now=0.0, k=k, user_id=UserId(name), exploring=Exploring(share=share))
        for name in names
    ]
    assert recommend_many(view, requests) == [recommend(view, request) for request in requests]


def test_who_has_seen_nearly_all_is_served_beside_who_has_seen_nothing(snapshot: Snapshot) -> None:
    every = [(NAMES[0], f"video-{row:05d}", 0) for row in range(VIDEOS - 10)]
    view = told(snapshot, every)
    requests = [Request(now=0.0, k=20, user_id=UserId(name)) for name in NAMES[:4]]
    lists = recommend_many(view, requests)
    assert lists == [recommend(view, request) for request in requests]
    assert [len(found) for found in lists] == [10, 20, 20, 20]
    seen = {VideoId(name) for _, name, _ in every}
    assert not {one.video_id for one in lists[0]} & seen


def test_videos_that_suit_equally_come_in_the_order_of_their_ids(snapshot: Snapshot) -> None:
    copies = [("put", name, 7) for name in ("c", "a", "b")]
    view = told(snapshot, copies)
    requests = [Request(now=0.0, k=100, user_id=UserId(name)) for name in NAMES[:3]]
    for found in recommend_many(view, requests):
        ids = [one.video_id for one in found if one.video_id in {"a", "b", "c"}]
        assert ids == sorted(ids)


def test_who_has_seen_the_nearest_ones_is_looked_for_further(snapshot: Snapshot) -> None:
    fresh = View(snapshot, Overlay.empty(snapshot, START))
    steps: list[tuple[str, str, int]] = []
    for number, name in enumerate(NAMES[:6]):
        best = recommend(fresh, Request(now=0.0, k=100, user_id=UserId(name)))
        steps += [(name, one.video_id, 0) for one in best[: 15 * number]]
    view = told(snapshot, steps)
    for k in (1, 3, 5):
        requests = [Request(now=0.0, k=k, user_id=UserId(name)) for name in NAMES[:6]]
        lists = recommend_many(view, requests)
        assert lists == [recommend(view, request) for request in requests]
        assert [len(found) for found in lists] == [k] * 6
