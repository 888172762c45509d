"""The folder of one training run: what was asked, a line of figures an epoch, a checkpoint.

Knows files and what a trainer says of its state; nothing of objectives or networks.
"""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import msgspec
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from training.config import FitConfig
from training.data.dataset import SPLITS, Dataset
from training.errors import CorruptCheckpoint, InvalidConfig

FORMAT_VERSION: Final = 1
CHECKPOINT: Final = "checkpoint.safetensors"
EPOCHS: Final = "epochs.jsonl"
REQUEST: Final = "run.json"
# A checkpoint costs a write of the whole state; losing this much work is cheaper.
SECONDS_BETWEEN: Final = 10.0


class EpochReport(NamedTuple):
    """How training stands after an epoch; `validation` is recall@20, None where it was not due."""

    epoch: int
    max_epochs: int
    loss: float
    validation: float | None
    best: float
    seconds: float


class Progress(NamedTuple):
    """The epochs so far, and the averaged parameters of the best of them."""

    epochs: list[EpochReport]
    kept: list[Tensor]

    @property
    def seconds(self) -> float:
        """How long training has taken."""
        return self.epochs[-1].seconds if self.epochs else 0.0


class Resumable(Protocol):
    """What a run folder asks of a trainer."""

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all that the next step depends on: tensors, and what JSON can hold."""

    def restore(self, tensors: dict[str, Tensor], rest: dict[str, Any]) -> None:
        """Put a `state` in place."""


class RunFolder:
    """The folder of one run: `run.json`, `epochs.jsonl`, `checkpoint.safetensors`."""

    def __init__(self, folder: Path, dataset: Dataset, config: FitConfig, *, seed: int) -> None:
        """Create `folder`, or take it up again where it holds the same request.

        Raises:
            InvalidConfig: it holds another one: other settings, seed or data.
        """
        self.folder = folder
        self._saved = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)
        request = {
            "format_version": FORMAT_VERSION,
            "dataset": dataset.name,
            "fingerprint": _fingerprint(dataset),
            "seed": seed,
            "config": msgspec.to_builtins(config),
        }
        file = folder / REQUEST
        if not file.exists():
            _write(file, json.dumps(request, indent=2).encode() + b"\n")
        elif (known := _read_request(file)) != json.loads(json.dumps(request)):
            changed = sorted(key for key in request if known.get(key) != request[key])
            raise InvalidConfig(
                f"{folder} holds another run (it differs in {', '.join(changed)}); "
                "choose another folder, or remove it"
            )

    def resume(self, trainer: Resumable, start: Progress) -> Progress:
        """Restore `trainer` from the checkpoint and return its progress; `start` if there is none.

        Raises:
            CorruptCheckpoint: the checkpoint cannot be read.
        """
        file = self.folder / CHECKPOINT
        progress = start
        if file.exists():
            tensors, rest = _read_checkpoint(file)
            kept = [tensors.pop(f"kept.{place}") for place in range(len(start.kept))]
            epochs = [EpochReport(*entry) for entry in rest.pop("epochs")]
            trainer.restore(tensors, rest)
            progress = Progress(epochs, [t.to(s) for t, s in zip(kept, start.kept, strict=True)])
        # What was logged after the checkpoint will be logged again.
        lines = b"".join(_line(entry) for entry in progress.epochs)
        _write(self.folder / EPOCHS, lines)
        return progress

    def record(self, trainer: Resumable, progress: Progress) -> None:
        """Log the last epoch, and save a checkpoint unless the last one is young."""
        with (self.folder / EPOCHS).open("ab") as stream:
            stream.write(_line(progress.epochs[-1]))
        if time.monotonic() - self._saved >= SECONDS_BETWEEN:
            self.save(trainer, progress)

    def save(self, trainer: Resumable, progress: Progress) -> None:
        """Replace the checkpoint: whole or not at all."""
        tensors, rest = trainer.state()
        kept = {f"kept.{place}": tensor for place, tensor in enumerate(progress.kept)}
        said = json.dumps({**rest, "epochs": progress.epochs})
        contiguous = {name: t.cpu().contiguous() for name, t in {**tensors, **kept}.items()}
        _write(self.folder / CHECKPOINT, save(contiguous, metadata={"state": said}))
        self._saved = time.monotonic()


def _fingerprint(dataset: Dataset) -> str:
    digest = hashlib.sha256()
    for split in SPLITS:
        part = dataset.interactions(split)
        digest.update(part.users.tobytes())
        digest.update(part.videos.tobytes())
    digest.update(dataset.joined_features.tobytes())
    return digest.hexdigest()


def _read_request(file: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise CorruptCheckpoint(file, str(error)) from error


def _read_checkpoint(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(file, framework="pt") as stream:
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 - no mapping
            rest = json.loads((stream.metadata() or {})["state"])
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise CorruptCheckpoint(file, str(error)) from error
    return tensors, rest


def _line(entry: EpochReport) -> bytes:
    return json.dumps(entry._asdict()).encode() + b"\n"


def _write(file: Path, content: bytes) -> None:
    scratch = file.with_name(f".{file.name}.partial")
    with scratch.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    scratch.replace(file)
