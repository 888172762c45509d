"""A bundle appears whole or not at all, whatever becomes of its writer."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.bundle import layout
from models.bundle.manifest import FusionEntry, IndexEntry
from models.bundle.reader import list_bundle_ids, read_bundle, read_current_id
from models.bundle.writer import BundleContent, write_bundle

NOON = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)

# Writes bundles with 8 MB of vectors until it is killed; says so after the first.
WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from tests.models.bundle.test_atomic_writes import content

root, number = Path(sys.argv[1]), 0
from models.bundle.writer import write_bundle

while True:
    number += 1
    write_bundle(
        root, content(videos=500_000, git_revision=str(number)), created_at=datetime.now(UTC)
    )
    print(number, flush=True)
"""


def content(videos: int = 3, **changed: Any) -> BundleContent:
    return replace(
        BundleContent(
            user_ids=["ann"],
            video_ids=[str(row) for row in range(videos)],
            users=np.full((1, 4), 0.5, np.float32),
            videos=np.full((videos, 4), 0.5, np.float32),
            modalities={"visual": 4},
            fusion_sizes=FusionEntry(
                hidden_dims=(), signal_hidden_dim=1, signal_dim=1, rank=1, form="cpd"
            ),
            fusion_tensors={"mean": np.zeros(4, np.float32)},
            index=np.zeros(9, np.uint8),
            index_entry=IndexEntry(kind="flat", nprobe=0, refine=1, recall_at_20=1.0),
            seen_starts=np.array([0, 1]),
            seen_videos=np.array([0]),
            popularity=np.ones(videos, np.int64),
            activity=np.ones(1, np.int64),
            hidden=np.zeros(videos, np.bool_),
            feature_digests=np.zeros(videos, np.int64),
            dataset="planted",
            git_revision="unknown",
        ),
        **changed,
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with one good bundle in it."""
    write_bundle(tmp_path / "bundles", content(), created_at=NOON)
    return tmp_path / "bundles"


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"metadata": [{"title": object()}, {}, {}]}, TypeError),
        ({"video_ids": ["\ud800", "b", "c"]}, UnicodeEncodeError),
        ({"metrics": {"recall": object()}}, TypeError),
        ({"video_ids": ["a", "b", "a"]}, ValueError),
        ({"metadata": [{}, {}]}, ValueError),
    ],
    ids=["metadata", "ids", "metrics", "twins", "fewer"],
)
def test_a_write_that_fails_halfway_leaves_what_was_there(
    changed: dict[str, Any], fault: type[Exception], root: Path
) -> None:
    before = {file: file.stat().st_mtime_ns for file in root.rglob("*")}
    with pytest.raises(fault):
        write_bundle(root, content(**changed), created_at=NOON.replace(hour=13))
    after = {file: file.stat().st_mtime_ns for file in root.rglob("*")}
    assert after == before
    read_bundle(root / read_current_id(root))


def test_a_full_disk_leaves_what_was_there(root: Path) -> None:
    before = sorted(root.rglob("*"))
    # A limit on the size of a file is as real a failure of write() as a full disk.
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from tests.models.bundle.test_atomic_writes import NOON, content, write_bundle\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "write_bundle(Path(sys.argv[1]), content(videos=20_000), created_at=NOON)\n"
    )
    done = _python(code, root)
    assert done.wait(60) != 0
    assert done.stderr is not None
    assert "File too large" in done.stderr.read()
    done.stderr.close()
    assert sorted(root.rglob("*")) == before
    read_bundle(root / read_current_id(root))


@pytest.mark.e2e
@pytest.mark.parametrize("wait", [0.02, 0.11, 0.23])
def test_a_killed_writer_leaves_a_bundle_that_can_be_read(wait: float, root: Path) -> None:
    writer = _python(WRITER, root, stdout=subprocess.PIPE)
    assert writer.stdout is not None
    try:
        assert writer.stdout.readline() == "1\n"
        time.sleep(wait)
    finally:
        os.kill(writer.pid, signal.SIGKILL)
        writer.communicate(timeout=60)
    current = read_current_id(root)
    assert read_bundle(root / current).bundle_id == current
    for bundle_id in list_bundle_ids(root):
        read_bundle(root / bundle_id)
    beside = {layout.CURRENT, layout.LOCK}
    left = {entry.name for entry in root.iterdir()} - {*list_bundle_ids(root), *beside}
    assert all(name.startswith(layout.SCRATCH_PREFIX) for name in left), left
    write_bundle(root, content(), created_at=datetime.now(UTC))
    assert {entry.name for entry in root.iterdir()} == {*list_bundle_ids(root), *beside}


@pytest.mark.e2e
def test_a_reader_beside_a_writer_never_meets_half_a_bundle(root: Path) -> None:
    writer = _python(WRITER, root, stdout=subprocess.PIPE)
    assert writer.stdout is not None
    met: set[str] = set()
    try:
        until = time.monotonic() + 20
        while len(met) < 3 and time.monotonic() < until:
            for name in set(os.listdir(root)) - met - {layout.CURRENT}:  # noqa: PTH208 - names
                if not name.startswith("."):
                    met.add(read_bundle(root / name).bundle_id)
            read_current_id(root)
    finally:
        writer.kill()
        writer.communicate(timeout=60)
    assert len(met) >= 3


def test_a_scratch_folder_left_behind_is_no_bundle(root: Path) -> None:
    current = read_current_id(root)
    scratch = root / f"{layout.SCRATCH_PREFIX}abc"
    scratch.mkdir()
    (scratch / layout.MANIFEST).write_bytes((root / current / layout.MANIFEST).read_bytes())
    assert list_bundle_ids(root) == [current]


def _python(code: str, root: Path, *, stdout: int | None = None) -> "subprocess.Popen[str]":
    return subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", code, str(root)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},  # noqa: PTH109
    )
