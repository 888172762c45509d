"""PromQL that dashboards share. Knows metrics and variables; nothing of Grafana's format."""

from typing import Final

from monitoring.panels import Annotation, Query, Variable

# Of the instances chosen, those that serve a bundle which is chosen.
CHOSEN: Final = 'and on (instance) reco_bundle_info{instance=~"$instance", bundle_id=~"$bundle"}'
WINDOW: Final = "$__rate_interval"

VARIABLES: Final = (
    Variable("instance", "instance", "label_values(reco_ready, instance)"),
    Variable(
        "bundle", "bundle", 'label_values(reco_bundle_info{instance=~"$instance"}, bundle_id)'
    ),
)
SWAPS: Final = Annotation(
    "bundle swaps",
    "1000 * reco_bundle_loaded_timestamp_seconds * on (instance) group_left (bundle_id) "
    'reco_bundle_info{instance=~"$instance"}',
    "bundle {{bundle_id}}",
)


def now(metric: str, /, **labels: str) -> str:
    """Return the values of a metric; a label's value is a regular expression."""
    return f"({_selected(metric, labels)} {CHOSEN})"


def rate(metric: str, /, **labels: str) -> str:
    """Return how fast a counter goes, in one second."""
    return f"(rate({_selected(metric, labels)}[{WINDOW}]) {CHOSEN})"


def total(metric: str, /, *by: str, **labels: str) -> str:
    """Return how fast a counter goes, of all instances together, by labels."""
    return f"sum{_by(by)}({rate(metric, **labels)})"


def share(part: str, whole: str) -> str:
    """Return a share; 0 of nothing is 0, lest a quiet hour look like a fault."""
    return f"({part} or vector(0)) / ({whole} > 0) or vector(0)"


def quantile(q: float, metric: str, /, *by: str, **labels: str) -> str:
    """Return a quantile of a histogram over all instances, by labels."""
    return f"histogram_quantile({q}, {total(f'{metric}_bucket', 'le', *by, **labels)})"


def quantiles(metric: str, *qs: float, **labels: str) -> list[Query]:
    """Return a line for each quantile of a histogram."""
    return [Query(quantile(q, metric, **labels), f"{q:.1%}".replace(".0%", "%")) for q in qs]


def mean(metric: str, /, *by: str, **labels: str) -> str:
    """Return the mean of a histogram, by labels."""
    return f"{total(f'{metric}_sum', *by, **labels)} / {total(f'{metric}_count', *by, **labels)}"


def _by(labels: tuple[str, ...]) -> str:
    return f" by ({', '.join(labels)}) " if labels else ""


def _selected(metric: str, labels: dict[str, str]) -> str:
    chosen = {"instance": "$instance", **labels}
    return f"{metric}{{{', '.join(f'{name}=~{_quoted(v)}' for name, v in chosen.items())}}}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\")
    return f'"{escaped}"'
