"""The composed overlays agree with the program: settings, ports, probes, paths, draining."""

import re
from pathlib import Path

import pytest

from service.app import create_app
from service.server import DRAIN_SECONDS
from service.settings import Settings
from tests.support.cluster import (
    OVERLAYS,
    Document,
    Pod,
    documents,
    every_pod,
    pods,
    quantity,
    secret_settings,
    server,
    settings,
)
from tests.support.deployment import dockerfile_stages, image_environment

PROBES = [("livenessProbe", "/livez"), ("startupProbe", "/livez"), ("readinessProbe", "/readyz")]
KNOWN = {f"RECO_{name.upper()}" for name in Settings.model_fields}
# From the last answer to the end of the process: the follower stops, the log is let go.
CLOSING_SECONDS = 10


def mounts(container: Document) -> dict[str, Document]:
    return {mount["mountPath"]: mount for mount in container["volumeMounts"]}


def claimed(pod: Pod, path: str) -> str:
    """Return the claim that is mounted at `path`."""
    (container,) = pod.containers
    volumes = {volume["name"]: volume for volume in pod.spec["volumes"]}
    claim: str = volumes[mounts(container)[path]["name"]]["persistentVolumeClaim"]["claimName"]
    return claim


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_reco_key_is_a_setting_and_its_value_is_valid(overlay: str) -> None:
    secret = dict.fromkeys(secret_settings(server(overlay)), "redis://:secret@redis:6379/0")
    said = settings(overlay) | secret
    assert set(said) <= KNOWN
    Settings.model_validate({k.removeprefix("RECO_").lower(): v for k, v in said.items()})


@pytest.mark.parametrize("pod", every_pod(), ids=str)
def test_no_pod_sets_or_reads_a_setting_that_does_not_exist(pod: Pod) -> None:
    for container in pod.containers:
        names = {one["name"] for one in container.get("env", [])}
        names |= set(re.findall(r"\$\{?(\w+)", str(container.get("args", ""))))
        assert {name for name in names if name.startswith("RECO_")} <= KNOWN


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize(("probe", "path"), PROBES)
def test_a_probe_asks_a_route_on_the_port_that_is_served(
    overlay: str, probe: str, path: str
) -> None:
    container = server(overlay)
    asked = container[probe]["httpGet"]
    assert asked["path"] == path
    assert path in create_app(Settings()).openapi()["paths"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert str(ports[asked["port"]]) == settings(overlay)["RECO_PORT"]
    assert str(ports[asked["port"]]) == dockerfile_stages()["server"].last("EXPOSE")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_services_lead_to_ports_that_are_there(overlay: str) -> None:
    ports = {port["name"] for port in server(overlay)["ports"]}
    services = documents(overlay, "Service")
    for service in services.values():
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    for ingress in documents(overlay, "Ingress").values():
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                named = services[backend["name"]]["spec"]["ports"]
                assert backend["port"]["name"] in {port["name"] for port in named}


def test_only_what_needs_a_key_is_reached_from_outside() -> None:
    assert documents("dev", "Ingress") == {}
    (ingress,) = documents("prod", "Ingress").values()
    spec = ingress["spec"]
    (rule,) = spec["rules"]
    assert [one["hosts"] for one in spec["tls"]] == [[rule["host"]]]
    (path,) = rule["http"]["paths"]
    assert path["pathType"] == "Prefix"
    prefix = f"{path['path']}/"
    routes = {
        path: {call.get("security") is not None for call in calls.values()}
        for path, calls in create_app(Settings(api_keys=Path("keys"))).openapi()["paths"].items()
    }
    assert {path for path in routes if path.startswith(prefix)} == {
        path for path, guarded in routes.items() if True in guarded
    }
    assert {"/livez", "/readyz", "/metrics"} <= set(routes)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_stop_takes_no_more_traffic_first_and_leaves_time_to_drain(overlay: str) -> None:
    asleep = server(overlay)["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert asleep >= server(overlay)["readinessProbe"]["periodSeconds"]
    whole = pods(overlay)["server"].spec["terminationGracePeriodSeconds"]
    assert whole >= asleep + DRAIN_SECONDS + CLOSING_SECONDS


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_server_may_use_a_core_for_each_of_its_threads(overlay: str) -> None:
    threads = 1 + Settings.model_fields["worker_threads"].default
    assert quantity(server(overlay)["resources"]["limits"]["cpu"]) == threads
    assert "RECO_WORKER_THREADS" not in settings(overlay)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_training_has_as_many_threads_as_cores(overlay: str) -> None:
    for name, pod in pods(overlay).items():
        for container in pod.containers:
            env = {one["name"]: one["valueFrom"] for one in container.get("env", [])}
            source = env.get("OMP_NUM_THREADS", {}).get("resourceFieldRef")
            assert source == (None if name == "server" else {"resource": "limits.cpu"})
            assert quantity(container["resources"]["limits"]["cpu"]) % 1 == 0


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_trainings_write_bundles_where_the_server_reads_them(overlay: str) -> None:
    bundles = settings(overlay)["RECO_BUNDLES"]
    for name, pod in pods(overlay).items():
        (container,) = pod.containers
        assert claimed(pod, bundles) == "bundles"
        assert mounts(container)[bundles].get("readOnly", False) is (name == "server")
        assert name == "server" or f"--out {bundles}\n" in container["args"][0]


def test_a_log_in_a_file_is_that_of_the_server_and_of_the_night() -> None:
    folder = settings("dev")["RECO_EVENT_LOG"].removeprefix("sqlite:///").rpartition("/")[0]
    assert {claimed(pods("dev")[name], folder) for name in ("server", "nightly")} == {"events"}
    assert settings("dev").items() <= image_environment("server").items()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_night_reads_the_log_that_the_server_writes(overlay: str) -> None:
    (night,) = pods(overlay)["nightly"].containers
    assert night["envFrom"] == server(overlay)["envFrom"]
    assert secret_settings(night) == secret_settings(server(overlay))
    assert "RECO_EVENT_LOG" in settings(overlay) | secret_settings(night)


def test_keys_are_read_from_the_folder_of_the_secret() -> None:
    folder, _, name = settings("prod")["RECO_API_KEYS"].rpartition("/")
    mount = mounts(server("prod"))[folder]
    assert mount["readOnly"] is True
    assert "subPath" not in mount
    (volume,) = [v for v in pods("prod")["server"].spec["volumes"] if v["name"] == mount["name"]]
    assert volume["secret"] == {"secretName": "api-keys", "defaultMode": 0o440}
    assert name == "keys.json"


def test_a_night_has_a_gpu_a_node_that_has_one_and_a_pass_for_its_taint() -> None:
    pod = pods("prod")["nightly"]
    assert pod.containers[0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert pod.spec["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod.spec[
        "tolerations"
    ]
    assert "nvidia.com/gpu" not in str(pods("dev"))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_one_night_is_over_before_the_next_begins(overlay: str) -> None:
    spec = documents(overlay, "CronJob")["nightly"]["spec"]
    assert re.fullmatch(r"\d+ \d+ \* \* \*", spec["schedule"])
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] < 24 * 3600
