"""`python -m training fit --run` goes on where it was cut off; what it cannot use is told."""

import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from models.bundle.reader import list_bundle_ids, read_bundle
from tests.support.commands import run
from tests.support.fitting import SEED, Cut, cut_after, fit_in, sample, small
from tests.support.source import ROOT
from tests.support.training_command import call, refused, start
from training.checkpoint import CHECKPOINT
from training.data.folder_writer import write_dataset
from training.loop import Fitted, fit
from training.report.page import CURVES, PAGE

CONFIG = small("metammf-mf")
ENDLESS = {"max_epochs": 100_000, "patience": 100_000}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "sample"
    write_dataset(folder, sample())
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return config_file(tmp_path)


def config_file(folder: Path, **changes: object) -> Path:
    """Write what `CONFIG` says, but for `changes`, as a file for --config."""
    settings = small("metammf-mf", **changes)
    lines = []
    for key in settings.__struct_fields__:
        value = getattr(settings, key)
        lines.append(f"{key} = {list(value) if isinstance(value, tuple) else value!r}")
    file = folder / "config.toml"
    file.write_text("\n".join(lines) + "\n")
    return file


def arguments(dataset: Path, config: Path, folder: Path) -> list[str]:
    """Return the command that fits into `folder`/run and `folder`/bundles."""
    return [
        "fit", str(dataset), "--out", str(folder / "bundles"), "--run", str(folder / "run"),
        "--config", str(config), "--seed", str(SEED),
    ]  # fmt: skip


def assert_bundle_has(folder: Path, bundle_id: str, expected: Fitted) -> None:
    bundle = read_bundle(folder / "bundles" / bundle_id)
    np.testing.assert_array_equal(bundle.users, expected.users)
    np.testing.assert_array_equal(bundle.videos, expected.videos)


def test_a_run_that_was_cut_off_goes_on_to_the_same_bundle(
    dataset: Path, config: Path, tmp_path: Path
) -> None:
    with pytest.raises(Cut):
        fit_in(tmp_path / "run", CONFIG, report=cut_after(4))
    result = call(*arguments(dataset, config, tmp_path))
    assert result.exit_code == 0, result.output
    told = result.stderr.splitlines()
    assert f"going on from the checkpoint in {tmp_path / 'run'}" in told
    assert "epoch 1/" not in result.stderr
    expected = fit(sample(), CONFIG, seed=SEED)
    assert_bundle_has(tmp_path, result.stdout.split()[-1], expected)


def test_a_finished_run_makes_the_same_bundle_and_report_again(
    dataset: Path, config: Path, tmp_path: Path
) -> None:
    command = arguments(dataset, config, tmp_path)
    first = call(*command)
    assert first.exit_code == 0, first.output
    assert f"report: {tmp_path / 'run' / PAGE}" in first.stderr.splitlines()
    assert "going on" not in first.stderr
    page = (tmp_path / "run" / PAGE).read_bytes()
    for file in (PAGE, CURVES):
        (tmp_path / "run" / file).unlink()
    again = call(*command)
    assert again.exit_code == 0, again.output
    assert "epoch 1/" not in again.stderr
    assert (tmp_path / "run" / PAGE).read_bytes() == page
    assert (tmp_path / "run" / CURVES).exists()
    ids = [first.stdout.split()[-1], again.stdout.split()[-1]]
    assert sorted(list_bundle_ids(tmp_path / "bundles")) == sorted(ids)
    for bundle_id in ids:
        assert_bundle_has(tmp_path, bundle_id, fit(sample(), CONFIG, seed=SEED))


@pytest.mark.e2e
def test_an_interrupted_run_says_that_the_same_command_goes_on_and_it_does(
    dataset: Path, tmp_path: Path
) -> None:
    command = arguments(dataset, config_file(tmp_path, **ENDLESS), tmp_path)
    process = start(*command)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if "epoch 10/" in line:
                process.send_signal(signal.SIGINT)
                break
        _, told = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert told.splitlines()[-1] == (
        f"interrupted; the same command goes on from {tmp_path / 'run'}"
    )
    assert "Traceback" not in told
    assert not (tmp_path / "bundles").exists()
    again = call(*command, "--max-minutes", "0")
    assert again.exit_code == 0, again.output


def test_what_a_run_cannot_go_on_from_is_told(dataset: Path, config: Path, tmp_path: Path) -> None:
    command = arguments(dataset, config, tmp_path)
    assert call(*command).exit_code == 0
    run_folder = tmp_path / "run"
    assert f"{run_folder} holds another run, which differs in the seed" in refused(
        *command, "--seed", "77"
    )
    assert "rank (4 there, 5 here)" in refused(*command, "--set", "rank=5")
    (run_folder / CHECKPOINT).write_bytes(b"garbage")
    assert f"{run_folder / CHECKPOINT}: it cannot be read" in refused(*command)
    assert len(list_bundle_ids(tmp_path / "bundles")) == 1
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert "file" in refused(*command, "--run", str(blocked))


def test_without_a_run_folder_nothing_but_the_bundle_is_written(
    dataset: Path, config: Path, tmp_path: Path
) -> None:
    command = arguments(dataset, config, tmp_path)
    place = command.index("--run")
    result = call(*command[:place], *command[place + 2 :])
    assert result.exit_code == 0, result.output
    assert "report" not in result.stderr
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bundles", "config.toml"]


@pytest.mark.parametrize("given", [(), ("DATA=some/where",)])
def test_make_serve_trains_in_a_run_folder_beside_the_bundles(
    given: tuple[str, ...], tmp_path: Path
) -> None:
    make = shutil.which("make")
    if make is None:
        pytest.skip("there is no make")
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    done = run([make, "-n", "serve", *given], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (command,) = [line for line in done.stdout.splitlines() if "-m training fit" in line]
    words = command.split()
    assert words[words.index("--out") + 1].endswith("/bundles")
    beside = words[words.index("--out") + 1].removesuffix("bundles") + "run"
    assert words[words.index("--run") + 1] == beside
