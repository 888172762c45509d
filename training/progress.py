"""Shows a person that training goes on: a bar on a terminal, plain lines elsewhere."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from training.checkpoint import EpochReport

LINES_EVERY = 10


@contextmanager
def epochs_shown(console: Console, title: str) -> Iterator[Callable[[EpochReport], None]]:
    """Yield a function that shows one `EpochReport` after the other."""
    if not console.is_terminal:
        yield lambda report: _print_some(console, title, report)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[state]}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=None, state="")

        def show(report: EpochReport) -> None:
            progress.update(
                task, completed=report.epoch, total=report.max_epochs, state=_state(report)
            )
            _warn(console, title, report)

        yield show


def _print_some(console: Console, title: str, report: EpochReport) -> None:
    if report.epoch == 1 or report.epoch % LINES_EVERY == 0:
        text = f"{title}: epoch {report.epoch}/{report.max_epochs}, {_state(report)}"
        console.print(text, soft_wrap=True)
    _warn(console, title, report)


def _warn(console: Console, title: str, report: EpochReport) -> None:
    if not math.isfinite(report.loss):
        text = f"{title}: the loss is {report.loss} in epoch {report.epoch}; it ends here"
        console.print(text, soft_wrap=True)


def _state(report: EpochReport) -> str:
    member = f"member {report.member} of {report.members}, " if report.members > 1 else ""
    return (
        f"{member}loss {report.loss:.4f}, validation recall@20 {figure_shown(report.validation)} "
        f"(best {figure_shown(report.best)}), {report.seconds:.0f} s"
    )


def figure_shown(figure: float | None) -> str:
    """Return a metric as people read it."""
    return "-" if figure is None else f"{figure:.4f}"
