"""docker-compose.yml and the program agree, and nothing in it is open that need not be."""

import shutil
from typing import Any

import pytest

from service.server import DRAIN_SECONDS
from service.settings import Settings
from tests.support.commands import run
from tests.support.deployment import ROOT, compose, dockerfile_stages, image_environment

SERVICES: dict[str, Any] = compose()["services"]


def mounts(service: str) -> dict[str, tuple[str, bool]]:
    """Return what is mounted by the path inside: (source, read-only)."""
    found = {}
    for line in SERVICES[service]["volumes"]:
        source, _, rest = line.replace(":-", "?").partition(":")
        target, _, mode = rest.partition(":")
        found[target] = (source, mode == "ro")
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_every_target_is_a_stage_of_the_dockerfile(service: str) -> None:
    assert SERVICES[service]["build"]["target"] in dockerfile_stages()


@pytest.mark.parametrize("service", SERVICES)
def test_every_reco_key_is_a_setting(service: str) -> None:
    keys = SERVICES[service].get("environment", {})
    assert {key.removeprefix("RECO_").lower() for key in keys} <= set(Settings.model_fields)


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_has_no_more_rights_than_it_needs(service: str) -> None:
    assert SERVICES[service]["read_only"] is True
    assert SERVICES[service]["cap_drop"] == ["ALL"]
    assert SERVICES[service]["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in SERVICES[service]


def test_every_volume_is_declared_and_every_declared_one_is_used() -> None:
    used = {source for name in SERVICES for source, _ in mounts(name).values()}
    used.remove("${DATA?data}")
    assert used | {"data"} == set(compose()["volumes"])


def test_the_server_reads_the_bundles_that_the_trainer_writes() -> None:
    bundles = image_environment("server")["RECO_BUNDLES"]
    assert mounts("trainer")[bundles] == ("bundles", False)
    assert mounts("server")[bundles] == ("bundles", True)
    assert f"--out {bundles}" in SERVICES["trainer"]["command"][0]


def test_the_event_log_is_on_a_volume_of_its_own() -> None:
    log = Settings(event_log=image_environment("server")["RECO_EVENT_LOG"]).event_log
    folder = log.removeprefix("sqlite:///").rpartition("/")[0]
    assert mounts("server")[folder] == ("events", False)


def test_the_server_waits_for_the_trainer_to_complete() -> None:
    assert SERVICES["server"]["depends_on"] == {
        "trainer": {"condition": "service_completed_successfully"}
    }


def test_the_port_is_published_on_loopback_alone() -> None:
    inside = image_environment("server")["RECO_PORT"]
    assert SERVICES["server"]["ports"] == [f"127.0.0.1:${{PORT:-8000}}:{inside}"]
    assert "ports" not in SERVICES["trainer"]


def test_a_stop_leaves_time_to_drain() -> None:
    assert int(SERVICES["server"]["stop_grace_period"].removesuffix("s")) > DRAIN_SECONDS


def test_an_engine_accepts_the_file() -> None:
    docker = shutil.which("docker")
    if docker is None or run([docker, "info"], cwd=ROOT).returncode:
        pytest.skip("no Docker engine to ask")
    checked = run([docker, "compose", "config", "-q"], cwd=ROOT)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_every_build_argument_is_one_of_the_dockerfile(service: str) -> None:
    declared = {
        rest.partition("=")[0]
        for stage in dockerfile_stages().values()
        for name, rest in stage.instructions
        if name == "ARG"
    }
    assert set(SERVICES[service]["build"]["args"]) <= declared
