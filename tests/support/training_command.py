"""Runs the trainer's command line in this process, or starts it in one of its own."""

import os
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner, Result

from training.__main__ import app


def call(*arguments: str | Path) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def start(*arguments: str | Path) -> "subprocess.Popen[str]":
    """Start a command in a process of its own."""
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "training", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def refused(*arguments: str | Path) -> str:
    """Run a command that must fail, and return what it tells."""
    result = call(*arguments)
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    told = f"\n{result.stderr}".partition("\nerror: ")[2]
    assert 0 < len(told) < 1000
    return told
