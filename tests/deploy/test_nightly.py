"""The nightly scripts do, on real folders and a real log, what docs/training.md says they do."""

import os
import re
import sys
from pathlib import Path

import pytest

from models.bundle.reader import read_bundle, read_current_id
from tests.support.commands import run
from tests.support.deployment import ROOT, cluster_settings, compose, nightly_scripts, pod_specs
from tests.support.logs import append, deleted, met, sqlite_url
from tests.support.training_command import call
from training.data.folder import read_dataset

SCRIPTS = nightly_scripts()
QUICK = "--set max_epochs=1 --set vector_dim=8 --set 'hidden_dims=[8]' --set rank=4"


def night(script: str, folder: Path, url: str) -> str:
    """Run `script` on volumes in `folder`, a small sample and a quick fit; return its stderr."""
    for volume in ("nights", "bundles", "data", "tmp"):
        (folder / volume).mkdir(exist_ok=True)
    mine = re.sub(r"(?<=[\s=])/(nights|bundles|data|tmp)\b", rf"{folder}/\1", script)
    # It removes what it finds: outside of `folder` there must be nothing left to find.
    assert not re.search(r"(?<!\w)/(nights|bundles|data|tmp/sample|events)\b", mine)
    mine = mine.replace("synth", "synth --videos 60 --users 12")
    mine = mine.replace(f"--out {folder}/bundles", f"--out {folder}/bundles {QUICK}")
    done = run(
        ["sh", "-euc", mine],
        cwd=ROOT,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "RECO_EVENT_LOG": url,
            "OMP_NUM_THREADS": "1",
        },
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.e2e
def test_a_night_goes_on_from_the_last_one_and_the_last_two_are_kept(tmp_path: Path) -> None:
    url, nights = sqlite_url(tmp_path), tmp_path / "nights"
    append(url, [met("ann", "video-00003")])
    night(SCRIPTS["cluster"], tmp_path, url)
    (first,) = nights.iterdir()
    for name in ("20200101T000000", ".20200102T000000-cut off"):
        (nights / name).mkdir()
    last = append(url, [deleted("video-00005"), met("bob", "video-00003")])
    assert "read 2 events" in night(SCRIPTS["cluster"], tmp_path, url)
    left = sorted(nights.iterdir())
    assert left[0] == first
    assert len(left) == 2
    assert set(read_dataset(left[1]).user_ids) >= {"ann", "bob"}
    bundle = read_bundle(tmp_path / "bundles" / read_current_id(tmp_path / "bundles"))
    assert bundle.manifest.log_position == last
    assert "video-00005" not in bundle.video_ids


@pytest.mark.e2e
def test_the_first_night_of_a_data_set_goes_on_from_it(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    append(url, [met("ann", "video-00003")])
    made = tmp_path / "made"
    assert call("synth", made, "--videos", "50", "--users", "10").exit_code == 0
    made.rename(tmp_path / "data")
    night(SCRIPTS["compose"], tmp_path, url)
    (first,) = (tmp_path / "nights").iterdir()
    assert read_dataset(first).videos == 50


def test_both_end_alike() -> None:
    ends = {script[script.index("next=") :].strip() for script in SCRIPTS.values()}
    assert len(ends) == 1


def test_both_read_the_log_that_the_server_writes_and_write_where_it_looks() -> None:
    service = compose()["services"]["nightly"]
    log = cluster_settings()["RECO_EVENT_LOG"]
    assert service["environment"]["RECO_EVENT_LOG"] == f"${{RECO_EVENT_LOG:-{log}}}"
    assert service["profiles"] == ["nightly"]
    bundles = cluster_settings()["RECO_BUNDLES"]
    assert all(f"--out {bundles}\n" in script for script in SCRIPTS.values())
    (container,) = pod_specs()["nightly"]["containers"]
    (server,) = pod_specs()["server"]["containers"]
    assert container["envFrom"] == server["envFrom"]
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounted["bundles"] == bundles
    assert Path(log.removeprefix("sqlite:///")).parent == Path(mounted["events"])
