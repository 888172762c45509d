"""What interactions do: to who met a video, to the video, to what is popular."""

from collections.abc import Sequence

import numpy as np
import pytest

from eventlog.events import (
    Event,
    InteractionRecorded,
    Kind,
    UserErased,
    VideoDeleted,
    VideoUpserted,
)
from eventlog.position import START, Position
from models.bundle.reader import read_bundle, read_current_id
from models.ids import UserId, VideoId
from service.catalog.edit import Edit, Feedback, Fused
from service.catalog.index import Floats
from service.catalog.overlay import Overlay
from service.catalog.popularity import by_popularity
from service.catalog.snapshot import Snapshot
from service.catalog.view import View
from service.recommend.recommender import recommend, represent
from service.recommend.request import Request
from service.settings import Settings
from tests.support.bundles import plant, unit, write_small_bundle

VIDEOS, USERS, WIDTH = 60, 20, 8
FEEDBACK = Feedback(Settings().kind_weights, 1000)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """Two kinds of videos, even and odd, around two directions; users of either taste."""
    rng = np.random.default_rng(5)
    poles = np.eye(WIDTH)[:2]

    def around(count: int) -> Floats:
        rows: Floats = unit(poles[np.arange(count) % 2] + 0.15 * rng.normal(size=(count, WIDTH)))
        return rows

    root = tmp_path_factory.mktemp("poles")
    write_small_bundle(
        root, videos=VIDEOS, users=USERS, planted=plant(around(USERS), around(VIDEOS))
    )
    return Snapshot(read_bundle(root / read_current_id(root)))


def video(row: int) -> str:
    return f"video-{row:05d}"


def met(user: str, kind: Kind, *videos: str) -> list[Event]:
    return [
        InteractionRecorded(user_id=user, video_id=v, kind=kind, timestamp=0, recorded_at=0)
        for v in videos
    ]


def arrival(name: str) -> VideoUpserted:
    return VideoUpserted(video_id=name, features={}, metadata={}, recorded_at=0)


def told(
    snapshot: Snapshot, events: Sequence[Event], vector: Floats | None = None, *, batch: int = 1
) -> View:
    """Return the view after `events`; whatever arrives is fused to `vector`."""
    view = View(snapshot, Overlay.empty(snapshot, START))
    for start in range(0, len(events), batch):
        edit = Edit(snapshot, view.overlay, FEEDBACK)
        for event in events[start : start + batch]:
            edit.apply(event, Fused(vector, 7) if isinstance(event, VideoUpserted) else None)
        view = View(snapshot, edit.finish(Position(f"{'0' * 16}-{start + 1:016d}")))
    return view


def liking(view: View, user: str) -> Floats:
    vector = represent(view, Request(now=0, user_id=UserId(user)))
    assert vector is not None
    return vector


def test_a_stranger_who_likes_a_kind_gets_more_of_it(snapshot: Snapshot) -> None:
    for kind in (0, 1):
        view = told(snapshot, met("new", "like", *(video(row) for row in range(kind, 12, 2))))
        found = recommend(view, Request(now=0, user_id=UserId("new"), k=10))
        assert {item.source for item in found} == {"fold_in"}
        assert all(int(item.video_id[-5:]) % 2 == kind for item in found)


def test_a_known_user_moves_towards_what_they_like_and_away_from_what_they_dislike(
    snapshot: Snapshot,
) -> None:
    trained = liking(told(snapshot, []), "user-00000")
    other = snapshot.vectors[1]
    liked = liking(told(snapshot, met("user-00000", "like", video(1), video(3))), "user-00000")
    disliked = liking(told(snapshot, met("user-00000", "dislike", video(1))), "user-00000")
    assert disliked @ other < trained @ other < liked @ other
    assert np.linalg.norm(liked) == pytest.approx(1, abs=1e-6)


def test_more_than_a_view_moves_further(snapshot: Snapshot) -> None:
    other = snapshot.vectors[1]
    near = [
        float(liking(told(snapshot, met("user-00000", kind, video(1))), "user-00000") @ other)
        for kind in ("dislike", "skip", "view", "like", "share")
    ]
    assert near == sorted(near)
    assert len(set(near)) == 5


def test_a_view_does_not_take_a_like_back_and_a_dislike_does(snapshot: Snapshot) -> None:
    like = met("user-00000", "like", video(1))
    liked = liking(told(snapshot, like), "user-00000")
    viewed = told(snapshot, [*like, *met("user-00000", "view", video(1))])
    assert np.array_equal(liking(viewed, "user-00000"), liked)
    disliked = told(snapshot, [*like, *met("user-00000", "dislike", video(1))])
    assert liking(disliked, "user-00000") @ snapshot.vectors[1] < liked @ snapshot.vectors[1]


def test_an_arrival_moves_towards_those_who_like_it(snapshot: Snapshot) -> None:
    content = unit([[1, 1, 0, 0, 0, 0, 0, 1]])[0]
    even = [f"user-{row:05d}" for row in range(0, USERS, 2)]
    viewers = [event for user in even for event in met(user, "like", "new")]
    view = told(snapshot, [arrival("new"), *viewers], content)
    row = view.row(VideoId("new"))
    assert row is not None
    warm = view.vectors(np.array([row]))[0]
    assert warm @ snapshot.vectors[0] > content @ snapshot.vectors[0]
    assert warm @ snapshot.vectors[1] < content @ snapshot.vectors[1]
    assert view.live_videos == VIDEOS + 1
    shunned = [event for user in even for event in met(user, "dislike", "new")]
    cold = told(snapshot, [arrival("new"), *shunned], content)
    at = cold.row(VideoId("new"))
    assert at is not None
    assert cold.vectors(np.array([at]))[0] @ snapshot.vectors[0] < content @ snapshot.vectors[0]


def test_batches_make_no_difference_to_vectors(snapshot: Snapshot) -> None:
    content = unit([[1, 1, 0, 0, 0, 0, 0, 1]])[0]
    rng = np.random.default_rng(1)
    events: list[Event] = [arrival("new"), arrival("other")]
    for _ in range(300):
        user = f"user-{rng.integers(USERS):05d}"
        names = ["new", "other", video(int(rng.integers(VIDEOS)))]
        kind: Kind = ("view", "like", "skip", "dislike")[int(rng.integers(4))]
        events += met(user, kind, names[int(rng.integers(3))])
        if rng.random() < 0.02:
            events.append(UserErased(user_id=user, recorded_at=0))
    views = [told(snapshot, events, content, batch=batch) for batch in (1, 7, 1000)]
    answers = [
        [
            recommend(view, Request(now=0, user_id=user, k=30))
            for user in (UserId("user-00000"), UserId("user-00003"), UserId("nobody"))
        ]
        for view in views
    ]
    assert answers[0] == answers[1] == answers[2]
    popular = [[(view.video_id(r), n) for r, n in by_popularity(view)] for view in views]
    assert popular[0] == popular[1] == popular[2]


def test_erasing_a_viewer_undoes_what_they_did_to_an_arrival(snapshot: Snapshot) -> None:
    content = unit([[1, 1, 0, 0, 0, 0, 0, 1]])[0]
    before: list[Event] = [arrival("new"), *met("user-00001", "like", "new")]
    erased = [*met("user-00000", "share", "new"), UserErased(user_id="user-00000", recorded_at=0)]
    one, two = (told(snapshot, events, content) for events in (before, [*before, *erased]))
    rows = [view.row(VideoId("new")) for view in (one, two)]
    vectors = [v.vectors(np.array([row]))[0] for v, row in zip((one, two), rows, strict=True)]
    assert np.allclose(vectors[0], vectors[1], atol=1e-6)
    assert one.overlay.gained == two.overlay.gained


def test_an_arrival_that_many_like_overtakes_what_was_popular(snapshot: Snapshot) -> None:
    most = int(snapshot.bundle.popularity.max())
    fans = [e for n in range(most + 1) for e in met(f"fan-{n}", "like", "hit")]
    events: list[Event] = [arrival("hit"), arrival("quiet"), *fans]
    view = told(snapshot, events, snapshot.vectors[0], batch=50)
    ranked = [(view.video_id(row), count) for row, count in by_popularity(view)]
    assert ranked[0] == ("hit", most + 1)
    assert ranked[-1] == ("quiet", 0)
    assert len(ranked) == VIDEOS + 2
    off = [e for n in range(most + 1) for e in met(f"fan-{n}", "dislike", "hit")]
    gone = told(snapshot, [*events, *off], snapshot.vectors[0], batch=50)
    assert [gone.video_id(row) for row, _ in by_popularity(gone)][-2:] == ["quiet", "hit"]


def test_a_deleted_arrival_comes_back_without_its_past(snapshot: Snapshot) -> None:
    content = unit([[1, 1, 0, 0, 0, 0, 0, 1]])[0]
    liked = [arrival("new"), *met("user-00000", "like", "new")]
    again: list[Event] = [VideoDeleted(video_id="new", recorded_at=0), arrival("new")]
    view = told(snapshot, [*liked, *again], content)
    row = view.row(VideoId("new"))
    assert row is not None
    assert np.array_equal(view.vectors(np.array([row]))[0], content)
    assert VideoId("new") not in view.overlay.gained
    assert row in view.seen(UserId("user-00000"))


def test_the_same_features_again_keep_vector_viewers_and_age(snapshot: Snapshot) -> None:
    """Case 14."""
    content = unit([[1, 1, 0, 0, 0, 0, 0, 1]])[0]
    liked = [arrival("new"), arrival("newer"), *met("user-00000", "like", "new")]
    once, twice = (told(snapshot, events, content) for events in (liked, [*liked, arrival("new")]))
    assert once.overlay.delta.count == twice.overlay.delta.count
    assert [once.video_id(r) for r, _ in by_popularity(once)] == [
        twice.video_id(r) for r, _ in by_popularity(twice)
    ]
