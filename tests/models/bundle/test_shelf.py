"""Old bundles go, the others stay, and what died halfway is cleared away by the next writer."""

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bundle import layout
from models.bundle.errors import NoBundle
from models.bundle.reader import list_bundle_ids, read_bundle, read_current_id
from models.bundle.shelf import locked, remove_old
from models.bundle.writer import make_current, write_bundle
from tests.models.bundle.test_atomic_writes import content
from tests.support.source import ROOT

# Holds the lock until it is killed.
HOLDER = """
import sys, time
from pathlib import Path
from models.bundle.shelf import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(600)
"""


def shelf(root: Path, count: int) -> list[str]:
    """Write `count` bundles, an hour apart, and return their ids, newest first."""
    return [
        write_bundle(root, content(), created_at=datetime(2026, 5, 4, hour, tzinfo=UTC))
        for hour in range(count)
    ][::-1]


def test_the_newest_stay_and_all_behind_them_go(tmp_path: Path) -> None:
    ids = shelf(tmp_path, 5)
    assert remove_old(tmp_path, 2) == ids[2:]
    assert list_bundle_ids(tmp_path) == ids[:2]
    assert sorted(os.listdir(tmp_path)) == sorted([*ids[:2], layout.CURRENT, layout.LOCK])  # noqa: PTH208
    assert remove_old(tmp_path, 2) == []
    read_bundle(tmp_path / read_current_id(tmp_path))


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 6), keep=st.integers(1, 7), current=st.integers(0, 5))
def test_neither_current_nor_a_newer_one_ever_goes(
    count: int, keep: int, current: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("shelf")
    ids = shelf(root, count)
    named = ids[min(current, count - 1)]
    make_current(root, named)
    expected = [name for place, name in enumerate(ids) if place >= keep and name < named]
    assert remove_old(root, keep) == expected
    assert list_bundle_ids(root) == [name for name in ids if name not in expected]
    assert read_current_id(root) == named


def test_a_removed_bundle_is_used_on_by_who_has_it_mapped(tmp_path: Path) -> None:
    ids = shelf(tmp_path, 2)
    old = read_bundle(tmp_path / ids[1])
    before = np.array(old.videos)
    assert remove_old(tmp_path, 1) == [ids[1]]
    assert not old.folder.exists()
    np.testing.assert_array_equal(old.videos, before)


def note(folder: Path) -> None:
    (folder / "note.txt").write_text("keep this one")


def folder_inside(folder: Path) -> None:
    (folder / "more").mkdir()


def index_elsewhere(folder: Path) -> None:
    (folder / layout.INDEX).rename(folder.parent / "index")
    (folder / layout.INDEX).symlink_to(folder.parent / "index")


def moved_and_linked(folder: Path) -> None:
    folder.rename(folder.parent / "elsewhere")
    folder.symlink_to(folder.parent / "elsewhere", target_is_directory=True)


def without_manifest(folder: Path) -> None:
    (folder / layout.MANIFEST).unlink()


@pytest.mark.parametrize(
    "change", [note, folder_inside, index_elsewhere, moved_and_linked, without_manifest]
)
def test_what_is_not_a_bundle_as_we_write_it_stays(change: Any, tmp_path: Path) -> None:
    ids = shelf(tmp_path, 3)
    change(tmp_path / ids[2])
    assert remove_old(tmp_path, 1) == [ids[1]]
    assert (tmp_path / ids[2]).is_dir()


@pytest.mark.parametrize("name", ["zzz", "00000101T000000-backup", "0"])
def test_a_folder_of_another_name_stays_and_takes_no_place(name: str, tmp_path: Path) -> None:
    ids = shelf(tmp_path, 3)
    shutil.copytree(tmp_path / ids[2], tmp_path / name)
    assert remove_old(tmp_path, 2) == [ids[2]]
    assert (tmp_path / name / layout.MANIFEST).exists()


def test_without_a_usable_current_nothing_goes(tmp_path: Path) -> None:
    ids = shelf(tmp_path, 3)
    (tmp_path / layout.CURRENT).write_text("gone")
    with pytest.raises(NoBundle):
        remove_old(tmp_path, 1)
    assert list_bundle_ids(tmp_path) == ids


@pytest.mark.parametrize("keep", [0, -1])
def test_at_least_one_is_kept(keep: int, tmp_path: Path) -> None:
    shelf(tmp_path, 2)
    with pytest.raises(ValueError, match="1 or more"):
        remove_old(tmp_path, keep)


def test_what_was_half_removed_is_no_bundle_and_goes_with_the_next_write(tmp_path: Path) -> None:
    ids = shelf(tmp_path, 3)
    half = (tmp_path / ids[2]).rename(tmp_path / f"{layout.REMOVED_PREFIX}{ids[2]}")
    assert list_bundle_ids(tmp_path) == ids[:2]
    write_bundle(tmp_path, content(4), created_at=datetime(2026, 6, 1, tzinfo=UTC))
    assert not half.exists()


def test_current_cannot_be_moved_to_a_bundle_that_is_gone(tmp_path: Path) -> None:
    ids = shelf(tmp_path, 3)
    remove_old(tmp_path, 1)
    with pytest.raises(NoBundle):
        make_current(tmp_path, ids[2])
    assert read_current_id(tmp_path) == ids[0]


@pytest.mark.e2e
def test_a_writer_waits_for_the_other_and_never_clears_its_work_away(tmp_path: Path) -> None:
    shelf(tmp_path, 1)
    holder = subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "locked\n"
        scratch = tmp_path / f"{layout.SCRATCH_PREFIX}in work"
        scratch.mkdir()
        code = "import sys; from pathlib import Path; from models.bundle.shelf import remove_old; "
        waiting = subprocess.Popen(  # noqa: S603 - our own code
            [sys.executable, "-c", f"{code}remove_old(Path(sys.argv[1]), 1)", str(tmp_path)],
            cwd=ROOT,
        )
        time.sleep(1.0)
        assert waiting.poll() is None
        assert scratch.exists()
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.communicate(timeout=60)
    # The lock went with the process, and what it left is cleared away.
    assert waiting.wait(60) == 0
    assert not scratch.exists()


def test_a_volume_without_locks_is_written_to_and_not_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    (tmp_path / f"{layout.SCRATCH_PREFIX}of another").mkdir()
    (bundle_id,) = shelf(tmp_path, 1)
    assert read_current_id(tmp_path) == bundle_id
    assert (tmp_path / f"{layout.SCRATCH_PREFIX}of another").exists()


def test_a_lock_that_cannot_be_had_for_another_reason_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="Input/output"), locked(tmp_path):
        pass
