"""Arrivals are fused and vectors searched on a CUDA device where one is, and it is said if not."""

from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
import structlog
import torch

from models.bundle.manifest import IndexEntry
from models.bundle.reader import read_bundle, read_current_id
from service.catalog.device import CudaIndex, choose_devices
from service.catalog.fusing import Fuser
from service.catalog.index import ExactIndex, FaissIndex
from tests.support.bundles import unit
from tests.support.server import Api, settings_for

NO_TORCH = not torch.cuda.is_available()
NO_FAISS = getattr(faiss, "get_num_gpus", lambda: 0)() == 0


def test_who_wants_the_cpu_gets_it_without_a_word() -> None:
    with structlog.testing.capture_logs() as lines:
        devices = choose_devices("cpu")
    assert (devices.fusion, devices.search, lines) == ("cpu", "cpu", [])


@pytest.mark.skipif(not (NO_TORCH and NO_FAISS), reason="there is a CUDA device")
def test_what_is_not_there_is_said_and_done_on_the_cpu() -> None:
    with structlog.testing.capture_logs() as lines:
        assert choose_devices("auto") == choose_devices("cuda") == choose_devices("cpu")
    (line,) = lines
    assert line["log_level"] == "warning"
    assert line["fusion"].startswith("cpu: ")
    assert line["search"].startswith("cpu: ")


@pytest.mark.parametrize("wanted", ["auto", "cpu", "cuda"])
def test_a_service_serves_wherever_it_is(bundles: Path, tmp_path: Path, wanted: str) -> None:
    with Api(settings_for(bundles, tmp_path / "events.db", device=wanted)) as api:
        api.ready()
        api.put_video("new")
        assert len(api.similar("new", 5)) == 5
        assert len(api.recommend("user-00000", 7)) == 7
        devices = choose_devices("auto" if wanted == "cuda" else wanted)  # type: ignore[arg-type]
        told = {"fusion": devices.fusion, "search": devices.search}
        assert api.metric("reco_device_info", **told) == 1


@pytest.mark.gpu
@pytest.mark.skipif(NO_TORCH, reason="torch sees no CUDA device")
def test_a_video_fused_on_a_device_is_nearly_what_the_cpu_makes_of_it(trained: Path) -> None:
    bundle = read_bundle(trained / read_current_id(trained))
    rows = np.random.default_rng(0).normal(size=(50, sum(bundle.manifest.modalities.values())))
    here, there = Fuser(bundle), Fuser(bundle, "cuda")
    vectors = here.fuse_rows(rows.astype(np.float32))
    np.testing.assert_allclose(there.fuse_rows(rows.astype(np.float32)), vectors, atol=1e-4)


def test_what_a_device_gets_for_rounded_vectors_is_in_the_same_cells_and_finds_them() -> None:
    rng = np.random.default_rng(0)
    vectors, users = (unit(rng.normal(size=(count, 16))) for count in (5000, 50))
    rounded: Any = faiss.index_factory(16, "IVF32,PQ16x4fsr", faiss.METRIC_INNER_PRODUCT)
    rounded.train(vectors)
    rounded.add(vectors)
    own = FaissIndex(rounded, IndexEntry("ivf32,pq16x4fsr", 32, 2, 1.0))
    halves = own.of_halves()
    halves.add(vectors)
    assert halves.nprobe == 32
    exact = ExactIndex(vectors).retrieve_many(users, 20)[0]
    found = halves.search(users, 30)[1]
    assert np.mean([np.isin(e, f).mean() for e, f in zip(exact, found, strict=True)]) == 1.0
    halves.nprobe = 1
    cells = own.cells_of(vectors)
    here = halves.search(users, 100)[1]
    for user, rows in zip(users, here, strict=True):
        assert set(cells[rows[rows >= 0]]) == set(own.cells_of(user[None, :]))


@pytest.mark.gpu
@pytest.mark.skipif(NO_FAISS, reason="faiss sees no GPU")
@pytest.mark.parametrize("kind", ["Flat", "PQ16x4fsr"])
def test_a_device_finds_what_the_cpu_finds(kind: str) -> None:
    rng = np.random.default_rng(0)
    vectors, users = (unit(rng.normal(size=(count, 16))) for count in (5000, 50))
    built: Any = faiss.index_factory(16, f"IVF32,{kind}", faiss.METRIC_INNER_PRODUCT)
    built.train(vectors)
    built.add(vectors)
    entry = IndexEntry(f"ivf32,{kind.lower()}", 32, 1 if kind == "Flat" else 2, 1.0)
    found = CudaIndex(FaissIndex(built, entry), vectors).retrieve_many(users, 30)[0]
    exact = ExactIndex(vectors).retrieve_many(users, 20)[0]
    assert np.mean([np.isin(e, f).mean() for e, f in zip(exact, found, strict=True)]) > 0.99
