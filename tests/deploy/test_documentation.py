"""The documents and the code say the same: settings, metrics, errors, formats, files."""

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from eventlog.errors import EventLogFull, EventLogUnavailable, KeyReused
from service.api.problems import OTHERS, PROBLEMS
from service.errors import InvalidInput, ServiceError
from service.settings import Settings
from service.telemetry import Telemetry
from tests.support.commands import run
from tests.support.deployment import ROOT, named_rows, table_rows
from training.build import BUILDERS
from training.config import MODEL_DEFAULTS, FitConfig
from training.data.folder import ACCEPTABLE, read_dataset
from training.metrics_file import MetricsFile

# What the text format appends to the name of a metric of each type.
SUFFIXES = {"counter": "_total", "info": "_info"}
SECTIONS = ["Context", "Decision", "Consequences", "Rejected", "Files"]
ADRS = sorted((ROOT / "docs/adr").glob("*.md"))
DOCUMENTS = [
    *ADRS,
    *(ROOT / "docs").glob("*.md"),
    ROOT / "CONTRIBUTING.md",
    ROOT / "README.md",
    ROOT / "benchmarks/README.md",
]


def exported_metrics(registry: CollectorRegistry) -> dict[str, set[str]]:
    """Return the labels of every metric in `registry`, by its exposed name."""
    found = {}
    for collector in registry._collector_to_names:
        declared = getattr(collector, "_labelnames", ())
        for family in collector.collect():
            labels = {label for sample in family.samples for label in sample.labels}
            name = family.name + SUFFIXES.get(family.type, "")
            found[name] = (labels | set(declared)) - {"le"}
    return found


def leaves(root: type[ServiceError]) -> set[type[ServiceError]]:
    below = root.__subclasses__()
    return {leaf for child in below for leaf in leaves(child)} if below else {root}


def as_environment(value: object) -> str:
    """Return a default as one would write it into the environment."""
    return json.dumps(value, separators=(",", ":")) if isinstance(value, dict) else str(value)


def test_every_setting_is_documented_with_its_default() -> None:
    rows = named_rows("configuration.md")
    written = {name: row[0].strip("`") for name, row in rows.items() if name.startswith("RECO_")}
    assert written == {
        f"RECO_{name.upper()}": as_environment(field.default)
        for name, field in Settings.model_fields.items()
    }


def test_every_training_key_is_documented_with_its_default() -> None:
    rows = named_rows("configuration.md")
    written = {n: row[0].strip("`") for n, row in rows.items() if not n.startswith("RECO_")}

    def as_toml(value: Any) -> str:
        return str(list(value)) if isinstance(value, tuple) else str(value)

    fields = msgspec.structs.fields(FitConfig)
    assert written == {field.name: as_toml(field.default) for field in fields}


def test_every_model_is_documented_with_its_own_defaults() -> None:
    rows = [row for row in table_rows("configuration.md") if len(row) == 3]
    told = {row[1].strip("`"): row[2] for row in rows if not row[0].startswith("`")}
    found: dict[str, dict[str, Any]] = {}
    for model in BUILDERS:
        # "as `bpr-mf`, but …" stands on what was said before.
        base = re.match(r"as `([\w-]+)`", told[model])
        said = "\n".join(re.findall(r"`(\w+ = [^`]+)`", told[model]))
        found[model] = (found[base.group(1)] if base else {}) | tomllib.loads(said)
    assert found == {model: MODEL_DEFAULTS.get(model, {}) for model in BUILDERS}


def test_every_metric_is_documented_with_its_labels_and_no_other_is() -> None:
    written = {
        name: set(re.findall(r"`(\w+)`", row[0])) for name, row in named_rows("metrics.md").items()
    }
    exported = exported_metrics(Telemetry().registry)
    exported |= exported_metrics(MetricsFile(None).registry)
    for info in ("reco_bundle_info", "reco_training_bundle_info"):
        exported[info].add("bundle_id")  # known once there is a bundle
    assert written == exported


def test_every_error_is_documented_with_its_status_type_and_title() -> None:
    rows = named_rows("errors.md")
    written = {name: (row[0], row[1].strip("`"), row[2]) for name, row in rows.items()}
    assert written == {e.__name__: (str(a.status), a.kind, a.title) for e, a in PROBLEMS.items()}
    told = {*leaves(ServiceError), EventLogUnavailable, EventLogFull, KeyReused}
    assert set(written) == {error.__name__ for error in told}


def test_every_answer_before_a_resource_is_documented_with_its_type() -> None:
    rows = [row for row in table_rows("errors.md") if row[0].isdigit()]
    written = {(int(row[0]), row[1].strip("`")) for row in rows}
    again = {PROBLEMS[InvalidInput]}
    assert written == {(one.status, one.kind) for one in {*OTHERS.values(), *again}}


def test_no_two_errors_have_the_same_type() -> None:
    kinds = [answer.kind for answer in (*PROBLEMS.values(), *OTHERS.values())]
    assert len(set(kinds)) == len(kinds)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", kind) for kind in kinds)


def test_every_acceptable_finding_is_documented() -> None:
    rows = table_rows("dataset-format.md")
    assert {f"`{finding}`" for finding in ACCEPTABLE} <= {row[0] for row in rows}


def test_the_dataset_example_makes_a_dataset_that_is_read(tmp_path: Path) -> None:
    text = (ROOT / "docs/dataset-format.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    made = run([sys.executable, "-c", code], cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    dataset = read_dataset(tmp_path / "my-dataset")
    assert (dataset.users, dataset.videos) == (12, 30)
    assert (len(dataset.train), len(dataset.val), len(dataset.test)) == (96, 12, 12)
    assert dataset.feature_dims == {"visual": 16, "acoustic": 8}
    assert not dataset.present[3, 1]


@pytest.mark.parametrize("file", ADRS, ids=lambda file: file.stem)
def test_a_decision_fits_a_page_and_names_files_that_exist(file: Path) -> None:
    text = file.read_text("utf-8")
    assert text.startswith(f"# {int(file.name[:4])}. ")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    assert len(text.splitlines()) <= 60
    named = re.findall(r"`([^`]+)`", text.partition("## Files")[2])
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(file.name[:4]) for file in ADRS] == list(range(1, len(ADRS) + 1))


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_a_link_leads_to_a_file(file: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", file.read_text("utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (file.parent / link).exists()] == []


def test_the_files_that_contributing_names_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    named = re.findall(r"`((?:models|training|service|tests|docs|k8s|\.ci)/[\w/.]*)`", text)
    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).exists()] == []
