"""What is run, in which order, and what is chosen: the same for every system.

Each system is fitted with every setting of its grid and the first seed; the one of the best
validation recall@20 is fitted with the other seeds. All have the same splits, and test is never
looked at to choose. Knows runs; nothing of pages or terminals.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, NamedTuple

from training.checkpoint import EpochReport, fingerprint
from training.compare.measuring import made
from training.compare.runs import Kept, Request, RunShelf
from training.compare.systems import Grid
from training.config import OWN, configure, converted, recorded
from training.data.dataset import Dataset
from training.errors import Diverged, InvalidConfig
from training.untrained import UNTRAINED

RUNS: Final = "runs"
# What a missing run is marked by where it is not for want of time.
DIVERGED: Final = "(diverged)"
# Opened for the run of that name; is told of every epoch.
Watch = Callable[[str], AbstractContextManager[Callable[[EpochReport], None]]]


class Plan(NamedTuple):
    """What is asked for: `grids` by system, in the order of the report; `settings` of all."""

    grids: Mapping[str, Grid]
    seeds: Sequence[int]
    settings: Mapping[str, Any]


class Comparison(NamedTuple):
    """What came of a plan: `chosen` runs by system, all that were `tried`, and what is missing."""

    plan: Plan
    chosen: dict[str, list[Kept]]
    tried: list[Kept]
    missing: list[str]


class _TimeIsUpError(Exception):
    """An epoch has ended past the time that was given."""


def compare(
    dataset: Dataset,
    plan: Plan,
    folder: Path,
    *,
    watch: Watch,
    max_seconds: float | None = None,
    device: str = "cpu",
) -> Comparison:
    """Run what `plan` asks for and `folder` does not hold already, on `device`.

    A run that is cut off goes on from its checkpoint. After `max_seconds` the run under way is
    left as it stands and no other one begins.

    Raises:
        InvalidConfig: the settings do not fit a model, or there is no seed.
    """
    if not plan.seeds:
        raise InvalidConfig("a comparison needs a seed")
    shelf = RunShelf(folder / RUNS)
    runner = _Runner(dataset, plan, shelf, watch, max_seconds=max_seconds, device=device)
    first = plan.seeds[0]
    tried: dict[str, list[Kept]] = {model: [] for model in plan.grids}
    # The first setting of every system before the second of any: whoever stops early has a table.
    for model, change in _breadth_first(plan.grids):
        tried[model] += runner.run(model, first, change)
    chosen: dict[str, list[Kept]] = {}
    for model, runs in tried.items():
        if runs:
            chosen[model] = [max(runs, key=_validation)]
    for seed in plan.seeds[1:]:
        for model, runs in chosen.items():
            # Where nothing is drawn, another seed gives the same.
            if model not in UNTRAINED:
                found = runner.run(model, seed, runs[0].run.change)
                tried[model] += found
                runs.extend(found)
    everything = [kept for runs in tried.values() for kept in runs]
    return Comparison(plan, chosen, everything, runner.missing)


def _breadth_first(grids: Mapping[str, Grid]) -> Iterator[tuple[str, dict[str, Any]]]:
    for place in range(max(map(len, grids.values()), default=0)):
        for model, grid in grids.items():
            if place < len(grid):
                yield model, dict(grid[place])


def _validation(kept: Kept) -> float:
    figure: float = kept.run.val["overall"].get("recall@20", 0.0)
    return figure


def settings_of(model: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return all settings of `model`; those of networks are none of one that is not trained.

    Raises:
        InvalidConfig: what is `asked` is unknown, out of range, or does not fit the model.
    """
    if model in UNTRAINED:
        config = converted({**asked, "model": model})
        return {name: getattr(config, name) for name in OWN.get(model, ())}
    return recorded(configure({**asked, "model": model}))


class _Runner:
    """Runs requests while there is time, and remembers those for which there was none."""

    def __init__(
        self,
        dataset: Dataset,
        plan: Plan,
        shelf: RunShelf,
        watch: Watch,
        *,
        max_seconds: float | None,
        device: str,
    ) -> None:
        self._dataset, self._plan, self._shelf, self._watch = dataset, plan, shelf, watch
        self._device = device
        self._fingerprint = fingerprint(dataset)
        self._ends = None if max_seconds is None else time.monotonic() + max_seconds
        self.missing: list[str] = []

    def run(self, model: str, seed: int, change: dict[str, Any]) -> list[Kept]:
        """Return the run of `model`, or nothing if there is no time for it."""
        settings = settings_of(model, {**self._plan.settings, **change})
        request = Request(model, seed, change, settings, self._fingerprint)
        kept = self._shelf.find(request)
        if kept is not None:
            return [kept]
        if self._late():
            self.missing.append(request.shown)
            return []
        try:
            with self._watch(request.shown) as report:
                kept = made(
                    self._dataset,
                    request,
                    self._shelf.unfinished(request),
                    self._in_time(report),
                    device=self._device,
                )
        except _TimeIsUpError:
            self.missing.append(request.shown)
            return []
        except Diverged:
            self.missing.append(f"{request.shown} {DIVERGED}")
            return []
        self._shelf.keep(request, kept)
        return [kept]

    def _late(self) -> bool:
        return self._ends is not None and time.monotonic() >= self._ends

    def _in_time(self, report: Callable[[EpochReport], None]) -> Callable[[EpochReport], None]:
        def watch(entry: EpochReport) -> None:
            report(entry)
            if self._late():
                raise _TimeIsUpError

        return watch
