"""docker-compose.yml and the program agree, and nothing in it is open that need not be."""

import os
import re
import shutil
import sys
from pathlib import Path
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
SERVICES.pop("nightly-gpu")  # what it extends is looked at


def mounts(service: str) -> dict[str, tuple[str, bool]]:
    """Return what is mounted by the path inside: (source, read-only)."""
    found = {}
    for line in SERVICES[service].get("volumes", []):
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
    chosen = {source for source in used if source.startswith("$")}
    assert chosen == {"${DATA?data}", "${KEYS?keys}"}
    assert (used - chosen) | {"data", "keys"} == set(compose()["volumes"])


def test_the_server_reads_the_bundles_that_the_trainer_writes() -> None:
    bundles = image_environment("server")["RECO_BUNDLES"]
    assert mounts("trainer")[bundles] == ("bundles", False)
    assert mounts("server")[bundles] == ("bundles", True)
    assert f"--out {bundles}" in SERVICES["trainer"]["command"][0]


def test_the_log_forgets_nothing_that_it_has_acknowledged() -> None:
    said = " ".join(SERVICES["redis"]["command"])
    assert "--appendonly yes --appendfsync always" in said
    assert "--maxmemory-policy noeviction" in said
    assert mounts("redis")["/data"] == ("log", False)


def test_no_password_is_written_down_and_all_who_need_it_read_it_from_one_volume() -> None:
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    assert "requirepass $$password" in text
    assert not [name for name in SERVICES if "PASSWORD" in str(SERVICES[name].get("environment"))]
    readers = {n for n in SERVICES for source, _ in mounts(n).values() if source == "secrets"}
    assert readers == {"password", "redis", "server", "nightly"}
    writable = {n for n in readers if not mounts(n)["/secrets"][1]}
    assert writable == {"password"}


def test_keys_are_in_a_folder_that_only_their_own_command_writes() -> None:
    folder = {name: mounts(name)["/keys"][1] for name in SERVICES if "/keys" in mounts(name)}
    assert folder == {"server": True, "keys": False}
    assert SERVICES["keys"]["profiles"] == ["keys"]
    assert SERVICES["keys"]["environment"] == {"RECO_API_KEYS": "/keys/keys.json"}
    said = SERVICES["server"]["command"][0]
    assert 'if [ -n "${KEYS:-}" ]; then export RECO_API_KEYS=/keys/keys.json; fi' in said


def test_a_server_that_is_told_to_want_keys_never_goes_without(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/event-log").write_text(f"sqlite:///{tmp_path}/events.db")
    said = SERVICES["server"]["command"][0].replace("$$", "$").replace("serve", "doctor")
    said = re.sub(r"/(keys|secrets)/", rf"{tmp_path}/\1/", said)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    told = {}
    for keys in ("", "keys"):
        env = {"PATH": path, "KEYS": keys, "RECO_HOST": "0.0.0.0"}  # noqa: S104 - as the image has it
        told[keys] = run(["sh", "-euc", said], cwd=ROOT, env=env).stdout
    assert "keys.json" not in told[""]
    assert f"{tmp_path}/keys/keys.json: No such file" in told["keys"]


def test_each_waits_for_what_it_needs() -> None:
    waits = {
        name: {other: how["condition"] for other, how in service["depends_on"].items()}
        for name, service in SERVICES.items()
        if "depends_on" in service
    }
    assert waits["server"] == {
        "trainer": "service_completed_successfully",
        "redis": "service_healthy",
    }
    assert waits["redis"] == {"password": "service_completed_successfully"}
    assert waits["balancer"] == waits["prometheus"] == {"server": "service_healthy"}


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_has_limits(service: str) -> None:
    assert {"cpus", "mem_limit", "pids_limit"} <= set(SERVICES[service])


def test_the_balancer_knows_all_replicas_and_asks_if_they_are_ready() -> None:
    said = (ROOT / "balancer/haproxy.cfg").read_text("utf-8")
    port = image_environment("server")["RECO_PORT"]
    assert f"server-template replica 10 server:{port}" in said
    assert "option httpchk GET /readyz" in said
    assert "http-request disable-l7-retry unless METH_GET" in said
    assert mounts("balancer")["/etc/balancer"] == ("./balancer", True)


@pytest.mark.parametrize("service", SERVICES)
def test_every_port_is_published_on_loopback_alone(service: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[service].get("ports", []))


def test_the_balancer_is_the_only_door() -> None:
    assert SERVICES["balancer"]["ports"] == ["127.0.0.1:${PORT:-8000}:8000"]
    assert not [name for name in OURS if "ports" in SERVICES[name]]


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
