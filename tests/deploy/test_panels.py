"""A real Prometheus scrapes a running service under load: every panel and every alert has data."""

import http.server
import math
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest
import yaml

from tests.support.bundles import write_small_bundle
from tests.support.datasets import two_tastes
from tests.support.monitoring import MONITORING, RULE_FILES, Asked, boards, loaded, queries, rules
from tests.support.prometheus import Prometheus, binary
from tests.support.server import eventually, serving
from tests.support.traffic import traffic
from training.checkpoint import EpochReport
from training.metrics_file import told_in

FIGURES = {"overall": {"recall@20": 0.3, "ndcg@20": 0.2}, "cold": {"recall@20": 0.1}}
NAME = re.compile(r"\b(?:reco_|reco:|http_|process_|up\b)[\w:]*")
SELECTOR = re.compile(r'\b[\w:]+{(?:[^}"]|"[^"]*")*}')
pytestmark = pytest.mark.e2e


@contextmanager
def textfiles(folder: Path) -> Iterator[str]:
    """Serve files as node exporter would; yield its address."""
    handler = partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    extensions_map = {".prom": "text/plain; version=0.0.4"}  # noqa: RUF012 - as the base has it

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def trained(folder: Path) -> None:
    """Write the file of a training that went well."""
    with told_in(folder / "training.prom", two_tastes()) as metrics:
        metrics.observe(EpochReport(1, 2, 0.5, FIGURES, 0.3, 1.0))
        metrics.succeed("20260101T000000-0123456789", FIGURES)


def configured(folder: Path, *, service: str, textfile: str) -> Path:
    """Write our own configuration for a service and a file at these addresses; return it."""
    config = loaded(MONITORING / "prometheus.yml")
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(file) for file in RULE_FILES]
    (job,) = [job for job in config["scrape_configs"] if job["job_name"] == "recommender"]
    del job["dns_sd_configs"]
    job["static_configs"] = [{"targets": [service]}]
    files = {"job_name": "node", "metrics_path": "/training.prom"}
    config["scrape_configs"] = [job, {**files, "static_configs": [{"targets": [textfile]}]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), "utf-8")
    return folder / "prometheus.yml"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has scraped a busy service for ten seconds or so."""
    binary("prometheus")
    folder = tmp_path_factory.mktemp("watched")
    write_small_bundle(folder / "bundles")
    trained(folder)
    with ExitStack() as stack:
        service = stack.enter_context(
            serving(
                *("--bundles", str(folder / "bundles")),
                *("--event-log", f"sqlite:///{folder}/events.db"),
                env={"RECO_INSPECTED_SHARE": "1", "RECO_MAX_CONCURRENCY": "4"},
            )
        )
        service.wait_for("(Ready)")
        textfile = stack.enter_context(textfiles(folder))
        stack.enter_context(traffic(service.url))
        address = service.url.removeprefix("http://")
        config = configured(folder, service=address, textfile=textfile)
        prometheus = stack.enter_context(Prometheus(config, folder))
        eventually(lambda: prometheus.values("min(count_over_time(up[1m])) >= 12"))
        yield prometheus


ASKED = list(queries())
RULES = {**rules("alert"), **rules("record")}
EXPRESSIONS = {asked.expr for asked in ASKED} | {rule["expr"] for rule in RULES.values()}


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: f"{asked.board}: {asked.panel}")
def test_every_panel_and_annotation_has_data(watched: Prometheus, asked: Asked) -> None:
    values = watched.values(asked.expr)
    assert values, asked.expr
    assert any(math.isfinite(value) for value in values), asked.expr


def test_every_rule_is_evaluated_without_a_fault(watched: Prometheus) -> None:
    found = watched.rules()
    assert {rule["name"] for rule in found} == set(RULES)
    faults = {rule["name"]: rule.get("lastError") for rule in found if rule["health"] != "ok"}
    assert faults == {}


@pytest.mark.parametrize("expr", sorted(EXPRESSIONS))
def test_all_that_is_asked_for_exists(watched: Prometheus, expr: str) -> None:
    # A query with a default hides a name or a label that is misspelt.
    names = set(NAME.findall(re.sub(r'"[^"]*"|{.*?}', "", expr)))
    assert names
    assert names <= set(watched.names())
    selectors = [one for one in SELECTOR.findall(expr) if 'code=~"5.."' not in one]
    assert [one for one in selectors if not watched.query(one)] == []


def test_no_alert_fires_for_a_healthy_service(watched: Prometheus) -> None:
    firing = watched.query('ALERTS{alertstate="firing"}')
    assert [alert["metric"]["alertname"] for alert in firing] == []


def test_the_variables_of_the_dashboards_have_values(watched: Prometheus) -> None:
    for board in boards().values():
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                inside = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["definition"])
                assert inside is not None
                selector = inside.group(1).replace("$instance", ".*")
                found = watched.query(selector)
                assert all(sample["metric"][inside.group(2)] for sample in found)
                assert found
