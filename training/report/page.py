"""The report of a run: one HTML file that needs nothing but itself, and its curves as a picture.

Knows HTML and what was asked and found; the figures and their meaning come from its neighbours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from models.arrival import Fusion
from models.ensemble import FusionEnsemble
from training.config import OWN, FitConfig, recorded
from training.data.dataset import SPLITS, Dataset
from training.ensemble import seeds_of
from training.evaluate import GROUPS, METRICS
from training.loop import Fitted
from training.progress import figure_shown
from training.report.figures import (
    as_png,
    as_svg,
    draw_loss,
    draw_shares,
    draw_signals,
    draw_validation,
)
from training.report.markup import cards, facts, page, picture, table
from training.report.shares import Shares, modality_shares, signals

PAGE: Final = "report.html"
CURVES: Final = "curves.png"
# What is heeded where nothing is trained but the network that represents arrivals.
OF_FUSION: Final = (
    "model", "vector_dim", "hidden_dims", "signal_hidden_dim", "signal_dim", "rank", "fusion",
    "modality_dropout",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Outcome:
    """What was asked of a fit and what came of it. `metrics` are those of the test split."""

    dataset: Dataset
    config: FitConfig
    seed: int
    fitted: Fitted
    fusion: Fusion
    metrics: Mapping[str, Any]


def write_report(folder: Path, outcome: Outcome) -> Path:
    """Write `report.html` and `curves.png`, if there are any, into `folder`; return the page."""
    parts = [
        _head(outcome),
        _test(outcome.metrics),
        _members(outcome.fitted, outcome.config, outcome.seed),
        _curves(folder, outcome.fitted),
        _fusion(outcome.fusion, outcome.dataset),
        _asked(outcome),
    ]
    file = folder / PAGE
    title = f"{outcome.dataset.name}: {outcome.config.model}"
    file.write_text(page(title, "\n".join(parts)), "utf-8")
    return file


def _curves(folder: Path, fitted: Fitted) -> str:
    """Return how training went, if there was any; its pictures are written into `folder` too."""
    if not fitted.epochs:
        return ""
    loss = partial(draw_loss, epochs=fitted.epochs)
    validation = partial(draw_validation, epochs=fitted.epochs, best=fitted.best.epoch)
    (folder / CURVES).write_bytes(as_png([loss, validation]))
    curves = [
        picture(as_svg(loss, "loss"), "The mean loss of a training interaction, epoch by epoch."),
        picture(
            as_svg(validation, "validation"),
            "Recall@20 on validation. The best epoch's vectors were kept.",
        ),
    ]
    return f"<h2>How training went</h2>\n{cards(curves, wide=True)}"


def _head(outcome: Outcome) -> str:
    fitted, metrics, config = outcome.fitted, outcome.metrics, outcome.config
    tiles = {
        "test recall@20": figure_shown(metrics["overall"].get("recall@20")),
        "test ndcg@20": figure_shown(metrics["overall"].get("ndcg@20")),
        "recall@20 of cold videos": figure_shown(metrics["cold"].get("recall@20")),
    }
    if fitted.members:
        tiles["best epoch"] = ", ".join(str(member.best.epoch) for member in fitted.members)
    elif fitted.epochs:
        tiles["best epoch"] = f"{fitted.best.epoch} of {len(fitted.epochs)}"
    if fitted.epochs:
        tiles["time"] = _duration(fitted.seconds)
    told = f"{config.model}, fusion {config.fusion}, seed {outcome.seed}"
    return f"<h1>{escape(outcome.dataset.name)}</h1>\n<p class=quiet>{escape(told)}</p>\n" + cards(
        f"<p>{escape(what)}<b>{escape(value)}</b></p>" for what, value in tiles.items()
    )


def _test(metrics: Mapping[str, Any]) -> str:
    rows = []
    for group in GROUPS:
        values = [figure_shown(metrics[group].get(name)) for name in METRICS]
        rows.append([group.replace("_", " "), *values, f"{metrics[group]['users']:,}"])
    return (
        f"<h2>On the test split</h2>\n{table(['', *METRICS, 'users'], rows)}\n"
        "<p class=quiet>All videos compete, except those that a user had met before. Warm and cold "
        "count only relevant videos with, or without, training interactions; the ranking is the "
        "same. In <i>cold among cold</i> only cold videos compete. "
        f"{metrics['coverage@20']:.1%} of the videos are among the first 20 of some user.</p>"
    )


def _members(fitted: Fitted, config: FitConfig, seed: int) -> str:
    """Return a table of the members of an ensemble, and what of the page is of which."""
    if not fitted.members:
        return ""
    rows = [
        [
            str(place),
            str(own),
            f"{member.best.epoch} of {len(member.epochs)}",
            figure_shown(member.best.validation),
            _duration(member.seconds),
        ]
        for place, (own, member) in enumerate(
            zip(seeds_of(config.members, seed), fitted.members, strict=True), start=1
        )
    ]
    head = ["member", "seed", "best epoch", "its validation recall@20", "time"]
    return (
        f"<h2>The members</h2>\n{table(head, rows)}\n<p class=quiet>What is judged on the test "
        "split are all of them together. What follows is of the first.</p>"
    )


def _fusion(fusion: Fusion, dataset: Dataset) -> str:
    if isinstance(fusion, FusionEnsemble):
        return _fusion(fusion.members[0], dataset)
    shares, found = modality_shares(fusion, dataset), signals(fusion, dataset)
    drawn = [
        picture(
            as_svg(partial(draw_shares, shares=shares), "shares"),
            "What the first layer makes of each modality: the static part, which is the same map "
            "for all videos, and the dynamic part, which a video's own weights add.",
        )
    ]
    if found.shape[1]:
        signal = partial(draw_signals, signals=found, shares=shares, cold=dataset.cold)
        drawn.append(
            picture(
                as_svg(signal, "signal"),
                "The signal that steers the fusion of each video, on its two principal axes, "
                "coloured by the modality that gives most.",
            )
        )
    return (
        f"<h2>What fusion makes of the modalities</h2>\n{_shares_table(shares)}\n"
        "<p class=quiet>The share of a modality is that of its length among the lengths of all, "
        "averaged over the videos; the parts are mean lengths over the videos that have it.</p>\n"
        f"{cards(drawn, wide=True)}"
    )


def _shares_table(shares: Shares) -> str:
    rows = [
        [
            name,
            f"{shares.share[place]:.1%}",
            f"{shares.static[place]:.3f}",
            f"{shares.dynamic[place]:.3f}",
            f"{np.count_nonzero(shares.leading == place):,}",
            f"{shares.videos[place]:,}",
        ]
        for place, name in enumerate(shares.modalities)
    ]
    head = ["", "share", "static part", "dynamic part", "videos it leads", "videos that have it"]
    return table(head, rows)


def _asked(outcome: Outcome) -> str:
    data = outcome.dataset
    present = data.present.mean(axis=0)
    widths = [f"{name} {width:,}" for name, width in data.feature_dims.items()]
    told = {
        "users": f"{data.users:,}",
        "videos": f"{data.videos:,}, of which {int(data.cold.sum()):,} are cold",
        "interactions": ", ".join(f"{len(data.interactions(s)):,} {s}" for s in SPLITS),
        "features": ", ".join(
            f"{width} ({share:.1%} of the videos)"
            for width, share in zip(widths, present, strict=True)
        ),
    }
    # As JSON, which writes lists and texts as TOML does.
    asked = recorded(outcome.config)
    if not outcome.fitted.epochs:
        heeded = (*OF_FUSION, *OWN.get(outcome.config.model, ()))
        asked = {name: value for name, value in asked.items() if name in heeded}
    settings = {
        key: msgspec.json.encode(value).decode()
        for key, value in [("seed", outcome.seed), *asked.items()]
    }
    return f"<h2>The data</h2>\n{facts(told)}\n<h2>What was asked</h2>\n{facts(settings)}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
