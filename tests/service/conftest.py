"""A trained bundle, made once, and the application over a copy of it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import faiss
import pytest

from tests.support.bundles import write_small_bundle
from tests.support.server import Api, settings_for


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one bundle of 60 videos and 20 users; never written to."""
    root = tmp_path_factory.mktemp("trained")
    write_small_bundle(root)
    return root


@pytest.fixture
def bundles(trained: Path, tmp_path: Path) -> Path:
    """A copy of it for one test."""
    return Path(shutil.copytree(trained, tmp_path / "bundles"))


@pytest.fixture
def api(bundles: Path, tmp_path: Path) -> Iterator[Api]:
    """The application over that copy and an event log of its own, ready."""
    with Api(settings_for(bundles, tmp_path / "events.db")) as api:
        yield api.ready()


@pytest.fixture(scope="module")
def still(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The application for the tests of a module that change nothing."""
    with Api(settings_for(trained, tmp_path_factory.mktemp("still") / "events.db")) as api:
        yield api.ready()
        assert api.head() == "", "a test of this module wrote something"


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One thread for each search, as `python -m service` has it."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    yield
    faiss.omp_set_num_threads(before)


@pytest.fixture(scope="session")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of another bundle of the same videos, with another network."""
    root = tmp_path_factory.mktemp("newer")
    return root / write_small_bundle(root, seed=0, epochs=2)
