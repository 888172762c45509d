"""docker-compose.yml and the program agree, and nothing in it is open that need not be."""

import shutil
from typing import Any

import pytest

from service.server import DRAIN_SECONDS
from service.settings import Settings
from tests.support.commands import run
from tests.support.deployment import ROOT, compose, dockerfile_stages, image_environment
from tests.support.monitoring import MONITORING, loaded

SERVICES: dict[str, Any] = compose()["services"]
# The others are images of others.
OURS = [name for name, service in SERVICES.items() if "build" in service]


def mounts(service: str) -> dict[str, tuple[str, bool]]:
    """Return what is mounted by the path inside: (source, read-only)."""
    found = {}
    for line in SERVICES[service]["volumes"]:
        source, _, rest = line.replace(":-", "?").partition(":")
        target, _, mode = rest.partition(":")
        found[target] = (source, mode == "ro")
    return found


@pytest.mark.parametrize("service", OURS)
def test_every_target_is_a_stage_of_the_dockerfile(service: str) -> None:
    assert SERVICES[service]["build"]["target"] in dockerfile_stages()


@pytest.mark.parametrize("service", OURS)
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
    used = {source for source in used if not source.startswith("./")}
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


@pytest.mark.parametrize("service", SERVICES)
def test_every_port_is_published_on_loopback_alone(service: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[service].get("ports", []))


def test_the_server_s_port_is_the_one_that_it_listens_on() -> None:
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


@pytest.mark.parametrize("service", OURS)
def test_every_build_argument_is_one_of_the_dockerfile(service: str) -> None:
    declared = {
        rest.partition("=")[0]
        for stage in dockerfile_stages().values()
        for name, rest in stage.instructions
        if name == "ARG"
    }
    assert set(SERVICES[service]["build"]["args"]) <= declared


@pytest.mark.parametrize("service", sorted(set(SERVICES) - set(OURS)))
def test_an_image_of_others_has_a_version(service: str) -> None:
    assert SERVICES[service]["image"].partition(":")[2] not in {"", "latest"}


def test_what_watches_reads_the_files_of_monitoring() -> None:
    for service in ("prometheus", "grafana"):
        for source, read_only in mounts(service).values():
            if source.startswith("./"):
                assert (ROOT / source).exists()
                assert read_only
    boards = loaded(MONITORING / "grafana/provisioning/dashboards/recommender.yml")
    (provider,) = boards["providers"]
    assert mounts("grafana")[provider["options"]["path"]][0] == "./monitoring/grafana/dashboards"
    (source,) = loaded(MONITORING / "grafana/provisioning/datasources/prometheus.yml")[
        "datasources"
    ]
    assert source["url"] == "http://prometheus:9090"
    config = mounts("prometheus")["/etc/prometheus/prometheus.yml"][0]
    assert f"./{(MONITORING / 'prometheus.yml').relative_to(ROOT)}" == config


def test_prometheus_scrapes_every_replica_of_the_server() -> None:
    jobs = {job["job_name"]: job for job in loaded(MONITORING / "prometheus.yml")["scrape_configs"]}
    (found,) = jobs["recommender"]["dns_sd_configs"]
    assert found["names"] == ["server"]
    assert found["port"] == int(image_environment("server")["RECO_PORT"])


def test_nobody_can_log_in_to_grafana_and_there_is_no_password() -> None:
    said = SERVICES["grafana"]["environment"]
    assert not [name for name in said if "PASSWORD" in name]
    assert said["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert said["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"
    assert said["GF_AUTH_BASIC_ENABLED"] == "false"
    assert said["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
