"""All that is trained finds its way onto a device that is not the CPU, and back."""

import json
import sys

import pytest

from tests.support.commands import run
from tests.support.other_device import CHANGED
from tests.support.source import ROOT
from training.build import BUILDERS

DONE = [*BUILDERS, *CHANGED, "cut"]


@pytest.fixture(scope="module")
def differences(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    """What differs where the network lies on another device, by what was done."""
    folder = tmp_path_factory.mktemp("other")
    done = run([sys.executable, "-m", "tests.support.other_device", str(folder)], cwd=ROOT)
    assert done.returncode == 0, done.stderr
    told: dict[str, str | None] = json.loads(done.stdout)
    return told


@pytest.mark.e2e
def test_the_device_refuses_to_be_mixed(differences: dict[str, str | None]) -> None:
    assert differences["mixed"] == "aten.add.Tensor: expected all tensors to be on the same device"


@pytest.mark.e2e
@pytest.mark.parametrize("name", DONE)
def test_it_computes_what_the_cpu_does(name: str, differences: dict[str, str | None]) -> None:
    assert differences[name] is None


@pytest.mark.e2e
def test_everything_was_asked(differences: dict[str, str | None]) -> None:
    assert set(differences) == {"mixed", *DONE}
