"""The nightly scripts do, on real folders and a real log, what docs/training.md says they do."""

import os
import re
import sys
from pathlib import Path

import pytest

from models.bundle.reader import read_bundle, read_current_id
from tests.support.cluster import OVERLAYS, pods
from tests.support.commands import run
from tests.support.deployment import ROOT, compose, image_environment
from tests.support.logs import append, deleted, met, sqlite_url
from tests.support.training_command import call
from training.data.folder import read_dataset

VOLUMES = ("nights", "bundles", "data", "tmp", "metrics", "secrets")
QUICK = "--set max_epochs=1 --set vector_dim=8 --set 'hidden_dims=[8]' --set rank=4"


def in_compose() -> str:
    """Return what compose runs once a night, as a shell reads it."""
    command: str = compose()["services"]["nightly"]["command"][0]
    return command.replace("$$", "$")


def in_cluster(name: str) -> str:
    """Return what a workload of the cluster runs."""
    script: str = pods("dev")[name].containers[0]["args"][0]
    return script


def night(script: str, folder: Path, url: str) -> str:
    """Run `script` on volumes in `folder`, a small sample and a quick fit; return its stderr."""
    for volume in VOLUMES:
        (folder / volume).mkdir(exist_ok=True)
    (folder / "secrets/event-log").write_text(url)
    mine = re.sub(rf"(?<=[\s=])/({'|'.join(VOLUMES)})\b", rf"{folder}/\1", script)
    # It removes what it finds: outside of `folder` there must be nothing left to find.
    named = mine.replace(str(folder), "folder")
    assert not re.search(rf"(?<!\w)/({'|'.join((*VOLUMES, 'events'))})\b", named)
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
    for _ in range(2):  # tried again, it goes on with the sample that it has made
        night(in_cluster("sample"), tmp_path, url)
    (sample,) = nights.iterdir()
    night(in_cluster("nightly"), tmp_path, url)
    first = max(nights.iterdir())
    assert sample == min(nights.iterdir()) != first
    (nights / ".20200102T000000-cut off").mkdir()
    last = append(url, [deleted("video-00005"), met("bob", "video-00003")])
    assert "read 2 events" in night(in_cluster("nightly"), tmp_path, url)
    left = sorted(nights.iterdir())
    assert left[0] == first
    assert len(left) == 2
    assert set(read_dataset(left[1]).user_ids) >= {"ann", "bob"}
    bundle = read_bundle(tmp_path / "bundles" / read_current_id(tmp_path / "bundles"))
    assert bundle.manifest.log_position == last
    assert "video-00005" not in bundle.video_ids


@pytest.mark.e2e
def test_without_a_dataset_the_cluster_s_first_night_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"no dataset in \S*/nights to go on from"):
        night(in_cluster("nightly"), tmp_path, sqlite_url(tmp_path))
    assert list((tmp_path / "nights").iterdir()) == []


@pytest.mark.e2e
def test_the_first_night_of_a_data_set_goes_on_from_it(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    append(url, [met("ann", "video-00003")])
    made = tmp_path / "made"
    assert call("synth", made, "--videos", "50", "--users", "10").exit_code == 0
    made.rename(tmp_path / "data")
    night(in_compose(), tmp_path, url)
    (first,) = (tmp_path / "nights").iterdir()
    assert read_dataset(first).videos == 50


def test_all_end_alike() -> None:
    ends = set()
    nights = [pods(overlay)["nightly"].containers[0]["args"][0] for overlay in OVERLAYS]
    for script in (in_compose(), *nights):
        end = script[script.index("next=") :].strip()
        # A cluster has no node exporter to read the file for it.
        end = end.replace(" --metrics-file /metrics/training.prom", "")
        source = r'"\$(?:\(cat /secrets/event-log\)|RECO_EVENT_LOG)"'
        ends.add(re.sub(f"import log {source}", "import log", end))
    assert len(ends) == 1


def test_compose_writes_bundles_where_the_server_looks() -> None:
    assert compose()["services"]["nightly"]["profiles"] == ["nightly"]
    assert f"--out {image_environment('server')['RECO_BUNDLES']} " in in_compose()
