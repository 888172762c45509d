"""A view answers as brute force would, whatever the log has brought."""

from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eventlog.events import KINDS, Event, InteractionRecorded, VideoDeleted, VideoUpserted
from eventlog.position import START, Position
from models.bundle.reader import read_bundle, read_current_id
from models.ids import UserId, VideoId
from service.catalog import delta as delta_module
from service.catalog.edit import Edit, Feedback, Fused
from service.catalog.overlay import Overlay
from service.catalog.popularity import by_popularity
from service.catalog.retrieval import Candidate, nearest, retrieve
from service.catalog.snapshot import Snapshot
from service.catalog.view import View
from service.errors import UnknownVideo
from tests.support import oracle
from tests.support.bundles import plant, unit, write_small_bundle

VIDEOS, USERS, WIDTH, WIDE = 60, 20, 4, 6000
# The 24 unit vectors of four columns whose products are all exact: ties are everywhere.
UNITS = np.concatenate(
    [np.eye(WIDTH), -np.eye(WIDTH), np.array(list(product([-0.5, 0.5], repeat=WIDTH)))]
).astype(np.float32)
IDS = [*(f"video-{row:05d}" for row in range(0, VIDEOS, 6)), "a", "b", "c", "zz"]
VECTORS = st.sampled_from(list(UNITS))
STEPS = st.lists(
    st.tuples(st.just("put"), st.sampled_from(IDS), VECTORS)
    | st.tuples(st.just("restore"), st.sampled_from(IDS[:10]), st.none())
    | st.tuples(st.just("delete"), st.sampled_from(IDS), st.none())
    | st.tuples(st.just("watch"), st.sampled_from(IDS), st.none()),
    max_size=40,
)
Row = NDArray[np.float32]
# Interactions that say nothing: what they do to vectors is told in test_feedback.
WEIGHTS = dict.fromkeys(KINDS, 0.0)
HALVES: Row = np.full(WIDTH, 0.5, np.float32)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """Planted vectors of few directions: every score is exact in float32, ties abound."""
    rng = np.random.default_rng(3)
    root = tmp_path_factory.mktemp("planted")
    planted = plant(rng.choice(UNITS, USERS), rng.choice(UNITS, VIDEOS))
    write_small_bundle(root, videos=VIDEOS, users=USERS, planted=planted)
    return Snapshot(read_bundle(root / read_current_id(root)))


class Story:
    """Applies steps to a view and, in the plainest way, to dictionaries."""

    def __init__(self, snapshot: Snapshot, *, batch: int = 3) -> None:
        self.snapshot = snapshot
        self.view = View(snapshot, Overlay.empty(snapshot, START))
        self.trained = {
            name: np.array(snapshot.vectors[row])
            for row, name in enumerate(snapshot.bundle.video_ids)
        }
        self.live = dict(self.trained)
        self.watched: set[str] = set()
        self._batch = batch
        self._serial = 0

    def tell(self, steps: list[tuple[str, str, Row | None]]) -> "Story":
        for start in range(0, len(steps), self._batch):
            edit = Edit(self.snapshot, self.view.overlay, Feedback(WEIGHTS, 1000))
            for verb, name, vector in steps[start : start + self._batch]:
                self._step(edit, verb, name, vector)
            self.view = View(self.snapshot, edit.finish(Position(f"{start:016d}")))
        return self

    def _step(self, edit: Edit, verb: str, name: str, vector: Row | None) -> None:
        event: Event
        match verb:
            case "put" | "restore":
                event = VideoUpserted(video_id=name, features={}, metadata={}, recorded_at=0)
                self.live[name] = self.trained[name] if vector is None else vector
            case "delete":
                event = VideoDeleted(video_id=name, recorded_at=0)
                self.live.pop(name, None)
            case _:
                event = InteractionRecorded(
                    user_id="user-00001", video_id=name, kind="view", timestamp=0, recorded_at=0
                )
                self.watched.add(name)
        self._serial += 1
        digest = -1 if vector is None else self._serial
        edit.apply(event, Fused(vector, digest) if verb in {"put", "restore"} else None)


def pairs(found: list[Candidate]) -> oracle.Ranked:
    return [(candidate.video_id, candidate.score) for candidate in found]


def drawn(rng: np.random.Generator) -> Row:
    """A unit vector in any direction."""
    direction: Row = unit(rng.normal(size=(1, WIDTH)))[0]
    return direction


def ids_seen(view: View, user: str) -> set[str]:
    return {view.video_id(row) for row in view.seen(UserId(user))}


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS, vector=VECTORS, k=st.sampled_from([0, 1, 2, 7, 40, 500]))
def test_retrieve_agrees_with_brute_force(
    snapshot: Snapshot, steps: list[tuple[str, str, Row | None]], vector: Row, k: int
) -> None:
    story = Story(snapshot).tell(steps)
    seen = ids_seen(story.view, "user-00001")
    bar = story.view.bar(0.0).and_rows(story.view.seen(UserId("user-00001")))
    assert bar.open == np.count_nonzero(~story.view.bar(0.0).mask())
    found = retrieve(story.view, vector, k, bar=bar)
    assert pairs(found) == oracle.best(story.live, vector, k, hidden=seen)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS, name=st.sampled_from(IDS), k=st.sampled_from([1, 2, 7, 500]))
def test_nearest_agrees_with_brute_force(
    snapshot: Snapshot, steps: list[tuple[str, str, Row | None]], name: str, k: int
) -> None:
    story = Story(snapshot).tell(steps)
    if name not in story.live:
        with pytest.raises(UnknownVideo):
            nearest(story.view, VideoId(name), k)
    else:
        assert pairs(nearest(story.view, VideoId(name), k)) == oracle.nearest(story.live, name, k)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_counts_seen_and_popularity_follow_the_log(
    snapshot: Snapshot, steps: list[tuple[str, str, Row | None]]
) -> None:
    story = Story(snapshot).tell(steps)
    view = story.view
    assert view.live_videos == len(story.live)
    row = snapshot.user_row(UserId("user-00001"))
    assert row is not None
    met = {snapshot.bundle.video_ids[met] for met in snapshot.seen(row)}
    seen = ids_seen(view, "user-00001") & set(story.live)
    assert seen == (met | story.watched) & set(story.live)
    listed = [view.video_id(row) for row, _ in by_popularity(view)]
    assert sorted(listed) == sorted(story.live)
    counts = [count for _, count in by_popularity(view)]
    assert counts == sorted(counts, reverse=True)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS, vector=VECTORS)
def test_how_the_log_was_cut_into_batches_makes_no_difference(
    snapshot: Snapshot, steps: list[tuple[str, str, Row | None]], vector: Row
) -> None:
    one, many = Story(snapshot, batch=1).tell(steps), Story(snapshot, batch=500).tell(steps)
    assert retrieve(one.view, vector, 10) == retrieve(many.view, vector, 10)


def test_a_compaction_changes_no_answer(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    steps: list[tuple[str, str, Row | None]] = [
        ("put", f"new-{rng.integers(30)}", drawn(rng)) for _ in range(600)
    ]
    steps += [("delete", f"new-{n}", None) for n in range(0, 30, 2)]
    loose = Story(snapshot).tell(steps)
    monkeypatch.setattr(delta_module, "DEAD_ROWS_KEPT", 8)
    tight = Story(snapshot).tell(steps)
    assert tight.view.overlay.delta.count < 40 < loose.view.overlay.delta.count
    for vector in unit(rng.normal(size=(20, WIDTH))):
        expected = oracle.best(tight.live, vector, 10)
        assert pairs(retrieve(tight.view, vector, 10)) == expected
        assert pairs(retrieve(loose.view, vector, 10)) == expected
    for name in tight.live:
        assert pairs(nearest(tight.view, VideoId(name), 5)) == oracle.nearest(tight.live, name, 5)


def test_an_old_view_never_sees_what_came_after_it(snapshot: Snapshot) -> None:
    story = Story(snapshot).tell([("put", "a", HALVES)])
    old, before = story.view, dict(story.live)
    rng = np.random.default_rng(0)
    many: list[tuple[str, str, Row | None]] = [("put", f"n{n}", drawn(rng)) for n in range(700)]
    story.tell([("delete", "a", None), *many, ("delete", "video-00000", None)])
    vector = HALVES
    assert pairs(retrieve(old, vector, 500)) == oracle.best(before, vector, 500)
    assert pairs(nearest(old, VideoId("a"), 500)) == oracle.nearest(before, "a", 500)
    assert pairs(retrieve(story.view, vector, 500)) == oracle.best(story.live, vector, 500)


def test_an_edit_that_fails_halfway_leaves_no_trace(snapshot: Snapshot) -> None:
    story = Story(snapshot).tell([("put", "a", HALVES)])
    broken = Edit(snapshot, story.view.overlay, Feedback(WEIGHTS, 9))
    upsert = VideoUpserted(video_id="ghost", features={}, metadata={}, recorded_at=0)
    broken.apply(upsert, Fused(np.full(WIDTH, 9, np.float32), 1))
    with pytest.raises(ValueError, match="ghost-2"):
        broken.apply(
            VideoUpserted(video_id="ghost-2", features={}, metadata={}, recorded_at=0),
            Fused(None, 2),
        )
    story.tell([("put", "b", -HALVES)])
    vector = HALVES
    assert pairs(retrieve(story.view, vector, 500)) == oracle.best(story.live, vector, 500)


def test_a_history_is_cut_to_its_limit_oldest_first(snapshot: Snapshot) -> None:
    """Case 29."""
    edit = Edit(snapshot, Overlay.empty(snapshot, START), Feedback(WEIGHTS, 8))
    for row in range(50):
        edit.apply(
            InteractionRecorded(
                user_id="new", video_id=f"video-{row:05d}", kind="view", timestamp=0, recorded_at=0
            )
        )
    seen = ids_seen(View(snapshot, edit.finish(Position("1"))), "new")
    assert seen >= {f"video-{row:05d}" for row in range(42, 50)}
    assert len(seen) <= 10
