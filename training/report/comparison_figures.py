"""Draws how systems compare: how good, where, at which price. Knows summaries; nothing of pages."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes

from training.compare.summary import Spread, System
from training.report.figures import INK, MUTED, SERIES

# A bar and what is between it and the next one.
BAR: Final = 0.38


def draw_quality(axes: Axes, systems: Sequence[System], best: str, metric: str) -> None:
    """Draw a bar a system, the best on validation in another colour, seeds as a line on it."""
    figures = [_overall(system, metric) for system in systems]
    colours = [SERIES[1] if system.model == best else SERIES[0] for system in systems]
    places = np.arange(len(systems))
    axes.barh(
        places,
        [figure.mean for figure in figures],
        xerr=[figure.deviation for figure in figures],
        color=colours,
        height=0.7,
        ecolor=INK,
        error_kw={"linewidth": 1},
    )
    _name_rows(axes, systems)
    axes.set_xlabel(f"{metric} on test")


def draw_warm_and_cold(axes: Axes, systems: Sequence[System]) -> None:
    """Draw recall@20 for videos that training knew, and for those that it did not."""
    places = np.arange(len(systems))
    for offset, group, colour in ((-BAR / 2, "warm", SERIES[0]), (BAR / 2, "cold", SERIES[2])):
        figures = [system.figures[group].get("recall@20", Spread(0, 0)).mean for system in systems]
        axes.barh(places + offset, figures, height=BAR, color=colour, label=group)
    _name_rows(axes, systems)
    axes.set_xlabel("recall@20 on test")
    axes.legend(loc="lower right", fontsize=8)


def draw_price(axes: Axes, systems: Sequence[System]) -> None:
    """Draw recall@20 over the seconds that training took."""
    # What takes no time has no place on a logarithmic axis; a tenth of a second is as good.
    seconds = [max(system.seconds, 0.1) for system in systems]
    figures = [_overall(system, "recall@20").mean for system in systems]
    _dots(axes, seconds, figures, systems)
    axes.set_xscale("log")
    axes.set(xlabel="seconds of training", ylabel="recall@20 on test")


def draw_breadth(axes: Axes, systems: Sequence[System]) -> None:
    """Draw which share of the videos is shown over how popular what is shown is."""
    popularity = [system.lists["popularity@20"].mean for system in systems]
    coverage = [system.lists["coverage@20"].mean for system in systems]
    _dots(axes, popularity, coverage, systems)
    axes.set(xlabel="popularity@20 (1: no bias)", ylabel="coverage@20")


def _overall(system: System, metric: str) -> Spread:
    return system.figures["overall"].get(metric, Spread(0, 0))


def _name_rows(axes: Axes, systems: Sequence[System]) -> None:
    axes.set_yticks(
        np.arange(len(systems)), [system.model for system in systems], color=INK, fontsize=8
    )
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")


def _dots(
    axes: Axes, across: Sequence[float], up: Sequence[float], systems: Sequence[System]
) -> None:
    for x, y, system in zip(across, up, systems, strict=True):
        ours = system.model.startswith("metammf")
        axes.plot(x, y, "o", markersize=5, color=SERIES[1] if ours else SERIES[0])
        axes.annotate(
            system.model, (x, y), xytext=(4, 3), textcoords="offset points", color=MUTED, fontsize=7
        )
    axes.margins(x=0.16, y=0.12)
