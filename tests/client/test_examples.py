"""The examples of the documents, run as they are against a real service."""

import os
import re
import sys
from pathlib import Path

import pytest

from tests.support.bundles import write_small_bundle
from tests.support.commands import run
from tests.support.server import REPOSITORY, serving

pytestmark = pytest.mark.e2e


def test_the_examples_of_the_client_run_as_they_are(tmp_path: Path) -> None:
    text = (REPOSITORY / "docs/client.md").read_text("utf-8")
    examples = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(examples) == 5
    write_small_bundle(tmp_path / "bundles")
    log = f"sqlite:///{tmp_path}/events.db"
    with serving("--bundles", str(tmp_path / "bundles"), "--event-log", log) as process:
        process.wait_for(r"Ready: bundle (\S+)\.")
        code = "\n".join(examples)
        assert "http://127.0.0.1:8000" in code
        code = code.replace("http://127.0.0.1:8000", process.url).replace("reco_…", "reco_x")
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONWARNINGS": "error"}
        done = run([sys.executable, "-c", code], cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1].startswith("body.features.visual body.features.visual: expected 64 numbers")
    assert "100 done, 0 rejected" in lines
