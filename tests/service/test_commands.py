"""The command line of the service: doctor, bundles, settings."""

import shutil
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from models.bundle import layout
from models.bundle.reader import list_bundle_ids, read_current_id
from service.__main__ import app
from service.settings import Settings


def call(*arguments: object, **environment: str) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], env=environment)


@pytest.fixture
def two(bundles: Path, newer: Path) -> Path:
    """A folder of two bundles; CURRENT names the older one."""
    shutil.copytree(newer, bundles / newer.name)
    return bundles


def test_bundles_are_listed_newest_first_with_the_current_one_marked(two: Path) -> None:
    newest, oldest = list_bundle_ids(two)
    result = call("bundles", "list", "--bundles", two, COLUMNS="150")
    assert result.exit_code == 0
    lines = [line for line in result.output.splitlines() if oldest in line or newest in line]
    assert [newest in lines[0], oldest in lines[1]] == [True, True]
    assert ["*" in line for line in lines] == [False, True]
    assert "60" in lines[0]


def test_a_spoilt_bundle_is_listed_with_its_fault_and_not_activated(two: Path) -> None:
    newest, oldest = list_bundle_ids(two)
    (two / newest / layout.INDEX).write_bytes(b"")
    assert "refused" in call("bundles", "list", "--bundles", two, COLUMNS="150").output
    result = call("bundles", "activate", newest, "--bundles", two)
    assert result.exit_code == 1
    assert layout.INDEX in result.output
    assert read_current_id(two) == oldest


def test_activate_and_rollback_move_current(two: Path) -> None:
    newest, oldest = list_bundle_ids(two)
    assert call("bundles", "activate", newest, RECO_BUNDLES=str(two)).output.strip() == newest
    assert read_current_id(two) == newest
    assert call("bundles", "rollback", "--bundles", two).output.strip() == oldest
    assert read_current_id(two) == oldest
    result = call("bundles", "rollback", "--bundles", two)
    assert result.exit_code == 1
    assert "no bundle older" in result.output


@pytest.mark.parametrize("name", ["nothing", "../bundles", "", ".", "CURRENT"])
def test_what_is_no_bundle_is_not_activated(two: Path, name: str) -> None:
    before = read_current_id(two)
    result = call("bundles", "activate", name, "--bundles", two)
    assert result.exit_code == 1
    assert "holds no bundle" in result.output
    assert read_current_id(two) == before


def test_the_list_of_no_bundles_is_empty(tmp_path: Path) -> None:
    assert call("bundles", "list", "--bundles", tmp_path / "none").exit_code == 0


def test_doctor_finds_all_in_order(bundles: Path, tmp_path: Path, one_thread: None) -> None:
    log = f"sqlite:///{tmp_path}/e.db"
    result = call("doctor", "--bundles", bundles, "--event-log", log, "--port", 0)
    assert result.exit_code == 0, result.output
    assert "FAIL" not in result.output
    assert "60 videos" in result.output


def test_doctor_names_everything_that_is_wrong(
    bundles: Path, tmp_path: Path, one_thread: None
) -> None:
    (bundles / read_current_id(bundles) / layout.FUSION).write_bytes(b"")
    (tmp_path / "e.db").write_bytes(b"no database" * 1000)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port, log = taken.getsockname()[1], f"sqlite:///{tmp_path}/e.db"
        result = call("doctor", "--bundles", bundles, "--event-log", log, "--port", port)
    assert result.exit_code == 1
    failed = [line for line in result.output.splitlines() if line.startswith("FAIL")]
    assert [line.split()[1] for line in failed] == ["bundle", "event", "port"]
    assert layout.FUSION in failed[0]
    assert result.output.count("      mend: ") == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RECO_PORT", "http"),
        ("RECO_PORT", "70000"),
        ("RECO_LOG_LEVEL", "loud"),
        ("RECO_WORKER_THREADS", "0"),
        ("RECO_LOG_POLL_SECONDS", "0"),
        ("RECO_MAX_BODY_BYTES", "1"),
        ("RECO_HISTORY_LIMIT", "-1"),
    ],
)
def test_a_bad_setting_is_named(name: str, value: str) -> None:
    result = call("serve", **{name: value})
    assert result.exit_code == 1
    assert name.removeprefix("RECO_").lower() in result.output
    assert "Traceback" not in result.output
    assert isinstance(result.exception, SystemExit)


def test_a_flag_wins_over_the_environment(two: Path, tmp_path: Path) -> None:
    result = call("bundles", "rollback", "--bundles", tmp_path, RECO_BUNDLES=str(two))
    assert str(tmp_path) in result.output


def test_every_setting_is_described_and_frozen() -> None:
    assert all(field.description for field in Settings.model_fields.values())
    assert Settings.model_config["frozen"]


@pytest.mark.parametrize("url", ["mysql://user:hunter2@h/db", "events.db"])
def test_an_unsupported_event_log_is_refused_before_anything_starts(url: str) -> None:
    result = call("serve", "--event-log", url)
    assert result.exit_code == 1
    assert "sqlite:///relative/path" in result.output
    assert "hunter2" not in result.output
