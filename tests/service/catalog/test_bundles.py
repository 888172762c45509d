"""Which bundle is served: a bad one never, a new one without a pause."""

import contextlib
import itertools
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models.bundle import layout
from models.bundle.reader import list_bundle_ids, read_current_id
from models.bundle.writer import make_current
from tests.support.server import Api, eventually, features, settings_for


def spoil(file: Path) -> None:
    """Flip one bit in the middle of `file`."""
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)


def add(bundles: Path, folder: Path, *, spoilt: str = "") -> str:
    """Copy a bundle beside the others, spoil one of its files, make it CURRENT."""
    shutil.copytree(folder, bundles / folder.name)
    if spoilt:
        spoil(bundles / folder.name / spoilt)
    make_current(bundles, folder.name)
    return folder.name


LIKE = "videos/before-1/similar"
FILES = [layout.INDEX, layout.VECTORS, layout.FUSION, layout.SEEN, layout.VIDEOS, layout.MANIFEST]


@pytest.mark.parametrize("file", FILES)
def test_a_spoilt_bundle_is_refused_and_the_last_good_one_serves(
    bundles: Path, newer: Path, tmp_path: Path, file: str
) -> None:
    """Case 41."""
    good = read_current_id(bundles)
    add(bundles, newer, spoilt=file)
    with Api(settings_for(bundles, tmp_path / "e.db")) as api:
        response = api.ready().get("/v1/users/user-00000/recommendations")
        assert response.status_code == 200
        assert response.json()["bundle_id"] == good
        assert "last good" in response.headers["x-degraded"]
        assert api.metric("reco_bundle_refusals_total") == 1
        assert api.put_video("new").status_code == 201


def test_a_spoilt_bundle_that_becomes_current_is_refused_once(
    api: Api, bundles: Path, newer: Path
) -> None:
    good = read_current_id(bundles)
    assert "x-degraded" not in api.get("/v1/model").headers
    add(bundles, newer, spoilt=layout.INDEX)
    eventually(lambda: "x-degraded" in api.get("/v1/model").headers)
    assert api.model()["bundle_id"] == good
    time.sleep(0.5)  # ten looks at CURRENT
    assert api.metric("reco_bundle_refusals_total") == 1
    make_current(bundles, good)
    eventually(lambda: "x-degraded" not in api.get("/v1/model").headers)


def test_a_refused_bundle_that_is_repaired_is_served(api: Api, bundles: Path, newer: Path) -> None:
    add(bundles, newer, spoilt=layout.VECTORS)
    eventually(lambda: "x-degraded" in api.get("/v1/model").headers)
    spoil(bundles / newer.name / layout.VECTORS)
    eventually(lambda: api.model()["bundle_id"] == newer.name)
    assert "x-degraded" not in api.get("/v1/model").headers


def test_a_current_that_names_nothing_is_named_in_every_answer(
    bundles: Path, tmp_path: Path
) -> None:
    (bundles / layout.CURRENT).write_text("20200101T000000-gone\n", "utf-8")
    with Api(settings_for(bundles, tmp_path / "e.db")) as api:
        assert "x-degraded" in api.ready().get("/v1/model").headers
        make_current(bundles, list_bundle_ids(bundles)[0])
        eventually(lambda: "x-degraded" not in api.get("/v1/model").headers)


def test_without_a_bundle_it_says_why_and_becomes_ready_when_one_appears(
    newer: Path, tmp_path: Path
) -> None:
    """Case 45."""
    with Api(settings_for(tmp_path / "none", tmp_path / "e.db")) as api:
        for path in ("/readyz", "/v1/model", "/v1/users/u/recommendations", "/v1/videos/v"):
            response = api.get(path)
            assert response.status_code == 503
            assert response.headers["content-type"] == "application/problem+json"
            assert response.headers["retry-after"] == "1"
        eventually(lambda: "CURRENT" in api.get("/readyz").json()["detail"])
        assert api.put_video("v").status_code == 503
        assert api.watch("u", "v").status_code == 503
        assert api.delete_video("v").status_code == 503
        assert api.head() == ""
        assert api.get("/livez").status_code == 200
        (tmp_path / "none").mkdir()
        add(tmp_path / "none", newer)
        api.ready()
        assert api.put_video("v").status_code == 201


def test_with_nothing_but_spoilt_bundles_it_is_not_ready(newer: Path, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    add(tmp_path / "bad", newer, spoilt=layout.FUSION)
    with Api(settings_for(tmp_path / "bad", tmp_path / "e.db")) as api:
        eventually(lambda: "SHA-256" in api.get("/readyz").json()["detail"])
        spoil(tmp_path / "bad" / newer.name / layout.FUSION)
        api.ready()


@contextlib.contextmanager
def reading(api: Api) -> Iterator[tuple[list[str], set[str]]]:
    """Read from four threads; yields what failed and the bundles that answered."""
    done = threading.Event()
    faults: list[str] = []
    served: set[str] = set()

    def read(user: int) -> None:
        for path in itertools.cycle((f"users/user-{user:05d}/recommendations", LIKE)):
            response = api.get(f"/v1/{path}")
            if response.status_code == 200:
                served.add(response.json()["bundle_id"])
            else:
                faults.append(response.text)
            if done.is_set():
                return

    readers = [threading.Thread(target=read, args=(user,)) for user in range(4)]
    for reader in readers:
        reader.start()
    try:
        eventually(lambda: served)
        yield faults, served
    finally:
        done.set()
        for reader in readers:
            reader.join()


def test_a_new_bundle_is_taken_up_under_reads_and_writes(
    api: Api, bundles: Path, newer: Path
) -> None:
    """Case 48."""
    old = read_current_id(bundles)
    for seed in range(5):
        api.put_video(f"before-{seed}", seed)
    with reading(api) as (faults, served):
        add(bundles, newer)
        for seed in range(20):
            assert api.put_video(f"during-{seed}", seed).status_code == 201
        eventually(lambda: api.model()["bundle_id"] == newer.name)
        eventually(lambda: newer.name in served)
    assert not faults
    assert served == {old, newer.name}
    assert api.model()["videos"] == 85


def test_arrivals_are_fused_again_by_the_network_of_a_new_bundle(
    api: Api, bundles: Path, newer: Path
) -> None:
    api.put_video("arrival", 3)
    api.delete_video("video-00001")
    api.watch("nobody", "arrival")
    before = api.services.catalog.view
    add(bundles, newer)
    eventually(lambda: api.model()["bundle_id"] == newer.name)
    after = api.services.catalog.view
    given = {name: np.array(row, np.float32) for name, row in features(3).items()}
    for view in (before, after):
        row = view.row("arrival")  # type: ignore[arg-type] # a literal
        assert row is not None
        held = view.vectors(np.array([row]))
        assert np.array_equal(held, view.snapshot.fuser.fuse([given]))
    assert not np.array_equal(
        before.snapshot.fuser.fuse([given]), after.snapshot.fuser.fuse([given])
    )
    assert api.get("/v1/videos/video-00001").status_code == 404
    shown = {place["video_id"] for place in api.recommend("nobody", 500)}
    assert "arrival" not in shown


def test_fusing_one_by_one_and_all_at_once_gives_the_same_vectors(api: Api) -> None:
    fuser = api.services.catalog.view.snapshot.fuser
    videos = [
        {n: np.array(row, np.float32) for n, row in features(seed).items()} for seed in range(300)
    ]
    together = fuser.fuse(videos)
    alone = np.concatenate([fuser.fuse([video]) for video in videos])
    assert np.array_equal(together, alone)
