"""Draws how a run went and what its network does. Knows figures; nothing of pages or training."""

import re
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any, Final

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from training.checkpoint import EpochReport
from training.data.dataset import Floats, Mask
from training.report.shares import NO_MODALITY, Plane, Shares, principal_plane

INK: Final = "#1f2328"
MUTED: Final = "#6b7280"
GRID: Final = "#e3e5e8"
SERIES: Final = ("#2a6fd6", "#d9622b", "#17936b")
SIZE: Final = (4.6, 3.0)
# Videos in the picture of signals: more would only hide each other.
MOST_POINTS: Final = 1500
STYLE: Final[dict[Any, Any]] = {
    "font.size": 9,
    "font.family": "sans-serif",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GRID,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    # Letters stay letters in SVG, in the font of the page.
    "svg.fonttype": "none",
}

Draw = Callable[[Axes], None]


def as_svg(draw: Draw, name: str) -> str:
    """Return one picture as an SVG element; pictures of other names share no id with it."""
    with rc_context({**STYLE, "svg.hashsalt": name}):
        figure = _figure([draw])
        stream = BytesIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(stream, format="svg", transparent=True, metadata=nothing)
    text = stream.getvalue().decode()
    # Groups are numbered alike in every picture, and nothing refers to their numbers.
    return re.sub(r'<g id="[^"]*"', "<g", text[text.index("<svg") :])


def as_png(draws: Sequence[Draw]) -> bytes:
    """Return pictures side by side as a PNG file."""
    with rc_context(STYLE):
        stream = BytesIO()
        _figure(draws).savefig(stream, format="png", dpi=150)
    return stream.getvalue()


def _figure(draws: Sequence[Draw]) -> Figure:
    figure = Figure(figsize=(SIZE[0] * len(draws), SIZE[1]), layout="constrained")
    for place, draw in enumerate(draws, start=1):
        draw(figure.add_subplot(1, len(draws), place))
    return figure


def draw_loss(axes: Axes, epochs: Sequence[EpochReport]) -> None:
    """Draw the loss of each epoch."""
    _count(axes)
    _line(axes, [entry.epoch for entry in epochs], [entry.loss for entry in epochs], SERIES[0])
    axes.set(xlabel="epoch", ylabel="training loss")


def draw_validation(axes: Axes, epochs: Sequence[EpochReport], best: int) -> None:
    """Draw recall@20 on validation for each group, and a line at the `best` epoch."""
    _count(axes)
    axes.set(xlabel="epoch", ylabel="validation recall@20")
    judged = [(entry.epoch, entry.judged) for entry in epochs if entry.judged is not None]
    for group, colour in zip(("overall", "warm", "cold"), SERIES, strict=True):
        told = [(n, f[group]["recall@20"]) for n, f in judged if "recall@20" in f[group]]
        if told:
            _line(axes, [n for n, _ in told], [value for _, value in told], colour, group)
    if not judged:
        _say(axes, "nothing was held out for validation")
        return
    axes.axvline(best, color=MUTED, linewidth=1, linestyle=":", label=f"best, epoch {best}")
    axes.set_ylim(bottom=0)
    axes.legend(loc="best")


def draw_shares(axes: Axes, shares: Shares) -> None:
    """Draw the static and the dynamic part of each modality as bars."""
    places = np.arange(len(shares.modalities))
    parts = (("static part", shares.static, SERIES[0]), ("dynamic part", shares.dynamic, SERIES[1]))
    for offset, (label, lengths, colour) in zip((-0.19, 0.19), parts, strict=True):
        axes.barh(places + offset, lengths, height=0.34, color=colour, label=label)
        for place, length in zip(places, lengths, strict=True):
            axes.annotate(
                f"{length:.2f}", (float(length), place + offset), xytext=(3, 0),
                textcoords="offset points", va="center", color=INK, fontsize=8,
            )  # fmt: skip
    axes.set_yticks(places, list(shares.modalities), color=INK)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.12)
    axes.set_xlabel("mean length in the first layer's output")
    _legend_above(axes)


def draw_signals(axes: Axes, signals: Floats, shares: Shares, cold: Mask) -> None:
    """Draw `signals: (V, S)` on their principal plane, coloured by the modality that leads."""
    plane, variance = principal_plane(signals)
    shown = np.unique(np.linspace(0, len(plane) - 1, min(len(plane), MOST_POINTS)).astype(np.int64))
    plane, leading, arrived = plane[shown], shares.leading[shown], cold[shown]
    kinds = [*enumerate(shares.modalities), (NO_MODALITY, "no modality")]
    for place, name in kinds:
        mine = leading == place
        if mine.any():
            colour = MUTED if place == NO_MODALITY else SERIES[place]
            _dots(axes, plane[mine & ~arrived], colour)
            _diamonds(axes, plane[mine & arrived], colour)
            axes.plot([], [], "o", color=colour, markersize=5, label=f"{name} leads")
    if arrived.any():
        _diamonds(axes, plane[:0], "none", "cold video")
    axes.set(xticklabels=[], yticklabels=[])
    axes.set_xlabel(f"first axis, {variance[0]:.0%} of the variance")
    axes.set_ylabel(f"second axis, {variance[1]:.0%}")
    _legend_above(axes)


def _dots(axes: Axes, points: Plane, colour: str) -> None:
    axes.plot(*points.T, "o", markersize=3, markeredgewidth=0, color=colour, alpha=0.6)


def _diamonds(axes: Axes, points: Plane, colour: str, label: str | None = None) -> None:
    axes.plot(*points.T, "D", markersize=4.5, color=colour, markeredgecolor=INK, label=label)


def _line(
    axes: Axes, epochs: list[int], values: list[float], colour: str, label: str | None = None
) -> None:
    # One epoch is no line; without a mark it would not be seen.
    axes.plot(epochs, values, "o-" if len(epochs) == 1 else "-", color=colour, label=label)


def _count(axes: Axes) -> None:
    """Put no tick between two epochs."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _legend_above(axes: Axes) -> None:
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, fontsize=8, borderaxespad=0.2)


def _say(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", color=MUTED)
