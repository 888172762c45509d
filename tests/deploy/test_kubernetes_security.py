"""No pod may more than it needs: the restricted Pod Security Standard by rule, tokens, networks."""

from typing import Any

import pytest

from tests.support.cluster import (
    OVERLAYS,
    Document,
    Pod,
    documents,
    every_pod,
    pods,
    secret_settings,
    selects,
    server,
    settings,
)
from tests.support.deployment import lineage

PODS = [pytest.param(pod, id=str(pod)) for pod in every_pod()]
# Those that the standard allows.
VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral"),
    *("persistentVolumeClaim", "projected", "secret"),
}
DNS = {("UDP", 53), ("TCP", 53)}
# Pods of others, by the namespace they are in and their labels.
OTHERS = {
    "ingress controller": ("haproxy-controller", {"app.kubernetes.io/name": "kubernetes-ingress"}),
    "prometheus": ("monitoring", {"app.kubernetes.io/name": "prometheus"}),
    "grafana": ("monitoring", {"app.kubernetes.io/name": "grafana"}),
    "redis": ("redis", {"app.kubernetes.io/name": "redis"}),
    "dns": ("kube-system", {"k8s-app": "kube-dns"}),
    "beside redis": ("redis", {"app.kubernetes.io/name": "redis-exporter"}),
    "beside dns": ("kube-system", {"k8s-app": "metrics-server"}),
    "stranger": ("default", {"app.kubernetes.io/name": "server"}),
}
ASKED = {"ingress controller", "prometheus"}
REACHED: dict[str, dict[str, set[tuple[str, str, int]]]] = {
    "prod": {
        "server": {("redis", "TCP", 6379)} | {("dns", *port) for port in DNS},
        "nightly": {("redis", "TCP", 6379)} | {("dns", *port) for port in DNS},
    },
    "dev": {"server": set(), "nightly": set(), "sample": set()},
}


def policies(pod: Pod) -> list[Document]:
    found = [one["spec"] for one in documents(pod.overlay, "NetworkPolicy").values()]
    return [spec for spec in found if selects(spec["podSelector"], pod.labels)]


def takes(peer: Document, namespace: str, labels: dict[str, str]) -> bool:
    """Say if a rule's peer means a pod with `labels` in another namespace."""
    # Without a namespace it would mean pods of ours, which have nothing to say to each other.
    assert {"namespaceSelector"} <= set(peer) <= {"namespaceSelector", "podSelector"}
    inside = {"kubernetes.io/metadata.name": namespace}
    return selects(peer["namespaceSelector"], inside) and selects(
        peer.get("podSelector", {}), labels
    )


def meant(rules: list[Document], side: str) -> set[tuple[str, str, Any]]:
    """Return which pods of others the rules let through, on which port."""
    return {
        (name, port["protocol"], port["port"])
        for rule in rules
        for peer in rule[side]
        for port in rule["ports"]
        for name, (namespace, labels) in OTHERS.items()
        if takes(peer, namespace, labels)
    }


@pytest.mark.parametrize("pod", PODS)
def test_nothing_of_the_node_is_shared(pod: Pod) -> None:
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers", "hostAliases"} & set(pod.spec)
    assert not [port for c in pod.containers for port in c.get("ports", []) if "hostPort" in port]
    assert all(set(volume) - {"name"} <= VOLUMES for volume in pod.spec["volumes"])


@pytest.mark.parametrize("pod", PODS)
def test_no_container_is_privileged_or_may_become_so(pod: Pod) -> None:
    for container in pod.containers:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context.get("privileged", False) is False
        assert context.get("procMount", "Default") == "Default"


@pytest.mark.parametrize("pod", PODS)
def test_every_capability_is_dropped_and_none_added(pod: Pod) -> None:
    for container in pod.containers:
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("pod", PODS)
def test_a_pod_runs_as_the_image_s_user_who_is_not_root(pod: Pod) -> None:
    context = pod.spec["securityContext"]
    users = [rest for s in lineage("server") for name, rest in s.instructions if name == "USER"]
    assert f"{context['runAsUser']}:{context['runAsGroup']}" == users[0]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] > 0
    # What it writes to a volume is its own.
    assert context["fsGroup"] == context["runAsGroup"]
    for container in pod.containers:
        assert not {"runAsUser", "runAsNonRoot"} & set(container["securityContext"])


@pytest.mark.parametrize("pod", PODS)
def test_system_calls_and_kernel_settings_are_the_runtime_s_own(pod: Pod) -> None:
    context = pod.spec["securityContext"]
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"sysctls", "seLinuxOptions", "appArmorProfile", "windowsOptions"} & set(context)
    for container in pod.containers:
        assert not {"seccompProfile", "seLinuxOptions", "appArmorProfile"} & set(
            container["securityContext"]
        )


@pytest.mark.parametrize("pod", PODS)
def test_the_image_cannot_be_written(pod: Pod) -> None:
    for container in pod.containers:
        assert container["securityContext"]["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize("pod", PODS)
def test_a_pod_has_an_account_of_its_own_without_a_token(pod: Pod) -> None:
    accounts = documents(pod.overlay, "ServiceAccount")
    assert accounts[pod.spec["serviceAccountName"]]["automountServiceAccountToken"] is False
    assert pod.spec["automountServiceAccountToken"] is False
    assert pod.spec["enableServiceLinks"] is False
    rights = ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")
    assert not [kind for kind in rights if documents(pod.overlay, kind)]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_namespace_refuses_what_is_less_restricted(overlay: str) -> None:
    (namespace,) = documents(overlay, "Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("pod", PODS)
def test_all_that_no_rule_allows_is_closed_both_ways(pod: Pod) -> None:
    assert {kind for spec in policies(pod) for kind in spec["policyTypes"]} == {"Ingress", "Egress"}


@pytest.mark.parametrize("pod", PODS)
def test_only_ingress_controller_and_prometheus_reach_the_server_and_nobody_a_training(
    pod: Pod,
) -> None:
    rules = [rule for spec in policies(pod) for rule in spec.get("ingress", [])]
    wanted = ASKED if pod.name == "server" else set()
    assert meant(rules, "from") == {(name, "TCP", "http") for name in wanted}


@pytest.mark.parametrize("pod", PODS)
def test_a_pod_reaches_its_event_log_and_dns_alone(pod: Pod) -> None:
    rules = [rule for spec in policies(pod) for rule in spec.get("egress", [])]
    assert meant(rules, "to") == REACHED[pod.overlay][pod.name]


def test_a_port_that_a_policy_names_is_one_of_the_server() -> None:
    for overlay in OVERLAYS:
        rules = documents(overlay, "NetworkPolicy")["server-asked"]["spec"]["ingress"]
        named = {port["port"] for rule in rules for port in rule["ports"]}
        assert named <= {port["name"] for port in server(overlay)["ports"]}


def test_what_is_reached_from_outside_needs_keys_and_secrets_have_no_default() -> None:
    assert "RECO_API_KEYS" in settings("prod")
    assert secret_settings(server("prod")) == {"RECO_EVENT_LOG": ("event-log", "url")}
    assert "optional" not in str([pod.spec for pod in pods("prod").values()])
