"""Reads what monitoring/ holds: rules, dashboards. Knows their formats; asks nobody."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.support.deployment import ROOT

MONITORING = ROOT / "monitoring"
RULE_FILES = [MONITORING / "rules/objectives.yml", MONITORING / "rules/alerts.yml"]
# What Grafana puts in the place of its variables, but for the window.
VARIABLES = {"$instance": ".*", "$bundle": ".*"}


class Asked(NamedTuple):
    """A query of a dashboard and where it stands."""

    board: str
    panel: str
    expr: str


def loaded(file: Path) -> Any:
    """Return a YAML file."""
    return yaml.safe_load(file.read_text("utf-8"))


def rules(kind: str) -> dict[str, dict[str, Any]]:
    """Return the rules of a kind, `alert` or `record`, by their name."""
    groups = [group for file in RULE_FILES for group in loaded(file)["groups"]]
    return {rule[kind]: rule for group in groups for rule in group["rules"] if kind in rule}


def boards() -> dict[str, Any]:
    """Return the dashboards that Grafana is given, by file."""
    files = sorted((MONITORING / "grafana/dashboards").glob("*.json"))
    return {file.stem: json.loads(file.read_text("utf-8")) for file in files}


def queries(window: str = "10s") -> Iterator[Asked]:
    """Yield what the panels and annotations ask, variables replaced.

    Args:
        window: what rates are taken over; ten seconds suit a scrape a second.
    """
    variables = {**VARIABLES, "$__rate_interval": window}
    for name, board in boards().items():
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                yield Asked(name, panel["title"], _replaced(target["expr"], variables))
        for annotation in board["annotations"]["list"]:
            yield Asked(name, annotation["name"], _replaced(annotation["expr"], variables))


def _replaced(expr: str, variables: Mapping[str, str]) -> str:
    for name, value in variables.items():
        expr = expr.replace(name, value)
    assert "$" not in expr, expr
    return expr
