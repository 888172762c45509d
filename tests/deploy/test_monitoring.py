"""Rules and dashboards are sound, tested, current and the same wherever they are used."""

import re
from typing import Any

import pytest

from monitoring.generated import DASHBOARDS, generated
from tests.support.commands import run
from tests.support.deployment import ROOT
from tests.support.monitoring import MONITORING, RULE_FILES, boards, loaded, rules
from tests.support.prometheus import binary

BOARDS = boards()
PANELS = [
    (name, panel) for name, board in BOARDS.items() for panel in board["panels"] if panel["id"]
]


def test_what_is_made_from_other_files_is_current() -> None:
    stale = [name for name, text in generated().items() if (ROOT / name).read_text() != text]
    assert stale == [], "run python -m monitoring"


def test_no_dashboard_is_left_that_is_made_no_more() -> None:
    files = {f"{DASHBOARDS}/{file.name}" for file in (ROOT / DASHBOARDS).iterdir()}
    assert files <= set(generated())


def test_promtool_accepts_configuration_and_rules() -> None:
    checked = run(
        [binary("promtool"), "check", "config", str(MONITORING / "prometheus.yml")], cwd=ROOT
    )
    assert checked.returncode == 0, checked.stderr
    for file in RULE_FILES:
        assert str(file.relative_to(MONITORING)) in checked.stdout + checked.stderr


def test_each_alert_fires_when_it_should_and_no_other_does() -> None:
    tested = run(
        [binary("promtool"), "test", "rules", str(MONITORING / "rules/tests.yml")], cwd=ROOT
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_alert_is_tested_in_peace_and_in_trouble() -> None:
    # What follows the name tells which of its windows is meant.
    cases = [
        (case["name"].split()[0], case["promql_expr_test"])
        for case in loaded(MONITORING / "rules/tests.yml")["tests"]
    ]
    assert list(dict.fromkeys(name for name, _ in cases)) == list(rules("alert"))
    for name, (calm, trouble) in cases:
        assert calm["exp_samples"] == []
        assert trouble["exp_samples"][0]["labels"] == f'{{alertname="{name}"}}'


def test_every_alert_says_what_is_the_matter_and_where_to_read_on() -> None:
    for name, rule in rules("alert").items():
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{name.lower()}"


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_has_what_grafana_needs(name: str) -> None:
    board = BOARDS[name]
    assert board["uid"] == f"reco-{name}"
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    variables = {variable["name"] for variable in board["templating"]["list"]}
    assert variables == {"datasource"} | ({"instance", "bundle"} if name != "training" else set())
    assert [one["name"] for one in board["annotations"]["list"]] == ["bundle swaps"]
    text = str(board)
    used = set(re.findall(r"\$\{?(\w+)", text)) - {"__rate_interval", "__all"}
    assert used <= variables


@pytest.mark.parametrize("name", BOARDS)
def test_no_panel_lies_on_another(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARDS[name]["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not cells & taken
        taken |= cells


@pytest.mark.parametrize(("name", "panel"), PANELS)
def test_a_panel_says_what_to_make_of_it(name: str, panel: dict[str, Any]) -> None:
    if panel["type"] != "row":
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["targets"]
