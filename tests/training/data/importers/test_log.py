"""What an event log makes of a dataset: each event by itself, and any order of them."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventlog.events import (
    KINDS,
    Event,
    InteractionRecorded,
    UserErased,
    VideoDeleted,
    VideoHidden,
    VideoRetold,
    VideoShown,
    VideoUpserted,
    merged,
)
from eventlog.log import Entry
from eventlog.position import START, Position
from tests.support.datasets import dataset_of, random_features
from tests.support.logs import append, deleted, erased, hidden, met, put, shown, sqlite_url, trim
from tests.support.redis import RedisServer
from tests.support.training_command import call, refused
from training.data.dataset import SPLITS, Dataset, Interactions
from training.data.folder import ACCEPTABLE, read_dataset
from training.data.folder_writer import write_dataset
from training.data.importers import log, log_pairs
from training.data.importers.imported import Options
from training.data.importers.log import read_log

WIDTHS = {"visual": 2, "textual": 3}
GOOD = {"visual": [1.5, -2], "textual": [0.5, 0, 7]}


def base() -> Dataset:
    """Four users and six videos, of which no event of a test knows `u3`, `v4` and `v5`."""
    return replace(
        dataset_of(
            users=4, videos=6,
            train=[(0, 0), (0, 1), (1, 1), (1, 2), (2, 0), (3, 4), (3, 5)],
            val=[(0, 2), (2, 1)],
            test=[(1, 0), (0, 3)],
            seen=[(2, 3)],
            features=random_features(6, {"visual": 2, "textual": 3}),
        ),
        metadata=[{"title": f"Video {row}"} for row in range(6)],
    )  # fmt: skip


class World(NamedTuple):
    """A base that is written and the URL of a log."""

    folder: Path
    url: str

    @property
    def dest(self) -> Path:
        return self.folder.parent / "dest"

    def record(self, *events: Event) -> Position:
        return append(self.url, events)

    def arguments(self, **changed: Any) -> list[str]:
        url, dest, folder = (
            changed.get(name, default)
            for name, default in [("url", self.url), ("dest", self.dest), ("base", self.folder)]
        )
        return ["import", "log", str(url), str(dest), "--base", str(folder)]

    def told(self) -> "Told":
        """Import and tell what came of it."""
        result = call(*self.arguments())
        assert result.exit_code == 0, result.output
        return Told(read_dataset(self.dest), " ".join(result.stderr.split()))

    def refusal(self, **changed: Any) -> str:
        """Return what is told of an import that must fail, and must leave nothing."""
        before = sorted(self.folder.parent.iterdir())
        text = refused(*self.arguments(**changed))
        assert sorted(self.folder.parent.iterdir()) == before
        return " ".join(text.split())


class Told(NamedTuple):
    """The dataset that was written, and what was said meanwhile."""

    dataset: Dataset
    text: str

    def part_of(self, user: str, video: str) -> str | None:
        """Return the part in which a user met a video."""
        return parts(self.dataset).get((user, video))


def parts(dataset: Dataset) -> dict[tuple[str, str], str]:
    """Return in which part each user met each video."""
    found = {}
    every: dict[str, Interactions] = {split: dataset.interactions(split) for split in SPLITS}
    for part, pairs in [*every.items(), ("seen", dataset.seen)]:
        for user, video in zip(pairs.users, pairs.videos, strict=True):
            found[dataset.user_ids[user], dataset.video_ids[video]] = str(part)
    return found


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "log").mkdir()
    write_dataset(tmp_path / "base", base())
    world = World(tmp_path / "base", sqlite_url(tmp_path / "log"))
    append(world.url, [deleted("never there")])
    return world


def row(told: Told, video: str) -> int:
    return told.dataset.video_ids.index(video)


def test_without_events_the_base_comes_back_with_the_position(world: World) -> None:
    told = world.told()
    assert parts(told.dataset) == parts(base())
    assert told.dataset.video_ids == base().video_ids
    assert told.dataset.metadata == base().metadata
    for modality, matrix in base().features.items():
        np.testing.assert_array_equal(told.dataset.features[modality], matrix)
    assert told.dataset.name == "planted"
    assert json.loads((world.dest / "dataset.json").read_text())["log_position"] > START


def test_a_new_video_joins_with_features_and_metadata(world: World) -> None:
    metadata = {"title": "猫", "tags": ["a", "b"], "uploader": "x", "published_at": "2026-01-31"}
    position = world.record(put("new", GOOD, metadata))
    told = world.told()
    assert told.dataset.log_position == position
    assert told.dataset.features["visual"][row(told, "new")].tolist() == GOOD["visual"]
    assert told.dataset.features["textual"][row(told, "new")].tolist() == GOOD["textual"]
    assert told.dataset.metadata[row(told, "new")] == metadata
    assert "videos: 1 added, 0 replaced, 0 deleted; 0 are hidden" in told.text


def test_a_known_video_gets_the_new_features_and_keeps_its_interactions(world: World) -> None:
    world.record(put("v1", {"textual": [1, 2, 3]}, {"title": "New", "unheard of": 5, "tags": 3}))
    told = world.told()
    assert row(told, "v1") == 1
    assert told.dataset.joined_features[1].tolist() == [0, 0, 1, 2, 3]
    assert told.dataset.metadata[1] == {"title": "New"}
    assert parts(told.dataset) == parts(base())
    assert "0 added, 1 replaced, 0 deleted" in told.text


def test_a_deleted_video_goes_with_all_that_was_learnt_judged_and_seen(world: World) -> None:
    world.record(met("u2", "v0", "dislike"), met("u3", "v0"), deleted("v0"), deleted("unknown"))
    told = world.told()
    assert told.dataset.video_ids == ["v1", "v2", "v3", "v4", "v5"]
    kept = {pair: part for pair, part in parts(base()).items() if pair[1] != "v0"}
    assert parts(told.dataset) == kept
    np.testing.assert_array_equal(
        told.dataset.features["visual"], base().features["visual"][1:]
    )  # fmt: skip
    assert "0 added, 0 replaced, 1 deleted" in told.text


def test_a_video_that_is_put_again_is_new(world: World) -> None:
    world.record(hidden("v0"), deleted("v0"), met("u2", "v0"), put("v0", GOOD), met("u1", "v0"))
    told = world.told()
    mine = {user: told.part_of(user, "v0") for user in ("u0", "u1", "u2")}
    assert mine == {"u0": None, "u1": "train", "u2": "train"}
    assert told.dataset.metadata[row(told, "v0")] == {}
    assert len(told.dataset.hidden) == 0


def test_hidden_videos_stay_and_are_hidden_until_they_are_shown(world: World) -> None:
    world.record(
        hidden("v0"), hidden("v1"), hidden("v2"), shown("v1"), put("v2", GOOD), hidden("unknown"),
        put("unknown", GOOD), put("new", GOOD), hidden("new"), hidden("gone"),
    )  # fmt: skip
    told = world.told()
    names = [told.dataset.video_ids[place] for place in told.dataset.hidden]
    assert names == ["v0", "v2", "new"]
    assert parts(told.dataset) == parts(base())
    assert "3 are hidden" in told.text


def test_a_video_hidden_while_its_features_did_not_fit_is_hidden_when_they_do(
    world: World,
) -> None:
    world.record(put("new", {"visual": [1]}), hidden("new"), put("new", GOOD))
    told = world.told()
    assert [told.dataset.video_ids[place] for place in told.dataset.hidden] == ["new"]


@pytest.mark.parametrize("kind", KINDS)
def test_liked_trains_and_the_rest_is_only_seen(kind: Any, world: World) -> None:
    world.record(met("u1", "v3", kind), met("somebody", "v0", kind))
    told = world.told()
    expected = "seen" if kind in ("skip", "dislike") else "train"
    assert told.part_of("u1", "v3") == told.part_of("somebody", "v0") == expected
    counts = (
        "0 added to train, 2 only as seen" if expected == "seen" else "2 added to train, 0 only"
    )
    assert counts in told.text
    assert "users: 1 added, 0 erased" in told.text
    count = int(told.dataset.popularity[row(told, "v3")])
    assert count == (expected == "train")


@pytest.mark.parametrize(
    ("kinds", "pair", "part"),
    [
        (["view", "like"], ("u0", "v0"), "train"),
        (["dislike"], ("u0", "v0"), "seen"),
        (["dislike", "view"], ("u0", "v0"), "train"),
        (["view", "skip"], ("u1", "v3"), "seen"),
        (["skip", "share"], ("u1", "v3"), "train"),
        (["follow-through"], ("u2", "v3"), "train"),
        (["view"], ("u0", "v2"), "val"),
        (["view", "like"], ("u1", "v0"), "test"),
        (["skip"], ("u0", "v2"), "seen"),
        (["view", "dislike"], ("u1", "v0"), "seen"),
        (["skip", "view"], ("u1", "v0"), "train"),
    ],
)
def test_the_last_meeting_says(
    kinds: list[Any], pair: tuple[str, str], part: str, world: World
) -> None:
    world.record(*(met(*pair, kind) for kind in kinds))
    told = world.told()
    assert parts(told.dataset) == {**parts(base()), pair: part}


def test_interactions_with_videos_that_never_came_are_counted_and_left_out(world: World) -> None:
    world.record(met("u0", "x"), met("u0", "x"), met("u1", "x"), met("new", "y"), met("u0", "late"))
    world.record(put("late", GOOD))
    told = world.told()
    assert parts(told.dataset) == {**parts(base()), ("u0", "late"): "train"}
    assert "1 added to train, 0 only as seen, 3 with 2 unknown videos left out" in told.text
    assert "new" not in told.dataset.user_ids


def test_an_erased_user_goes_from_base_and_log_and_may_come_anew(world: World) -> None:
    world.record(met("u1", "v3"), erased("u1"), met("u2", "v2"), erased("u2"), met("u2", "v4"))
    world.record(erased("never there"))
    told = world.told()
    assert "u1" not in told.dataset.user_ids
    assert {pair: p for pair, p in parts(told.dataset).items() if pair[0] == "u2"} == {
        ("u2", "v4"): "train"
    }
    assert "users: 0 added, 2 erased" in told.text


def test_an_erased_user_does_not_come_back_with_the_next_import(world: World) -> None:
    world.record(erased("u1"))
    first = world.told()
    assert "u1" not in first.dataset.user_ids
    world.record(met("u0", "v3", "like"))
    dest = world.dest.with_name("next")
    assert call(*world.arguments(base=world.dest, dest=dest)).exit_code == 0
    assert "u1" not in read_dataset(dest).user_ids


def test_users_of_whom_nothing_is_left_are_told(world: World) -> None:
    world.record(*(deleted(f"v{number}") for number in range(4)))
    told = world.told()
    assert told.dataset.user_ids == ["u3"]
    assert "users: 0 added, 0 erased, 3 left out who met nothing that is left" in told.text


@pytest.mark.parametrize(
    ("features", "fault"),
    [
        ({"visual": [1, 2, 3]}, "visual has 12 bytes, expected 8: 2 float32"),
        ({"visual": b"123"}, "visual has 3 bytes, expected 8"),
        ({"visual": b""}, "visual has 0 bytes, expected 8"),
        ({"acoustic": [1], **GOOD}, "modality 'acoustic', the base has ['visual', 'textual']"),
        ({"smell": [1]}, "modality 'smell'"),
        ({"visual": [1, np.nan]}, "visual holds numbers that are not finite"),
        ({"visual": [np.inf, 1]}, "visual holds numbers that are not finite"),
        ({"visual": [0, -0.0], "textual": [0, 0, 0]}, "no features, or zeros alone"),
        ({}, "no features, or zeros alone"),
    ],
)
def test_a_video_whose_features_do_not_fit_stays_as_it_was(
    features: Any, fault: str, world: World
) -> None:
    position = world.record(put("v1", features), put("other", features))
    told = world.told()
    assert told.dataset.video_ids == base().video_ids
    np.testing.assert_array_equal(told.dataset.joined_features, base().joined_features)
    assert "passed over: 2 events" in told.text
    assert f"the event at {position}: {fault}" in told.text


def spoil(url: str, payloads: list[bytes]) -> None:
    """Write payloads into a SQLite log that no program of ours would."""
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.executemany("INSERT INTO events (payload) VALUES (?)", [(p,) for p in payloads])
    connection.close()


def test_what_cannot_be_decoded_is_named_by_its_position_and_passed_over(world: World) -> None:
    world.record(met("u1", "v3"))
    spoil(world.url, [b"", b"\xff" * 9, b"\x81\xa4type\xa4none"])
    last = world.record(met("u1", "v4"))
    told = world.told()
    assert told.part_of("u1", "v3") == told.part_of("u1", "v4") == "train"
    assert "passed over: 3 events" in told.text
    for number in (3, 4, 5):
        assert f"the event at {last[:16]}-{number:016d}: " in told.text
    assert told.dataset.log_position == last


@pytest.mark.parametrize(
    "event", [met("", "v1"), met("u1", "a\nb"), put("", GOOD), deleted("\x7f")]
)
def test_a_bad_id_is_passed_over(event: Event, world: World) -> None:
    world.record(event)
    told = world.told()
    assert parts(told.dataset) == parts(base())
    assert "passed over: 1 events" in told.text


def test_of_many_faults_the_first_are_named_and_all_are_counted(world: World) -> None:
    spoil(world.url, [b"?"] * 50)
    text = world.told().text
    assert text.count("the event at") == 20
    assert "passed over: 50 events" in text
    assert "passed over: 30 more" in text


def test_an_import_goes_on_where_the_base_ends(world: World) -> None:
    first = world.record(met("u1", "v3"))
    write_dataset(world.folder.with_name("later"), replace(base(), log_position=first))
    last = world.record(met("u2", "v4"))
    result = call(*world.arguments(base=world.folder.with_name("later")))
    assert "read 1 events" in result.stderr
    dataset = read_dataset(world.dest)
    assert ("u1", "v3") not in parts(dataset)
    assert parts(dataset)["u2", "v4"] == "train"
    assert dataset.log_position == last


def test_what_is_recorded_during_the_import_is_for_the_next_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = world.record(*(met("u1", f"v{number}") for number in (3, 4, 5)))
    taken: list[Position] = []
    position = log._read_all(
        world.url, START, world.folder, lambda entries: taken.extend(e.position for e in entries)
    )
    assert position == last

    def busy(entries: list[Entry]) -> None:
        with sqlite3.connect(world.url.removeprefix("sqlite:///")) as connection:
            connection.execute("INSERT INTO events (payload) VALUES (x'00')")
        connection.close()

    monkeypatch.setattr(log, "CHUNK", 2)
    assert log._read_all(world.url, START, world.folder, busy) == last


def test_findings_that_the_log_brings_are_accepted_and_told(world: World) -> None:
    world.record(met("skipper", "v1", "skip"))
    told = world.told()
    assert told.part_of("skipper", "v1") == "seen"
    assert "users_without_training" in told.text
    assert json.loads((world.dest / "dataset.json").read_text())["accept"] == [
        "users_without_training"
    ]


def test_a_summary_is_told(world: World) -> None:
    position = world.record(
        put("new", GOOD), put("v1", GOOD), deleted("v3"), hidden("v2"), met("ann", "new"),
        met("u0", "new"), met("u1", "v4", "skip"), met("u0", "gone"), erased("u2"), put("bad", {}),
    )  # fmt: skip
    text = world.told().text
    for said in (
        f"read 11 events, up to position {position}",
        "videos: 1 added, 1 replaced, 1 deleted; 1 are hidden",
        "interactions: 2 added to train, 1 only as seen, 1 with 1 unknown videos left out",
        "users: 1 added, 1 erased",
        "passed over: 1 events",
        "1 seen",
    ):
        assert said in text, said


def test_a_base_whose_events_were_trimmed_is_told_what_to_do(world: World) -> None:
    position = world.record(met("u1", "v3"))
    trim(world.url, position)
    text = world.refusal()
    assert position in text
    assert "Take the dataset that was made from this log last as --base" in text
    # As it is told: the owner takes the loss.
    write_dataset(world.folder.with_name("later"), replace(base(), log_position=position))
    assert call(*world.arguments(base=world.folder.with_name("later"))).exit_code == 0


@pytest.mark.parametrize("filled", [False, True])
def test_a_base_of_another_log_is_told(filled: bool, world: World, tmp_path: Path) -> None:
    position = world.record(met("u1", "v3"))
    write_dataset(world.folder.with_name("later"), replace(base(), log_position=position))
    (tmp_path / "other").mkdir()
    other = sqlite_url(tmp_path / "other")
    append(other, [met("u1", "v3")] * (9 if filled else 1))
    text = world.refusal(base=world.folder.with_name("later"), url=other)
    assert "was made from another log" in text


def test_a_log_set_back_to_an_older_state_is_told(world: World) -> None:
    last = world.record(met("u1", "v3"))
    ahead = Position(f"{last[:17]}{int(last[17:]) + 1:016d}")
    write_dataset(world.folder.with_name("later"), replace(base(), log_position=ahead))
    assert "was made from another log" in world.refusal(base=world.folder.with_name("later"))


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("sqlite:////nowhere/at/all.db", "there is no event log at /nowhere/at/all.db"),
        ("sqlite://", "not supported"),
        ("kafka://host", "event log kafka://… is not supported"),
        ("just/a/path", "not supported"),
    ],
)
def test_a_log_that_is_not_there_is_told_and_not_made(url: str, part: str, world: World) -> None:
    assert part in world.refusal(url=url)


def test_a_file_that_is_no_log_is_told(world: World, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no log at all, but long enough to be one" * 100)
    assert "text.db: file is not a database" in world.refusal(url=f"sqlite:///{tmp_path}/text.db")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.kill()


def test_a_log_in_redis_is_read_from_where_the_base_ends(
    world: World, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.ask("FLUSHALL")
    monkeypatch.setattr(log, "CHUNK", 2)
    redis = world._replace(url=server.url)
    first = redis.record(put("new", GOOD), met("ann", "new"), hidden("v2"), erased("u1"))
    told = redis.told()
    assert told.dataset.log_position == first
    assert told.part_of("ann", "new") == "train"
    assert "u1" not in told.dataset.user_ids
    last = redis.record(met("ann", "v0", "skip"), met("bob", "v0"), deleted("v1"))
    dest = redis.dest.with_name("next")
    again = call(*redis.arguments(base=redis.dest, dest=dest))
    assert "read 3 events" in again.stderr
    dataset = read_dataset(dest)
    assert dataset.log_position == last
    assert parts(dataset)["ann", "v0"] == "seen"
    assert [dataset.video_ids[place] for place in dataset.hidden] == ["v2"]
    assert "v1" not in dataset.video_ids


def test_a_log_in_redis_that_was_trimmed_emptied_or_is_gone_is_told(
    world: World, tmp_path: Path
) -> None:
    server = RedisServer(tmp_path / "redis").start()
    try:
        redis = world._replace(url=server.url)
        position = redis.record(met("u1", "v3"))
        trim(redis.url, position)
        assert "Take the dataset that was made from this log last" in redis.refusal()
        write_dataset(redis.folder.with_name("later"), replace(base(), log_position=position))
        later = redis._replace(folder=redis.folder.with_name("later"))
        server.ask("FLUSHALL")
        assert "was made from another log" in later.refusal()
    finally:
        server.kill()
    assert "edis" in later.refusal()


def test_a_base_is_needed_and_must_be_a_dataset(world: World, tmp_path: Path) -> None:
    assert "needs --base DATASET" in refused("import", "log", world.url, tmp_path / "dest")
    assert "is no dataset folder" in world.refusal(base=tmp_path / "log")


def test_files_of_features_are_not_for_a_log(world: World) -> None:
    text = refused(*world.arguments(), "--acoustic", world.folder / "visual.npy")
    assert text.startswith("--acoustic: not for the format 'log'")


def test_an_existing_folder_is_never_touched(world: World) -> None:
    assert "exists already" in world.refusal(dest=world.folder)


def test_a_log_that_leaves_nothing_to_learn_from_writes_nothing(world: World) -> None:
    world.record(*(erased(f"u{number}") for number in range(4)))
    assert "interactions.parquet" in world.refusal()


Pair = tuple[str, str]


def joined(event: VideoUpserted) -> list[float]:
    """Return the features that an event brings, side by side, zeros where it has none."""
    raw = [event.features.get(name, bytes(4 * width)) for name, width in WIDTHS.items()]
    return [float(value) for part in raw for value in np.frombuffer(part, "<f4")]


RETOLD: list[dict[str, Any]] = [{"title": "t"}, {"title": None, "tags": ["a"]}, {"language": "de"}]


def retold(name: str, metadata: dict[str, Any]) -> VideoRetold:
    return VideoRetold(video_id=name, metadata=metadata, recorded_at=0)


class Model:
    """The base in dictionaries, and what a plain program would make of the same events."""

    def __init__(self) -> None:
        start = base()
        self.videos: dict[str, tuple[list[float], dict[str, Any]]] = {
            name: (start.joined_features[place].tolist(), start.metadata[place])
            for place, name in enumerate(start.video_ids)
        }
        self.pairs: dict[Pair, str] = parts(start)
        self.hidden: set[str] = set()

    def apply(self, event: Event) -> None:
        if isinstance(event, InteractionRecorded):
            self._meet((event.user_id, event.video_id), event.kind)
        elif isinstance(event, UserErased):
            self.pairs = {pair: p for pair, p in self.pairs.items() if pair[0] != event.user_id}
        elif isinstance(event, VideoUpserted):
            self.videos[event.video_id] = (joined(event), event.metadata)
        elif isinstance(event, VideoRetold):
            if event.video_id in self.videos:
                features, metadata = self.videos[event.video_id]
                self.videos[event.video_id] = (features, merged(metadata, event.metadata))
        elif event == deleted(event.video_id):
            name = event.video_id
            self.videos.pop(name, None)
            self.hidden.discard(name)
            self.pairs = {pair: part for pair, part in self.pairs.items() if pair[1] != name}
        else:
            self._hide(event)

    def _meet(self, pair: Pair, kind: str) -> None:
        if kind in ("skip", "dislike"):
            self.pairs[pair] = "seen"
        elif self.pairs.get(pair) not in ("val", "test"):
            self.pairs[pair] = "train"

    def _hide(self, event: VideoDeleted | VideoHidden | VideoShown) -> None:
        if event == hidden(event.video_id) and event.video_id in self.videos:
            self.hidden.add(event.video_id)
        elif event == shown(event.video_id):
            self.hidden.discard(event.video_id)

    def end(self) -> None:
        """What met a video that is not there is dropped."""
        self.pairs = {pair: part for pair, part in self.pairs.items() if pair[1] in self.videos}

    def agrees_with(self, dataset: Dataset) -> None:
        assert parts(dataset) == self.pairs
        assert set(dataset.user_ids) == {user for user, _ in self.pairs}
        found = {
            name: (dataset.joined_features[place].tolist(), dataset.metadata[place])
            for place, name in enumerate(dataset.video_ids)
        }
        assert found == self.videos
        assert {dataset.video_ids[place] for place in dataset.hidden} == self.hidden


users = st.sampled_from(["u0", "u1", "u2", "new", "newer"])
videos = st.sampled_from(["v0", "v1", "v2", "v3", "late", "later"])
numbers = st.integers(1, 9)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(met, users, videos, st.sampled_from(KINDS)),
    st.builds(met, users, videos, st.sampled_from(KINDS)),
    st.builds(erased, users),
    st.builds(deleted, videos),
    st.builds(hidden, videos),
    st.builds(retold, videos, st.sampled_from(RETOLD)),
    st.builds(shown, videos),
    st.builds(
        put,
        videos,
        st.fixed_dictionaries(
            {"visual": st.tuples(numbers, numbers)},
            optional={"textual": st.tuples(numbers, numbers, numbers)},
        ),
        st.fixed_dictionaries({}, optional={"title": st.text("ab", max_size=3)}),
    ),
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(st.lists(events, max_size=25), min_size=1, max_size=3))
def test_any_events_in_any_steps_make_what_a_plain_program_makes(
    steps: list[list[Event]],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log, "CHUNK", 4)
    monkeypatch.setattr(log_pairs, "WAITING", 3)
    folder = tmp_path_factory.mktemp("any")
    url, model, position = sqlite_url(folder), Model(), START
    write_dataset(folder / "0", base())
    append(url, [deleted("never there")])
    for number, step in enumerate(steps):
        position = append(url, [*step, shown("never there")])
        dataset = read_log(url, Options(base=folder / str(number))).dataset
        for event in step:
            model.apply(event)
        model.end()
        model.agrees_with(dataset)
        assert dataset.log_position == position
        written = write_dataset(folder / str(number + 1), dataset, accept=ACCEPTABLE)
        model.agrees_with(written)
