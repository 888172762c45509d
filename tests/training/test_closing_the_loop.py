"""What the service recorded comes back in the next bundle, night after night."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.bundle import layout
from models.bundle.digest import feature_digest
from models.bundle.reader import Bundle, list_bundle_ids, read_bundle, read_current_id
from tests.support.logs import append, deleted, erased, hidden, met, put, shown, sqlite_url
from tests.support.training_command import call, start
from training.data.folder import read_dataset

SMALL = ["vector_dim=8", "hidden_dims=[8]", "signal_hidden_dim=8", "rank=4", "max_epochs=2"]
SET = [part for text in SMALL for part in ("--set", text)]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sample; read it, never change it."""
    folder = tmp_path_factory.mktemp("loop") / "sample"
    assert call("synth", folder, "--videos", "60", "--users", "20").exit_code == 0
    return folder


def fitted(dataset: Path, bundles: Path, *options: str) -> str:
    """Fit and return the bundle's id."""
    done = call("fit", dataset, "--out", bundles, *SET, *options)
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()[-1]


def seen(bundle: Bundle, user: str) -> set[str]:
    """Return the ids of the videos that a user is not recommended again."""
    row = bundle.user_ids.index(user)
    rows = bundle.seen_videos[bundle.seen_starts[row] : bundle.seen_starts[row + 1]]
    return {bundle.video_ids[place] for place in rows}


def features(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    widths = {"visual": 64, "acoustic": 32, "textual": 48}
    return {m: rng.normal(size=width).astype(np.float32) for m, width in widths.items()}


@pytest.mark.slow
def test_a_night_brings_all_that_happened_into_the_next_bundle(
    sample: Path, tmp_path: Path
) -> None:
    bundles, url = tmp_path / "bundles", sqlite_url(tmp_path)
    before = read_bundle(bundles / fitted(sample, bundles))
    assert before.manifest.log_position is None
    gone, shy, back, skipped, liked = before.video_ids[:5]
    append(url, [put("new", features(1), {"title": "New"}), met("ann", "new", "like")])
    append(url, [deleted(gone), hidden(shy), hidden(back), shown(back), hidden("new")])
    append(url, [met("ann", liked), met("ann", skipped, "skip"), met("bob", skipped, "dislike")])
    last = append(url, [erased("user-00003"), met("user-00004", "new")])
    told = call("import", "log", url, tmp_path / "next", "--base", sample)
    assert told.exit_code == 0, told.output
    after = read_bundle(bundles / fitted(tmp_path / "next", bundles))
    assert read_current_id(bundles) == after.bundle_id
    assert after.manifest.log_position == last
    assert set(after.video_ids) == {*before.video_ids, "new"} - {gone}
    assert set(after.video_ids.ids(np.flatnonzero(after.hidden))) == {shy, "new"}
    new = after.video_ids.index("new")
    assert after.metadata[new] == {"title": "New"}
    assert after.feature_digests[new] == feature_digest(features(1))  # type: ignore[arg-type] # a modality each
    assert after.popularity[new] == 2
    assert seen(after, "ann") == {"new", liked, skipped}
    assert seen(after, "bob") == {skipped}
    assert "user-00003" not in after.user_ids
    assert "new" in seen(after, "user-00004")
    # And the next night goes on from there.
    last = append(url, [met("bob", liked), deleted("new")])
    assert (
        call("import", "log", url, tmp_path / "third", "--base", tmp_path / "next").exit_code == 0
    )
    third = read_dataset(tmp_path / "third")
    assert third.log_position == last
    assert "new" not in third.video_ids
    assert "user-00003" not in third.user_ids
    assert [third.video_ids[row] for row in third.hidden] == [shy]


@pytest.mark.slow
def test_fit_keeps_as_many_bundles_as_it_is_told(sample: Path, tmp_path: Path) -> None:
    # Names tell seconds: within one, which of two is newer is a matter of chance.
    ids = []
    for _ in range(3):
        ids.append(fitted(sample, tmp_path, "--keep", "2"))
        time.sleep(1.0)
    assert list_bundle_ids(tmp_path) == ids[:0:-1]
    assert read_current_id(tmp_path) == ids[2]
    done = call("fit", sample, "--out", tmp_path, *SET, "--keep", "1")
    assert f"removed: {tmp_path / ids[1]}" in done.stderr
    assert done.stdout.split() == list_bundle_ids(tmp_path)


def test_fit_refuses_to_keep_nothing(sample: Path, tmp_path: Path) -> None:
    assert call("fit", sample, "--out", tmp_path, "--keep", "0").exit_code == 2
    assert list_bundle_ids(tmp_path) == []


def test_an_index_is_tuned_to_the_recall_that_is_asked_for(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.indexing.LARGEST_EXACT", 10)
    bundles = [
        read_bundle(tmp_path / fitted(sample, tmp_path, "--recall-target", target))
        for target in ("0.3", "1")
    ]
    some, most = (bundle.manifest.index for bundle in bundles)
    assert some.nprobe < most.nprobe
    assert 0.3 <= some.recall_at_20 < most.recall_at_20 == 1.0


@pytest.mark.e2e
def test_a_fit_that_is_killed_while_it_writes_leaves_the_old_bundle_or_the_new_one(
    sample: Path, tmp_path: Path
) -> None:
    first = fitted(sample, tmp_path)
    rng = np.random.default_rng()
    met_halfway = 0
    for _ in range(10):
        process = start("fit", sample, "--out", tmp_path, *SET)
        while process.poll() is None and not list(tmp_path.glob(f"{layout.SCRATCH_PREFIX}*")):
            time.sleep(0.0005)
        time.sleep(rng.uniform(0, 0.02))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        met_halfway += bool(list(tmp_path.glob(f"{layout.SCRATCH_PREFIX}*")))
        assert read_current_id(tmp_path) >= first
        for bundle_id in list_bundle_ids(tmp_path):
            read_bundle(tmp_path / bundle_id)
        if met_halfway == 3:
            break
    last = fitted(sample, tmp_path)
    assert read_current_id(tmp_path) == last
    beside = {layout.CURRENT, layout.LOCK}
    assert {entry.name for entry in tmp_path.iterdir()} == {*list_bundle_ids(tmp_path), *beside}
    assert met_halfway
