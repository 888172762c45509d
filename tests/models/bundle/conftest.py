"""One small bundle for all, and a copy of it that a test may damage."""

import shutil
from pathlib import Path

import pytest

from tests.support.bundles import write_small_bundle


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole bundle; read it, never change it."""
    root = tmp_path_factory.mktemp("bundles")
    return root / write_small_bundle(root)


@pytest.fixture
def bundle(pristine: Path, tmp_path: Path) -> Path:
    """A copy of the whole bundle, to be damaged."""
    shutil.copytree(pristine.parent, tmp_path / "bundles")
    return tmp_path / "bundles" / pristine.name
