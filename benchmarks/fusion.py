"""Prints what fusion costs at the paper's sizes, against per-video weights and static layers.

Knows the fusion network alone. `python -m benchmarks.fusion` or `make bench` runs it.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple, get_args

# As in the service: one thread, so that a ratio compares two ways and not two thread pools.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn.functional import leaky_relu_

from benchmarks.explicit import explicit
from benchmarks.machine import machine
from benchmarks.record import record
from models.form import FusionForm
from models.fusion import MetaFusion
from models.modality import Modality

# MovieLens of the paper, and the layers of its published code.
CATALOG: Final = 5986
WIDTHS: Final[dict[Modality, int]] = {"visual": 2048, "acoustic": 128, "textual": 100}
FEATURES: Final = sum(WIDTHS.values())
HIDDEN: Final = (1024, 512, 256)
OUTPUT, SIGNAL, RANK = 32, 5, 16
# Hidden width of the extractor: the paper's, and our default.
EXTRACTORS: Final = (FEATURES, 64)
BATCH: Final = 64
STEPS, EXPLICIT_STEPS, PASSES = 15, 3, 9
FORMS: Final[tuple[FusionForm, ...]] = get_args(FusionForm)

Call = Callable[[], object]


class Row(NamedTuple):
    """What was measured, how long it took, and beside what."""

    what: str
    form: str
    took: str
    factor: str


def main() -> None:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="a file of figures that these are written into")
    file = parser.parse_args().json
    sizes = "-".join(map(str, (FEATURES, *HIDDEN, OUTPUT)))
    table = Table(
        "what",
        "form",
        "median (least to most), ms",
        "factor",
        title=f"fusion {sizes}, S={SIGNAL}, R={RANK}",
        caption=machine(),
    )
    torch.manual_seed(0)
    rows = [*_steps(), *_passes()]
    for row in rows:
        table.add_row(*row)
    Console(soft_wrap=True, highlight=False).print(table)
    figures = {f"{row[0]}, {row[1]}": " ".join(row[2:]) for row in rows}
    record(file, "fusion", figures)


def _steps() -> Iterator[Row]:
    """Time forward and backward of a batch, and the same with every video's weights formed."""
    inputs = torch.randn(BATCH, FEATURES, requires_grad=True)
    signal = torch.randn(BATCH, SIGNAL, requires_grad=True)
    what = f"layers, forward and backward, batch {BATCH}"
    for form in FORMS:
        layers = _network(form).layers
        ours = _times({"": partial(_step, layers, inputs, signal)}, STEPS)[""]
        if form == "static":
            yield Row(what, form, _shown(ours), "")
            continue
        formed = [explicit(layer) for layer in layers]
        with torch.no_grad():
            gap = (_stacked(layers, inputs, signal) - _stacked(formed, inputs, signal)).abs().max()
        theirs = _times({"": partial(_step, formed, inputs, signal)}, EXPLICIT_STEPS)[""]
        faster = f"{median(theirs) / median(ours):.0f} times faster than the next row"
        yield Row(what, form, _shown(ours), faster)
        yield Row("the same, each video's weights formed", form, _shown(theirs), f"gap {gap:.0e}")


def _passes() -> Iterator[Row]:
    """Time one pass over the whole catalog, without gradients, against static layers."""
    rows, signal = torch.randn(CATALOG, FEATURES), torch.randn(CATALOG, SIGNAL)
    present = torch.ones(CATALOG, len(WIDTHS), dtype=torch.bool)
    calls: dict[tuple[str, str], Call] = {}
    for width in EXTRACTORS:
        network = _network("cpd", extractor=width)
        what = f"network, extractor {FEATURES}-{width}-{SIGNAL}"
        calls[what, "cpd"] = partial(network, rows, present)
    # The full form comes last: what it frees disturbs the next one, in the next round the wide
    # extractor, whose time is so long that it does not matter.
    for form in FORMS:
        calls["layers", form] = partial(_stacked, _network(form).layers, rows, signal)
    with torch.no_grad():
        times = _times(calls, PASSES)
    static = median(times["layers", "static"])
    for (what, form), took in times.items():
        factor = f"{median(took) / static:.2f} times the static layers"
        yield Row(f"{what}, {CATALOG} videos in one pass", form, _shown(took), factor)


def _network(form: FusionForm, *, extractor: int = EXTRACTORS[-1]) -> MetaFusion:
    return MetaFusion(
        WIDTHS,
        hidden_dims=HIDDEN,
        output_dim=OUTPUT,
        signal_hidden_dim=extractor,
        signal_dim=SIGNAL,
        rank=RANK,
        form=form,
    )


def _stacked(layers: Iterable[nn.Module], inputs: Tensor, signal: Tensor) -> Tensor:
    """Send `inputs: (B, F)` through `layers` as `MetaFusion` does."""
    for depth, layer in enumerate(layers):
        if depth:
            inputs = leaky_relu_(inputs, 0.01)
        inputs = layer(inputs, signal)
    return inputs


def _step(layers: Iterable[nn.Module], inputs: Tensor, signal: Tensor) -> None:
    """Fuse and take every gradient, as a step of training does."""
    leaves = [inputs, signal, *(p for layer in layers for p in layer.parameters())]
    fused = _stacked(layers, inputs, signal)
    torch.autograd.grad(fused.square().sum(), leaves, allow_unused=True)


def _times(calls: Mapping[Any, Call], rounds: int) -> dict[Any, list[float]]:
    """Return the milliseconds of each of `calls`, made in turn `rounds` times after a first one."""
    took: dict[Any, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if number:
                took[name].append((time.perf_counter() - started) * 1000)
    return took


def _shown(took: list[float]) -> str:
    return f"{median(took):.1f} ({min(took):.1f} to {max(took):.1f})"


if __name__ == "__main__":
    main()
