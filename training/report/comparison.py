"""The report of a comparison: a page, the same as Markdown, all figures as JSON, and pictures.

Knows HTML, Markdown and what was found; figures and their meaning come from `training.compare`.
"""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any, Final, NamedTuple

from training.bootstrap import Difference
from training.compare.protocol import Comparison
from training.compare.summary import COMPARED, Spread, Summary, results, summarise
from training.data.dataset import Dataset
from training.report.comparison_figures import (
    draw_breadth,
    draw_price,
    draw_quality,
    draw_warm_and_cold,
)
from training.report.figures import Draw, as_png, as_svg
from training.report.markup import cards, facts, page, picture, table

PAGE: Final = "report.html"
TEXT: Final = "report.md"
FIGURES: Final = "results.json"
QUALITY: Final = ("recall@10", "recall@20", "ndcg@10", "ndcg@20", "precision@10", "precision@20",
                  "hit@10", "hit@20")  # fmt: skip
HOW: Final = (
    "All videos compete, except those that a user had met in training or validation. Figures are "
    "means over the seeds on the test split, with their standard deviation. Each system took the "
    "setting of its grid that was best on validation with the first seed; test chose nothing. All "
    "ran in one trainer, with the same splits, sampler, averaging and early stopping."
)
ABOUT_BEST: Final = (
    "How much better {best}, the best on validation, is than each other system on test, user by "
    "user: the mean difference and its 95 % interval by the paired bootstrap. Where the interval "
    "holds 0 the two cannot be told apart."
)
ABOUT_COLD: Final = (
    "Warm and cold count only relevant videos with, or without, training interactions, in the same "
    "ranking; in cold among cold only cold videos compete. Ids alone say nothing of cold videos."
)
ABOUT_PRICE: Final = (
    "Seconds and memory (the most that was resident) of a run, and how long the vector of one "
    "arrival takes: a system that refines vectors along a graph makes all of them anew. "
    "Popularity@20 is how popular recommended videos are in the mean, in terms of the mean video."
)


class Table(NamedTuple):
    """A table with a title and what is said under it."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    about: str


def write_comparison(folder: Path, dataset: Dataset, comparison: Comparison) -> Summary:
    """Write the report of `comparison` into `folder` and return what it says in short."""
    summary = summarise(comparison)
    told = results(dataset, comparison, summary)
    (folder / FIGURES).write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    systems = summary.systems
    drawn: dict[str, Draw] = {
        "recall": partial(draw_quality, systems=systems, best=summary.best, metric="recall@20"),
        "ndcg": partial(draw_quality, systems=systems, best=summary.best, metric="ndcg@20"),
        "warm-and-cold": partial(draw_warm_and_cold, systems=systems),
        "price": partial(draw_price, systems=systems),
        "breadth": partial(draw_breadth, systems=systems),
    }
    for name, draw in drawn.items():
        (folder / f"{name}.png").write_bytes(as_png([draw]))
    tables = list(_tables(comparison, summary))
    title = f"{dataset.name}: {len(systems)} systems compared"
    parts = [_html_head(title, summary), _html_pictures(drawn)]
    parts += [
        f"<h2>{escape(one.title)}</h2>\n{table(one.head, one.rows)}\n"
        f"<p class=quiet>{escape(one.about)}</p>"
        for one in tables
    ]
    for name, values in _facts(told).items():
        parts.append(f"<h2>{name}</h2>\n{facts(values)}")
    (folder / PAGE).write_text(page(title, "\n".join(parts)), "utf-8")
    (folder / TEXT).write_text(_markdown(title, tables, _facts(told)), "utf-8")
    return summary


def short_table(summary: Summary) -> Table:
    """Return what a terminal shows: recall and NDCG of all and of arrivals, and the price."""
    rows = [
        [
            system.model,
            str(len(system.seeds)),
            *(_spread(system.figures["overall"].get(name)) for name in COMPARED),
            _mean(system.figures["cold"].get("recall@20")),
            f"{system.seconds:.0f}",
        ]
        for system in summary.systems
    ]
    head = ["", "seeds", *COMPARED, "cold recall@20", "s"]
    return Table("On the test split", head, rows, HOW)


def _tables(comparison: Comparison, summary: Summary) -> Iterator[Table]:
    systems = summary.systems
    yield short_table(summary)
    yield Table(
        f"{summary.best} against the others",
        ["", *COMPARED],
        [
            [model, *(_difference(found[name]) for name in COMPARED)]
            for model, found in summary.differences.items()
        ],
        ABOUT_BEST.format(best=summary.best),
    )
    yield Table(
        "All metrics",
        ["", *QUALITY],
        [[s.model, *(_mean(s.figures["overall"].get(name)) for name in QUALITY)] for s in systems],
        "Hit is the share of users with a relevant video in the list.",
    )
    kinds = [(group, name) for group in ("warm", "cold", "cold_among_cold") for name in COMPARED]
    yield Table(
        "Known videos and arrivals",
        ["", *(f"{group.replace('_', ' ')} {name}" for group, name in kinds)],
        [
            [s.model, *(_spread(s.figures[group].get(name)) for group, name in kinds)]
            for s in systems
        ],
        ABOUT_COLD,
    )
    yield Table(
        "Breadth and price",
        ["", "coverage@20", "popularity@20", "seconds", "epochs", "peak MiB", "arrival ms"],
        [
            [
                s.model,
                f"{s.lists['coverage@20'].mean:.3f}",
                f"{s.lists['popularity@20'].mean:.2f}",
                f"{s.seconds:.1f}",
                f"{s.epochs:.0f}",
                f"{s.peak_mib:.0f}",
                "-" if s.arrival_ms is None else f"{s.arrival_ms:.2f}",
            ]
            for s in systems
        ],
        ABOUT_PRICE,
    )
    yield Table(
        "What was chosen",
        ["", "seeds", "grid", "chosen", "validation recall@20"],
        [
            [
                s.model,
                ", ".join(map(str, s.seeds)),
                "; ".join(_change(change) for change in comparison.plan.grids[s.model]),
                _change(s.change),
                _spread(s.validation),
            ]
            for s in systems
        ],
        "Everything else is the system's own defaults and what was asked for below.",
    )


def _html_head(title: str, summary: Summary) -> str:
    best = next(system for system in summary.systems if system.model == summary.best)
    figures = best.figures["overall"]
    tiles = {
        "best on validation": best.model,
        "its test recall@20": _mean(figures.get("recall@20")),
        "its test ndcg@20": _mean(figures.get("ndcg@20")),
        "its recall@20 of cold videos": _mean(best.figures["cold"].get("recall@20")),
    }
    shown = cards(f"<p>{escape(what)}<b>{escape(value)}</b></p>" for what, value in tiles.items())
    return f"<h1>{escape(title)}</h1>\n{shown}"


def _html_pictures(drawn: dict[str, Draw]) -> str:
    told = {
        "recall": "Recall@20 on test; the line is the deviation over seeds, the other colour marks "
        "the best on validation.",
        "ndcg": "NDCG@20 on test, alike.",
        "warm-and-cold": "Recall@20 for videos that training knew, and for those it did not.",
        "price": "What a second of training buys.",
        "breadth": "How much of the catalog is shown, and how popular what is shown is.",
    }
    pictures = [picture(as_svg(draw, name), told[name]) for name, draw in drawn.items()]
    return cards(pictures, wide=True)


def _markdown(title: str, tables: Sequence[Table], told: dict[str, dict[str, str]]) -> str:
    lines = [f"# {title}"]
    for one in tables:
        lines += ["", f"## {one.title}", "", _line(one.head), _line(["---"] * len(one.head))]
        lines += [*(_line(row) for row in one.rows), "", one.about]
    for name, values in told.items():
        lines += ["", f"## {name}", ""]
        lines += [f"- {key}: {value}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _facts(told: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return what else is to be said, by its title."""
    asked = told["asked"]
    found = {
        "What is missing": {str(place): name for place, name in enumerate(told["missing"], 1)},
        "The data": _flat(told["dataset"]),
        "What was asked of all": {"seeds": str(asked["seeds"]), **_flat(asked["settings"])},
        "The machine": _flat(told["machine"]),
    }
    return {name: values for name, values in found.items() if values}


def _flat(values: dict[str, Any]) -> dict[str, str]:
    return {
        key.replace("_", " "): (
            ", ".join(f"{name} {number:,}" for name, number in value.items())
            if isinstance(value, dict)
            else str(value)
        )
        for key, value in values.items()
    }


def _change(change: Any) -> str:
    return ", ".join(f"{key}={value}" for key, value in change.items()) or "defaults"


def _mean(spread: Spread | None) -> str:
    return "-" if spread is None else f"{spread.mean:.4f}"


def _spread(spread: Spread | None) -> str:
    if spread is None or spread.deviation == 0:
        return _mean(spread)
    return f"{spread.mean:.4f} ±{spread.deviation:.4f}"


def _difference(found: Difference) -> str:
    return f"{found.mean:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"
