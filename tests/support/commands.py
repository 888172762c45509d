"""Runs a command to its end and returns what it said. Knows processes alone."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def run(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `command` in `cwd`; the caller looks at the exit status."""
    return subprocess.run(  # noqa: S603 - the command is written in a test
        command, cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
