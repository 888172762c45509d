"""Each overlay, composed by kubectl, is what the API takes; what it names is there."""

import copy
import re
import tomllib
from typing import Any

import kubernetes_validate
import pytest
import yaml
from kubernetes_validate import SchemaNotFoundError, ValidationError

from tests.support.cluster import (
    OVERLAYS,
    Document,
    Pod,
    composed,
    documents,
    every_pod,
    mappings,
    pods,
    quantity,
    settings,
)
from tests.support.deployment import ROOT, compose, dockerfile_stages

# The oldest that docs/operations.md promises, and the newest whose schemas are known.
VERSIONS = ("1.30", kubernetes_validate.latest_version())
# Known to the API once the Prometheus operator is there, and to no schema of Kubernetes itself.
CUSTOM = {
    ("monitoring.coreos.com/v1", "PodMonitor"),
    ("monitoring.coreos.com/v1", "PrometheusRule"),
}
IMAGE = re.compile(r"(?:[\w.-]+(?::\d+)?/)*([\w-]+)(?::([\w.-]+))?(?:@(sha256:[0-9a-f]{64}))?")
DOCUMENTS = [
    pytest.param(
        overlay, document, id=f"{overlay}-{document['kind']}-{document['metadata']['name']}"
    )
    for overlay in OVERLAYS
    for document in composed(overlay)
]
PODS = [pytest.param(pod, id=str(pod)) for pod in every_pod()]
CONTAINERS = [
    pytest.param(container, id=f"{pod}-{container['name']}")
    for pod in every_pod()
    for container in pod.containers
]


def validated(document: Document, version: str) -> None:
    """Let the schemas of `version` judge; unknown fields and kinds are faults too."""
    kubernetes_validate.validate(document, version, strict=True)


def own(document: Document) -> bool:
    return (document["apiVersion"], document["kind"]) not in CUSTOM


def claims(pod: Pod) -> set[str]:
    volumes = [volume.get("persistentVolumeClaim") for volume in pod.spec["volumes"]]
    return {claim["claimName"] for claim in volumes if claim}


def secrets(overlay: str) -> set[str]:
    """Return the Secrets that anything of an overlay asks for."""
    found = set()
    for inner in mappings(composed(overlay)):
        found |= {inner[key] for key in ("secretName",) if key in inner}
        found |= {inner[key]["name"] for key in ("secretKeyRef", "secretRef") if key in inner}
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("overlay", "document"), DOCUMENTS)
def test_the_api_s_schema_takes_every_document(
    overlay: str, document: Document, version: str
) -> None:
    if own(document):
        validated(document, version)
    else:
        with pytest.raises(SchemaNotFoundError):
            validated(document, version)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_misspelt_field_a_wrong_type_and_an_unknown_kind_are_found(version: str) -> None:
    for path, value in ((("spec", "replica"), 1), (("spec", "replicas"), "one")):
        wrong: Any = copy.deepcopy(documents("dev", "Deployment")["server"])
        wrong[path[0]][path[1]] = value
        with pytest.raises(ValidationError):
            validated(wrong, version)
    with pytest.raises(SchemaNotFoundError):
        validated({"apiVersion": "apps/v1", "kind": "Deploymint", "metadata": {}}, version)


def test_every_file_is_part_of_an_overlay() -> None:
    used = set()
    for overlay in OVERLAYS:
        folders = [ROOT / "k8s/overlays" / overlay]
        while folders:
            folder = folders.pop()
            used.add(folder / "kustomization.yaml")
            said = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))
            for name in [*said["resources"], *(patch["path"] for patch in said.get("patches", []))]:
                target = (folder / name).resolve()
                (folders.append if target.is_dir() else used.add)(target)
    assert used == {file for file in (ROOT / "k8s").rglob("*") if file.is_file()}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_all_is_in_the_namespace_that_the_overlay_makes(overlay: str) -> None:
    (namespace,) = documents(overlay, "Namespace")
    others = [one for one in composed(overlay) if one["kind"] != "Namespace"]
    assert {one["metadata"]["namespace"] for one in others} == {namespace}
    # Its file is also applied by itself, before the Secrets; kustomize would rename it.
    file = ROOT / "k8s/overlays" / overlay / "namespace.yaml"
    assert yaml.safe_load(file.read_text("utf-8"))["metadata"]["name"] == namespace
    names = [(one["kind"], one["metadata"]["name"]) for one in composed(overlay)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_labels_that_select_are_those_of_the_pods(overlay: str) -> None:
    (deployment,) = documents(overlay, "Deployment").values()
    (service,) = documents(overlay, "Service").values()
    for selector in (deployment["spec"]["selector"]["matchLabels"], service["spec"]["selector"]):
        chosen = [n for n, pod in pods(overlay).items() if selector.items() <= pod.labels.items()]
        assert chosen == ["server"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_is_named_is_there(overlay: str) -> None:
    configs = [
        inner["configMapRef"]["name"]
        for inner in mappings(composed(overlay))
        if "configMapRef" in inner
    ]
    assert configs
    assert set(configs) == set(documents(overlay, "ConfigMap"))
    assert {pod.spec["serviceAccountName"] for pod in pods(overlay).values()} == set(
        documents(overlay, "ServiceAccount")
    )
    used = set[str]().union(*(claims(pod) for pod in pods(overlay).values()))
    assert used == set(documents(overlay, "PersistentVolumeClaim"))


@pytest.mark.parametrize("pod", PODS)
def test_every_volume_is_mounted_and_every_mount_has_a_volume(pod: Pod) -> None:
    mounted = {mount["name"] for container in pod.containers for mount in container["volumeMounts"]}
    assert {volume["name"] for volume in pod.spec["volumes"]} == mounted


def test_no_secret_is_written_here_and_the_runbook_makes_those_that_are_named() -> None:
    assert [documents(overlay, "Secret") for overlay in OVERLAYS] == [{}, {}]
    assert secrets("dev") == set()
    assert secrets("prod") == {"api-keys", "event-log", "server-tls"}
    (namespace,) = documents("prod", "Namespace")
    text = (ROOT / "docs/operations.md").read_text("utf-8")
    made = re.findall(rf"kubectl -n {namespace} create secret (?:generic|tls) ([\w-]+)", text)
    assert sorted(made) == sorted(secrets("prod"))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_url_of_a_log_with_a_password_is_in_no_plain_text(overlay: str) -> None:
    assert not re.search(r"rediss?://", yaml.safe_dump(composed(overlay)))
    log = settings(overlay).get("RECO_EVENT_LOG")
    assert log is None if overlay == "prod" else log


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_container_asks_for_what_it_needs_and_gets_a_limit(container: Document) -> None:
    asked, limit = container["resources"]["requests"], container["resources"]["limits"]
    assert {"cpu", "memory"} <= set(asked)
    assert set(asked) <= set(limit)
    assert all(0 < quantity(asked[name]) <= quantity(limit[name]) for name in asked)
    assert asked["memory"] == limit["memory"]


@pytest.mark.parametrize(("overlay", "document"), DOCUMENTS)
def test_every_quantity_parses(overlay: str, document: Document) -> None:
    for inner in mappings(document):
        for key in ("requests", "limits"):
            assert all(quantity(value) > 0 for value in inner.get(key, {}).values())
        for key in ("sizeLimit", "averageValue"):
            assert key not in inner or quantity(inner[key]) > 0
        assert inner.get("emptyDir") is None or "sizeLimit" in inner["emptyDir"]


@pytest.mark.parametrize("text", ["1GB", "1 Gi", "", "Gi", "1,5", "-1", "1Mib"])
def test_what_is_no_quantity_is_found(text: str) -> None:
    with pytest.raises(ValueError, match="no quantity"):
        quantity(text)


@pytest.mark.parametrize("container", CONTAINERS)
def test_an_image_is_of_a_stage_and_of_this_release_or_has_a_digest(container: Document) -> None:
    services = [one for one in compose()["services"].values() if "build" in one]
    built = {one["image"].partition(":")[0]: one["build"]["target"] for one in services}
    name, tag, digest = IMAGE.fullmatch(container["image"]).groups()  # type: ignore[union-attr] # fails
    assert built[name] in dockerfile_stages()
    release = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert digest or tag == release


def test_replicas_share_their_bundles_and_one_alone_keeps_its_log() -> None:
    modes = {
        overlay: {
            name: claim["spec"]["accessModes"]
            for name, claim in documents(overlay, "PersistentVolumeClaim").items()
        }
        for overlay in OVERLAYS
    }
    assert modes["prod"] == {"bundles": ["ReadWriteMany"], "nights": ["ReadWriteOnce"]}
    assert set(modes["dev"]) == {"bundles", "nights", "events"}
    server = documents("dev", "Deployment")["server"]["spec"]
    assert server["replicas"] == 1
    assert server["strategy"] == {"type": "Recreate"}
