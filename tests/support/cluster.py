"""Composes the Kubernetes overlays as kubectl does, and reads what comes out. Asks no cluster."""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from functools import cache, reduce
from operator import getitem
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.support.commands import run
from tests.support.deployment import ROOT

Document = dict[str, Any]
OVERLAYS = ("dev", "prod")
# What a quantity's suffix stands for.
SUFFIXES = {"": 1.0, "m": 1e-3} | {
    name: float(base**power)
    for base, names in ((1000, ("k", "M", "G", "T")), (1024, ("Ki", "Mi", "Gi", "Ti")))
    for power, name in enumerate(names, start=1)
}
# Where the template of a pod is, by kind.
TEMPLATES = {
    "Deployment": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}


class Pod(NamedTuple):
    """What one workload makes pods of."""

    overlay: str
    name: str
    labels: dict[str, str]
    spec: Document

    def __str__(self) -> str:
        return f"{self.overlay}-{self.name}"

    @property
    def containers(self) -> list[Document]:
        """All of them, those that only initialise first."""
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]


def kubectl() -> str:
    """Return the path of `kubectl`: that of this environment, or of the machine."""
    own = Path(sys.executable).with_name("kubectl")
    found = str(own) if own.exists() else shutil.which("kubectl")
    if found is None:
        pytest.skip("no kubectl on this machine", allow_module_level=True)
    return found


@cache
def composed(overlay: str) -> list[Document]:
    """Return every document that `kubectl apply -k` would send of an overlay."""
    # It asks no cluster; nothing of one that this machine may know is to be read.
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    made = run([kubectl(), "kustomize", f"k8s/overlays/{overlay}"], cwd=ROOT, env=env)
    assert (made.returncode, made.stderr) == (0, "")
    return list(yaml.safe_load_all(made.stdout))


def documents(overlay: str, kind: str) -> dict[str, Document]:
    """Return the documents of `kind`, by name."""
    return {
        document["metadata"]["name"]: document
        for document in composed(overlay)
        if document["kind"] == kind
    }


@cache
def pods(overlay: str) -> dict[str, Pod]:
    """Return what the workloads of an overlay make pods of, by the workload's name."""
    found = {}
    for kind, path in TEMPLATES.items():
        for name, document in documents(overlay, kind).items():
            template = reduce(getitem, path, document)
            found[name] = Pod(overlay, name, template["metadata"]["labels"], template["spec"])
    return found


def every_pod() -> list[Pod]:
    """Return the pods of all overlays."""
    return [pod for overlay in OVERLAYS for pod in pods(overlay).values()]


def server(overlay: str) -> Document:
    """Return the server's only container."""
    (container,) = pods(overlay)["server"].containers
    found: Document = container
    return found


def settings(overlay: str) -> dict[str, str]:
    """Return the settings that the server of an overlay is given in plain text."""
    (config,) = documents(overlay, "ConfigMap").values()
    found: dict[str, str] = config["data"]
    return found


def secret_settings(container: Document) -> dict[str, tuple[str, str]]:
    """Return which key of which Secret each variable of a container comes from."""
    asked = {one["name"]: one.get("valueFrom", {}) for one in container.get("env", [])}
    keys = {
        name: source["secretKeyRef"] for name, source in asked.items() if "secretKeyRef" in source
    }
    return {name: (key["name"], key["key"]) for name, key in keys.items()}


def selects(selector: Document, labels: dict[str, str]) -> bool:
    """Say if a label selector takes a pod with `labels`; an empty one takes all."""
    assert set(selector) <= {"matchLabels", "matchExpressions"}
    operators = {"In": lambda one: labels.get(one["key"]) in one["values"]}
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        operators[one["operator"]](one) for one in selector.get("matchExpressions", [])
    )


def quantity(text: str | int) -> float:
    """Return what a quantity as `500m` or `1Gi` says, in its unit.

    Raises:
        ValueError: it is none.
    """
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)(\w*)", str(text))
    if parts is None or parts.group(2) not in SUFFIXES:
        raise ValueError(f"{text!r} is no quantity")
    return float(parts.group(1)) * SUFFIXES[parts.group(2)]


def mappings(value: Any) -> Iterator[Document]:
    """Yield every mapping in a document, at any depth."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from mappings(inner)
