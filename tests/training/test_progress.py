"""What a person sees of training: a bar on a terminal, plain lines in a log."""

from io import StringIO
from math import nan

import pytest
from rich.console import Console

from training.checkpoint import EpochReport
from training.progress import epochs_shown

JUDGED = {"overall": {"recall@20": 0.25, "ndcg@20": 0.125}, "warm": {}, "cold": {}}


def shown(reports: list[EpochReport], *, terminal: bool) -> str:
    stream = StringIO()
    console = Console(file=stream, force_terminal=terminal, width=200, highlight=False)
    with epochs_shown(console, "fitting") as show:
        for report in reports:
            show(report)
    return stream.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_while_nothing_was_judged_there_is_no_best(terminal: bool) -> None:
    text = shown([EpochReport(1, 30, 0.5, None, None, 2.0)], terminal=terminal)
    assert "loss 0.5000, validation recall@20 - (best -), 2 s" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_what_was_judged_is_told(terminal: bool) -> None:
    text = shown([EpochReport(10, 30, 0.5, JUDGED, 0.5, 2.0)], terminal=terminal)
    assert "validation recall@20 0.2500 (best 0.5000)" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_a_loss_that_is_no_number_is_told_when_it_comes(terminal: bool) -> None:
    reports = [
        EpochReport(epoch, 30, loss, None, None, 2.0) for epoch, loss in ((1, 1.0), (2, nan))
    ]
    text = shown(reports, terminal=terminal)
    assert text.count("fitting: the loss is nan in epoch 2; it ends here") == 1


def test_a_log_gets_a_line_for_the_first_and_for_every_tenth_epoch() -> None:
    reports = [EpochReport(epoch, 30, 0.5, None, None, 2.0) for epoch in range(1, 31)]
    lines = shown(reports, terminal=False).splitlines()
    assert [line.partition("/")[0] for line in lines] == [
        "fitting: epoch 1", "fitting: epoch 10", "fitting: epoch 20", "fitting: epoch 30",
    ]  # fmt: skip
    assert "\x1b" not in "".join(lines)


def test_a_terminal_gets_a_bar_that_is_redrawn() -> None:
    reports = [EpochReport(epoch, 30, 0.5, None, None, 2.0) for epoch in range(1, 31)]
    text = shown(reports, terminal=True)
    assert "━" in text
    assert "30/30" in text
