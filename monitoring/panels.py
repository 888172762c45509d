"""Grafana's JSON of panels, rows and dashboards. Knows the format; nothing of metrics."""

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

Json = dict[str, Any]

# The schema of Grafana 11; later ones read it.
SCHEMA: Final = 39
WIDTH: Final = 24
SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


class Query(NamedTuple):
    """One line of a panel, or many: what is asked, and what each answer is called."""

    expr: str
    legend: str = ""


class Panel(NamedTuple):
    """One picture: a question as title, what to make of the answer as text, queries.

    `bad` is where it turns red (above, or below if `falls`), in the unit of the panel.
    """

    title: str
    text: str
    queries: Sequence[Query]
    unit: str = "short"
    kind: Literal["timeseries", "stat", "table"] = "timeseries"
    width: int = 8
    bad: float | None = None
    falls: bool = False
    least: float | None = 0
    stacked: bool = False


class Row(NamedTuple):
    """Panels that belong together, from left to right."""

    title: str
    panels: Sequence[Panel]
    height: int = 7


class Variable(NamedTuple):
    """A choice at the top: the values of a label."""

    name: str
    label: str
    query: str


class Annotation(NamedTuple):
    """Marks at moments: `expr` gives them in milliseconds."""

    name: str
    expr: str
    title: str


def dashboard(
    uid: str,
    title: str,
    text: str,
    rows: Sequence[Row],
    *,
    variables: Sequence[Variable],
    annotations: Sequence[Annotation],
) -> Json:
    """Return a dashboard as Grafana provisions it."""
    return {
        "uid": uid,
        "title": title,
        "description": text,
        "tags": ["recommender"],
        "schemaVersion": SCHEMA,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "links": [
            {
                "type": "dashboards",
                "title": "Recommender",
                "tags": ["recommender"],
                "keepTime": True,
            }
        ],
        "templating": {"list": [_source(), *map(_variable, variables)]},
        "annotations": {"list": [_annotation(one) for one in annotations]},
        "panels": _placed(rows),
    }


def _placed(rows: Sequence[Row]) -> list[Json]:
    placed: list[Json] = []
    top = 0
    for row in rows:
        place = {"x": 0, "y": top, "w": WIDTH, "h": 1}
        placed.append(
            {
                "id": len(placed) + 1,
                "type": "row",
                "title": row.title,
                "collapsed": False,
                "gridPos": place,
                "panels": [],
            }
        )
        top, left = top + 1, 0
        for panel in row.panels:
            if left + panel.width > WIDTH:
                top, left = top + row.height, 0
            place = {"x": left, "y": top, "w": panel.width, "h": row.height}
            placed.append({"id": len(placed) + 1, "gridPos": place, **_panel(panel)})
            left += panel.width
        top += row.height
    return placed


def _panel(panel: Panel) -> Json:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": SOURCE,
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": SOURCE,
                "expr": query.expr,
                "legendFormat": query.legend or "__auto",
                "instant": panel.kind == "table",
                "range": panel.kind != "table",
                "format": "table" if panel.kind == "table" else "time_series",
            }
            for place, query in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel.kind),
    }


def _defaults(panel: Panel) -> Json:
    steps: list[Json] = [{"color": "green", "value": None}]
    if panel.bad is not None:
        steps = [
            {"color": "red" if panel.falls else "green", "value": None},
            {"color": "green" if panel.falls else "red", "value": panel.bad},
        ]
    defaults: Json = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.least is not None:
        defaults["min"] = panel.least
    if panel.kind == "timeseries":
        defaults["color"] = {"mode": "palette-classic"}
        defaults["custom"] = {
            "lineWidth": 1,
            "fillOpacity": 60 if panel.stacked else 8,
            "showPoints": "never",
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "off" if panel.bad is None else "line"},
        }
    return defaults


def _options(kind: str) -> Json:
    if kind == "stat":
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "background",
            "graphMode": "area",
            "textMode": "auto",
        }
    if kind == "table":
        return {"showHeader": True}
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def _source() -> Json:
    return {
        "name": "datasource",
        "label": "source",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "hide": 0,
    }


def _variable(variable: Variable) -> Json:
    return {
        "name": variable.name,
        "label": variable.label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": variable.query, "refId": variable.name},
        "definition": variable.query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
        "hide": 0,
    }


def _annotation(annotation: Annotation) -> Json:
    return {
        "name": annotation.name,
        "datasource": SOURCE,
        "enable": True,
        "hide": False,
        "iconColor": "blue",
        "expr": annotation.expr,
        "step": "60s",
        "titleFormat": annotation.title,
        "textFormat": "{{instance}}",
        "useValueForTime": True,
    }
