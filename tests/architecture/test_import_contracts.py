"""The rooms see only what they may, and an import that breaks this is found."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.commands import run
from tests.support.source import ROOMS, ROOT, imported_modules, parse, python_files

TORCH_FILE = ROOT / "service/catalog/fusing.py"
ROOMS_APART = "service and training stand on models and the event log and never see each other"
INNER_ORDER = "inside the service: api, then recommend, then catalog"
BUNDLE = "the bundle format never needs torch, faiss or a web framework"
NO_HTTP = "models and training know nothing of HTTP, and of Redis only through the event log"
REDIS = "only eventlog.redis speaks to Redis"
LOG = "the event log knows nothing of networks or arrays"
HTTP = "only service.api speaks HTTP"
CLIENT = "the client knows nothing of ours and needs httpx alone"
LIBRARIES = "what a server imports needs none of training's libraries"
TORCH = "only service.catalog.fusing runs the fusion network"
PLANTED = [
    ("service/settings.py", "import training.loop", ROOMS_APART),
    ("training/loop.py", "import service.errors", ROOMS_APART),
    ("models/fusion.py", "import training.errors", ROOMS_APART),
    ("eventlog/log.py", "import service.catalog.view", ROOMS_APART),
    ("service/catalog/view.py", "import service.recommend.recommender", INNER_ORDER),
    ("eventlog/position.py", "import numpy", LOG),
    ("models/bundle/reader.py", "import torch", BUNDLE),
    ("client/wire.py", "import models.ids", CLIENT),
    ("client/encoding.py", "import numpy", CLIENT),
    ("client/models.py", "import service.errors", ROOMS_APART),
    ("service/settings.py", "import client.models", ROOMS_APART),
    ("training/export.py", "import fastapi", NO_HTTP),
    ("training/export.py", "import redis", REDIS),
    ("service/catalog/view.py", "import fastapi", HTTP),
    ("service/recommend/recommender.py", "import torch", TORCH),
    ("models/bundle/writer.py", "import pyarrow", LIBRARIES),
]


def lint(tree: Path) -> tuple[int, str]:
    """Check the import contracts of the tree at `tree`."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache", "--no-logo"]
    environment = {**os.environ, "PYTHONPATH": str(tree), "COLUMNS": "200"}
    done = run(command, cwd=tree, env=environment)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of our code to plant imports in."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_import_contracts_hold() -> None:
    status, report = lint(ROOT)
    assert status == 0, report
    for contract in {contract for _, _, contract in PLANTED}:
        assert f"{contract} KEPT" in report


@pytest.mark.parametrize(("file", "line", "contract"), PLANTED)
def test_a_planted_import_breaks_its_contract(
    tree: Path, file: str, line: str, contract: str
) -> None:
    with (tree / file).open("a") as source:
        source.write(f"\n{line}\n")
    status, report = lint(tree)
    assert status == 1, report
    assert f"{contract} BROKEN" in report


def test_torch_is_imported_by_one_file_of_the_service() -> None:
    found = [
        file
        for file in python_files("service")
        if any(name.partition(".")[0] == "torch" for name in imported_modules(parse(file)))
    ]
    assert found == [TORCH_FILE]


def test_what_the_service_fuses_with_is_imported_by_no_other_file_of_it() -> None:
    networks = {
        "models.arrival", "models.ensemble", "models.fusion", "models.meta_layer",
        "models.recommender",
    }  # fmt: skip
    for file in python_files("service"):
        if file != TORCH_FILE:
            assert networks.isdisjoint(imported_modules(parse(file))), file
