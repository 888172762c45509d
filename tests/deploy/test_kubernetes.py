"""The Kubernetes manifests agree with the program, the image and each other."""

from typing import Any

import pytest

from service.app import create_app
from service.server import DRAIN_SECONDS
from service.settings import Settings
from tests.support.deployment import (
    ROOT,
    cluster_settings,
    compose,
    dockerfile_stages,
    image_environment,
    kustomization,
    lineage,
    manifests,
    pod_specs,
)

(SERVER,) = manifests("Deployment")
(CONTAINER,) = pod_specs()["server"]["containers"]
PODS = pod_specs()


def containers() -> list[dict[str, Any]]:
    return [
        c for pod in PODS.values() for c in [*pod.get("initContainers", []), *pod["containers"]]
    ]


def test_every_file_is_named_by_the_kustomization() -> None:
    files = {file.name for file in (ROOT / "k8s").glob("*.yaml")} - {"kustomization.yaml"}
    assert files == set(kustomization()["resources"])


def test_every_reco_key_is_a_setting_and_its_value_is_valid() -> None:
    values = {k.removeprefix("RECO_").lower(): v for k, v in cluster_settings().items()}
    assert set(values) <= set(Settings.model_fields)
    Settings.model_validate(values)


def test_the_server_reads_the_config_map_that_is_generated() -> None:
    names = [source["configMapRef"]["name"] for source in CONTAINER["envFrom"]]
    assert names == [config["name"] for config in kustomization()["configMapGenerator"]]


@pytest.mark.parametrize(
    ("probe", "path"),
    [("livenessProbe", "/livez"), ("startupProbe", "/livez"), ("readinessProbe", "/readyz")],
)
def test_a_probe_asks_a_route_on_the_port_that_is_served(probe: str, path: str) -> None:
    asked = CONTAINER[probe]["httpGet"]
    assert asked["path"] == path
    assert path in create_app(Settings()).openapi()["paths"]
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    assert str(ports[asked["port"]]) == cluster_settings()["RECO_PORT"]
    assert str(ports[asked["port"]]) == dockerfile_stages()["server"].last("EXPOSE")


def test_the_service_selects_the_server_s_pods_and_a_port_they_have() -> None:
    (service,) = manifests("Service")
    labels = SERVER["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert SERVER["spec"]["selector"]["matchLabels"].items() <= labels.items()
    ports = {port["name"] for port in CONTAINER["ports"]}
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_the_service_does_not_select_the_trainer() -> None:
    (service,) = manifests("Service")
    (trainer,) = manifests("Job")
    labels = trainer["spec"]["template"]["metadata"]["labels"]
    assert not service["spec"]["selector"].items() <= labels.items()


def test_every_image_is_one_that_compose_builds_from_a_stage() -> None:
    services = [one for one in compose()["services"].values() if "build" in one]
    built = {s["image"]: s["build"]["target"] for s in services}
    for container in containers():
        assert built[container["image"]] in dockerfile_stages()
    assert {image["name"] for image in kustomization()["images"]} == set(built)


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
def test_a_pod_runs_as_the_image_s_user_under_the_default_seccomp_profile(
    pod: dict[str, Any],
) -> None:
    context = pod["securityContext"]
    users = [rest for s in lineage("server") for name, rest in s.instructions if name == "USER"]
    assert f"{context['runAsUser']}:{context['runAsGroup']}" == users[0]
    assert context["runAsNonRoot"] is True
    assert context["fsGroup"] == context["runAsGroup"]
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False


@pytest.mark.parametrize("container", containers(), ids=lambda c: c["name"])
def test_a_container_has_no_more_rights_than_it_needs(container: dict[str, Any]) -> None:
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("container", containers(), ids=lambda c: c["name"])
def test_memory_is_requested_in_full(container: dict[str, Any]) -> None:
    resources = container["resources"]
    assert resources["requests"]["memory"] == resources["limits"]["memory"]


def test_there_is_one_server_and_never_two_at_a_time() -> None:
    assert SERVER["spec"]["replicas"] == 1
    assert SERVER["spec"]["strategy"] == {"type": "Recreate"}


def test_a_stop_leaves_time_to_drain() -> None:
    assert PODS["server"]["terminationGracePeriodSeconds"] > DRAIN_SECONDS


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
def test_every_volume_has_a_mount_and_every_claim_exists(pod: dict[str, Any]) -> None:
    volumes = {volume["name"] for volume in pod["volumes"]}
    mounted = {
        mount["name"]
        for container in [*pod.get("initContainers", []), *pod["containers"]]
        for mount in container["volumeMounts"]
    }
    claims = {claim["metadata"]["name"] for claim in manifests("PersistentVolumeClaim")}
    asked = {
        v["persistentVolumeClaim"]["claimName"]
        for v in pod["volumes"]
        if "persistentVolumeClaim" in v
    }
    assert volumes == mounted
    assert asked <= claims


def test_the_server_finds_bundles_and_log_where_they_are_mounted() -> None:
    paths = {mount["name"]: mount for mount in CONTAINER["volumeMounts"]}
    assert paths["bundles"]["mountPath"] == cluster_settings()["RECO_BUNDLES"]
    assert paths["bundles"]["readOnly"] is True
    log = cluster_settings()["RECO_EVENT_LOG"].removeprefix("sqlite:///")
    assert log.rpartition("/")[0] == paths["events"]["mountPath"]
    assert cluster_settings().items() <= image_environment("server").items()


def test_the_trainer_writes_bundles_where_the_server_looks_for_them() -> None:
    (trainer,) = PODS["trainer"]["containers"]
    mounted = {mount["name"]: mount["mountPath"] for mount in trainer["volumeMounts"]}
    assert trainer["args"][trainer["args"].index("--out") + 1] == mounted["bundles"]
    assert mounted["bundles"] == cluster_settings()["RECO_BUNDLES"]
    (sample,) = PODS["trainer"]["initContainers"]
    assert sample["args"][1] == trainer["args"][1]
