"""Chooses what to train on. The one place that asks whether there is a GPU."""

import torch

from training.errors import InvalidConfig


def choose_device(wanted: str) -> str:
    """Return `cuda` or `cpu` for `wanted` = auto, cuda or cpu.

    Raises:
        InvalidConfig: another name, or CUDA where there is none.
    """
    if wanted not in {"auto", "cuda", "cpu"}:
        raise InvalidConfig(f"--device {wanted!r}: expected auto, cuda or cpu")
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise InvalidConfig("--device cuda: this torch sees no CUDA device")
    return "cuda" if wanted != "cpu" and available else "cpu"
