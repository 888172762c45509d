"""Replicas come, go and are watched as they should: autoscaler, budget, spread, metrics."""

import re
from typing import Any

import pytest
import yaml

from service.settings import Settings
from service.telemetry import Telemetry
from tests.support.cluster import (
    OVERLAYS,
    Document,
    documents,
    pods,
    quantity,
    selects,
    server,
    settings,
)
from tests.support.deployment import ROOT
from tests.support.monitoring import MONITORING, RULE_FILES, loaded


def scaler() -> Document:
    (found,) = documents("prod", "HorizontalPodAutoscaler").values()
    spec: Document = found["spec"]
    return spec


def metric(kind: str) -> Document:
    metrics: list[Document] = scaler()["metrics"]
    (found,) = [one for one in metrics if one["type"] == kind]
    return found


def chosen(selector: Document) -> list[str]:
    """Return which workloads' pods a selector takes, in the overlay of many replicas."""
    return [name for name, pod in pods("prod").items() if selects(selector, pod.labels)]


def test_the_autoscaler_alone_says_how_many_there_are() -> None:
    target = scaler()["scaleTargetRef"]
    deployment = documents("prod", "Deployment")[target["name"]]
    assert (target["apiVersion"], target["kind"]) == ("apps/v1", "Deployment")
    assert "replicas" not in deployment["spec"]
    assert 2 <= scaler()["minReplicas"] < scaler()["maxReplicas"]
    assert documents("dev", "HorizontalPodAutoscaler") == {}


def test_it_adds_a_replica_at_the_share_of_a_core_that_the_runbook_says() -> None:
    text = (ROOT / "docs/operations.md").read_text("utf-8")
    (share,) = re.findall(r"\*\*Cores in use\*\* stays above ([\d.]+) of a core", text)
    target = metric("Resource")["resource"]["target"]
    asked = quantity(server("prod")["resources"]["requests"]["cpu"])
    assert target["averageUtilization"] / 100 * asked == pytest.approx(float(share))


def test_it_adds_one_before_the_places_are_taken() -> None:
    pods_metric = metric("Pods")["pods"]
    families = {family.name for family in Telemetry().registry.collect()}
    assert pods_metric["metric"]["name"] in families
    places = Settings.model_fields["max_concurrency"].default
    assert 0 < quantity(pods_metric["target"]["averageValue"]) < places
    assert "RECO_MAX_CONCURRENCY" not in settings("prod")


def test_the_adapter_s_rule_in_the_runbook_gives_the_metric_that_is_asked_for() -> None:
    text = (ROOT / "docs/operations.md").read_text("utf-8")
    (rules,) = [
        loaded["rules"]
        for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
        if "rules" in (loaded := yaml.safe_load(block))
    ]
    name = metric("Pods")["pods"]["metric"]["name"]
    (rule,) = [one for one in rules if one["seriesQuery"].partition("{")[0] == name]
    resources = {one["resource"] for one in rule["resources"]["overrides"].values()}
    assert resources == {"namespace", "pod"}
    assert rule["metricsQuery"] == "sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)"


def test_nodes_are_drained_one_replica_at_a_time() -> None:
    (budget,) = documents("prod", "PodDisruptionBudget").values()
    assert chosen(budget["spec"]["selector"]) == ["server"]
    # Fewer than there are at least, or no node could ever be drained.
    assert budget["spec"]["maxUnavailable"] == 1 < scaler()["minReplicas"]
    assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_a_release_takes_no_replica_away_before_a_new_one_is_ready() -> None:
    strategy = documents("prod", "Deployment")["server"]["spec"]["strategy"]
    assert strategy["type"] == "RollingUpdate"
    assert strategy["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_replicas_are_spread_over_nodes_and_zones() -> None:
    spread = pods("prod")["server"].spec["topologySpreadConstraints"]
    keys = {one["topologyKey"] for one in spread}
    assert keys == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
    for one in spread:
        assert chosen(one["labelSelector"]) == ["server"]
        assert one["maxSkew"] == 1


def test_every_replica_is_scraped_on_its_own_port_under_the_name_the_rules_know() -> None:
    (monitor,) = documents("prod", "PodMonitor").values()
    assert chosen(monitor["spec"]["selector"]) == ["server"]
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] in {port["name"] for port in server("prod")["ports"]}
    jobs = {job["job_name"]: job for job in loaded(MONITORING / "prometheus.yml")["scrape_configs"]}
    assert endpoint["path"] == jobs["recommender"].get("metrics_path", "/metrics")
    assert {"targetLabel": "job", "replacement": "recommender"} in endpoint["relabelings"]


def test_prometheus_is_given_the_rules_that_are_tested() -> None:
    applied = [one["spec"] for one in documents("prod", "PrometheusRule").values()]
    tested: list[Any] = [loaded(file) for file in RULE_FILES]
    assert sorted(applied, key=str) == sorted(tested, key=str)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_replica_without_a_bundle_waits_and_is_not_restarted(overlay: str) -> None:
    container = server(overlay)
    asked = {
        probe: container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "liveness")
    }
    assert set(asked.values()) == {"/livez"}
