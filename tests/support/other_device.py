"""A device beside the CPU that computes as it does and refuses to be mixed with it, as a GPU does.

So that a machine without one shows whether everything is put where it belongs. It has to be set up
before the first tensor is put there, and cannot be taken back: use it in a process of its own.
`python -m tests.support.other_device FOLDER` trains every model on either device and prints what
differs, as JSON.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from tests.support.fitting import SEED, Cut, cut_after, sample, small
from training.build import BUILDERS
from training.checkpoint import RunFolder
from training.compare.measuring import made
from training.compare.runs import Request
from training.config import FitConfig, recorded
from training.ensemble import fit_members
from training.loop import Fitted, fit
from training.team import Team

NAME: Final = "other"
aten: Final = torch.ops.aten
CROSSING: Final = (aten.copy_.default, aten._to_copy.default)


class There(Tensor):
    """A tensor on the other device: `held` is what it holds, on this one."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "There":
        """Make a tensor of the same shape and type that says it is there."""
        where: dict[str, Any] = {}
        if held.layout == torch.strided:
            where = {"strides": held.stride(), "storage_offset": held.storage_offset()}
        made_up: There = torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            dtype=held.dtype,
            layout=held.layout,
            device=torch.device(NAME, 0),
            requires_grad=held.requires_grad,
            **where,
        )
        made_up.held = held
        return made_up

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Let `x.data = y` reach what is held; nothing below sees it."""
        if func == Tensor.data.__set__:  # type: ignore[attr-defined]
            args[0].held = args[1].held
            return None
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Do what `func` does, on what is held."""
        return _done(func, args, kwargs or {})


class OtherDevice(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it is entered, tensors can be made on the other device, and put there."""

    def __init__(self) -> None:
        """Begin nothing yet."""
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Do what `func` does, on either device."""
        return _done(func, args, kwargs or {})


def set_up() -> None:
    """Make the device known to torch, by its name."""
    _setup_privateuseone_for_python_backend(NAME)
    module: Any = getattr(torch, NAME)
    # What is drawn there is drawn by the generator of this device.
    module.get_rng_state = lambda _device=0: torch.get_rng_state()
    module.set_rng_state = lambda _state, _device=0: None


def _done(func: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    tensors = _tensors((args, kwargs))
    there = [tensor for tensor in tensors if isinstance(tensor, There)]
    # As on a GPU, a single number may come from here.
    here = [tensor for tensor in tensors if not isinstance(tensor, There) and tensor.dim()]
    asked = None if kwargs.get("device") is None else torch.device(kwargs["device"]).type
    if there and here and func not in CROSSING:
        raise RuntimeError(f"{func}: expected all tensors to be on the same device")
    if not there and asked != NAME:
        return func(*args, **kwargs)
    if func is aten.copy_.default:
        _held(args[0]).copy_(_held(args[1]))
        return args[0]
    on_this = kwargs if asked is None else {**kwargs, "device": torch.device("cpu")}
    bare_args, bare_kwargs = tree_map(_held, (args, on_this))
    found = func(*bare_args, **bare_kwargs)
    if asked == "cpu" or not _tensors(found):
        return found
    known = {id(tensor.held): tensor for tensor in there}

    def put_there(one: Any) -> Any:
        if not isinstance(one, Tensor):
            return one
        return known[id(one)] if id(one) in known else There(one)

    wrapped = tree_map(put_there, found)
    if any(one.layout != torch.strided for one in _tensors((bare_args, bare_kwargs, found))):
        return wrapped
    return return_and_correct_aliasing(func, args, kwargs, wrapped)  # type: ignore[no-untyped-call]


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _held(one: Any) -> Any:
    return one.held if isinstance(one, There) else one


def _brief(model: str, **changes: Any) -> FitConfig:
    return small(model, **{"batch_size": 300, "max_epochs": 2, **changes})


# What is fitted on the other device beside every model as it is.
CHANGED: Final = {
    "rows": _brief("metammf-mf", optimiser="rows"),
    "neighbours": _brief("metammf-lightgcn", neighbours=[4, 3], optimiser="rows"),
    "members": _brief("metammf-mf", members=2),
    **{form: _brief("metammf-mf", fusion=form) for form in ("static", "gate", "full")},
}


def _fits(config: FitConfig) -> str | None:
    with OtherDevice():
        there = fit_members(sample(), config, seed=SEED, team=Team(NAME))
    return _differ(fit_members(sample(), config, seed=SEED), there)


def _goes_on(folder: Path) -> str | None:
    """Fit with a cut after an epoch, there, and without one, here."""
    config, data = _brief("metammf-mf", max_epochs=5), sample()
    here = fit(data, config, seed=SEED)
    with OtherDevice():
        run = RunFolder(folder, data, config, seed=SEED, seconds_between=0.0)
        with suppress(Cut):
            fit(data, config, seed=SEED, run=run, team=Team(NAME), report=cut_after(4))
        run = RunFolder(folder, data, config, seed=SEED)
        there = fit(data, config, seed=SEED, run=run, team=Team(NAME))
    return _differ(here, there)


def _is_compared(model: str, folder: Path) -> str | None:
    """Make the run of a comparison on either device, and hold what it tells side by side."""
    config = _brief(model)
    request = Request(model, SEED, {}, recorded(config), "")
    told = []
    for device in ("cpu", NAME):
        with OtherDevice():
            run = made(sample(), request, folder, lambda _: None, device=device).run
        told.append((run.val, run.test, run.epochs, run.best_epoch, run.arrival_ms is None))
    return None if told[0] == told[1] else f"{told[0]} and {told[1]}"


def _is_mixed() -> str | None:
    with OtherDevice():
        return str(torch.ones(3, device=NAME) + torch.ones(3))


def _differ(here: Fitted, there: Fitted) -> str | None:
    same = np.array_equal(here.users, there.users) and np.array_equal(here.videos, there.videos)
    return None if same else "the vectors differ"


def main(folder: Path) -> None:
    """Print what differs between the devices, or fails, by what is done: null where nothing is."""
    set_up()
    torch.set_num_threads(1)
    done: dict[str, Callable[[], str | None]] = {
        "mixed": _is_mixed,
        **{model: partial(_is_compared, model, folder / model) for model in BUILDERS},
        **{name: partial(_fits, config) for name, config in CHANGED.items()},
        "cut": partial(_goes_on, folder / "cut"),
    }
    told: dict[str, str | None] = {}
    for name, act in done.items():
        try:
            told[name] = act()
        except RuntimeError as error:
            told[name] = str(error)
    sys.stdout.write(json.dumps(told))
    sys.stdout.flush()
    # The thread that torch has started for the device would abort the process in its end.
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
