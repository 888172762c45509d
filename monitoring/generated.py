"""What of the repository is made from other files of it, by path. Writes nothing."""

import json
from pathlib import Path
from typing import Final

from monitoring.dashboards import dashboards

ROOT: Final = Path(__file__).parents[1]
RULES: Final = ("objectives", "alerts")
DASHBOARDS: Final = "monitoring/grafana/dashboards"
RULE_HEAD: Final = """\
---
# Made from monitoring/rules/{name}.yml by `python -m monitoring`; needs the Prometheus operator.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: recommender-{name}
spec:
"""


def generated() -> dict[str, str]:
    """Return each file's text by its path from the root of the repository."""
    boards = {
        f"{DASHBOARDS}/{name}": json.dumps(board, indent=1) + "\n"
        for name, board in dashboards().items()
    }
    return boards | {f"k8s/monitoring/rules-{name}.yaml": _as_manifest(name) for name in RULES}


def _as_manifest(name: str) -> str:
    """Return the rules of a file as the body of a PrometheusRule."""
    text = (ROOT / f"monitoring/rules/{name}.yml").read_text("utf-8")
    lines = text[text.index("\ngroups:") :].strip().splitlines()
    indented = [f"  {line}" if line else "" for line in lines]
    return RULE_HEAD.format(name=name) + "\n".join(indented) + "\n"
