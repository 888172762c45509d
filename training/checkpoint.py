"""The folder of one training run: what was asked, a line of figures an epoch, a checkpoint.

Knows files and what a trainer says of its state; nothing of objectives or networks.
"""

import hashlib
import json
import time
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import msgspec
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from training.config import FitConfig, recorded
from training.data.dataset import SPLITS, Dataset
from training.durable import replacing, write_whole
from training.errors import CorruptCheckpoint, InvalidConfig

FORMAT_VERSION: Final = 1
CHECKPOINT: Final = "checkpoint.safetensors"
EPOCHS: Final = "epochs.jsonl"
REQUEST: Final = "run.json"
# The run folder of a member of an ensemble, in that of all of them.
MEMBER: Final = "member-{}"
# A checkpoint costs a write of the whole state; losing this much work is cheaper.
SECONDS_BETWEEN: Final = 10.0


class EpochReport(NamedTuple):
    """How training stands after an epoch.

    `judged` holds recall@20 and ndcg@20 on validation, overall, warm and cold (a group without
    users is empty); None where it was not due. `best` is the best overall recall@20 so far, None
    while there is none. In an ensemble of `members` it is of the one of this number, from 1.
    """

    epoch: int
    max_epochs: int
    loss: float
    judged: dict[str, dict[str, float]] | None
    best: float | None
    seconds: float
    member: int = 1
    members: int = 1

    @property
    def validation(self) -> float | None:
        """Overall recall@20 on validation, None where it was not due."""
        return None if self.judged is None else self.judged["overall"]["recall@20"]


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

    def __init__(
        self,
        folder: Path,
        dataset: Dataset,
        config: FitConfig,
        *,
        seed: int,
        seconds_between: float = SECONDS_BETWEEN,
    ) -> None:
        """Create `folder`, or take it up again where it holds the same request.

        A checkpoint is written after the first epoch that ends `seconds_between` after the last
        one. Only `record` and `save` write files; of processes that train together one calls them.

        Raises:
            InvalidConfig: it holds another one: other settings, seed or data.
            CorruptCheckpoint: what it asked for cannot be read.
        """
        self.folder = folder
        self._seconds_between = seconds_between
        self._saved = time.monotonic()
        # How many epochs the log is known to hold.
        self._logged: int | None = None
        folder.mkdir(parents=True, exist_ok=True)
        request = {
            "format_version": FORMAT_VERSION,
            "dataset": dataset.name,
            "fingerprint": fingerprint(dataset),
            "seed": seed,
            "config": recorded(config),
        }
        self._request = json.dumps(request, indent=2) + "\n"
        file = folder / REQUEST
        if not file.exists():
            return
        # As it would be read: a tuple is a list there.
        differences = _differences(_read_request(file), json.loads(self._request))
        if differences:
            raise InvalidConfig(
                f"{folder} holds another run, which differs in {', '.join(differences)}; "
                "choose another folder, or remove it"
            )

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is something to go on from, of this run or of a member of an ensemble."""
        of_members = self.folder.glob(f"{MEMBER.format('*')}/{CHECKPOINT}")
        return (self.folder / CHECKPOINT).exists() or any(of_members)

    def claim(self) -> None:
        """Write down what is asked, so that nothing else is done in this folder."""
        write_whole(self.folder / REQUEST, self._request.encode())

    def resume(self, trainer: Resumable, start: Progress) -> Progress:
        """Restore `trainer` from the checkpoint and return its progress; `start` if there is none.

        Raises:
            CorruptCheckpoint: the checkpoint cannot be read.
        """
        file = self.folder / CHECKPOINT
        if not file.exists():
            return start
        tensors, rest = _read_checkpoint(file)
        try:
            kept = [tensors.pop(f"kept.{place}").to(s) for place, s in enumerate(start.kept)]
            epochs = msgspec.convert(rest.pop("epochs"), list[EpochReport])
            trainer.restore(tensors, rest)
        except (KeyError, TypeError, ValueError, RuntimeError, msgspec.MsgspecError) as error:
            fault = f"it is not the state of this network ({error!r})"
            raise CorruptCheckpoint(file, fault) from error
        return Progress(epochs, kept)

    def record(self, trainer: Resumable, progress: Progress) -> None:
        """Log the last epoch, and save a checkpoint unless the last one is young."""
        self._log(progress.epochs)
        if time.monotonic() - self._saved >= self._seconds_between:
            self.save(trainer, progress)

    def save(self, trainer: Resumable, progress: Progress) -> None:
        """Replace the checkpoint: whole or not at all."""
        self._log(progress.epochs)
        tensors, rest = trainer.state()
        kept = {f"kept.{place}": tensor for place, tensor in enumerate(progress.kept)}
        said = json.dumps({**rest, "epochs": progress.epochs})
        contiguous = {name: t.cpu().contiguous() for name, t in {**tensors, **kept}.items()}
        with replacing(self.folder / CHECKPOINT) as scratch:
            save_file(contiguous, scratch, metadata={"state": said})
        self._saved = time.monotonic()

    def _log(self, epochs: list[EpochReport]) -> None:
        lines = b"".join(_line(entry) for entry in epochs[self._logged :])
        if self._logged is None:
            self.claim()
            # What was logged after the checkpoint has been trained again, or never was.
            write_whole(self.folder / EPOCHS, lines)
        else:
            with (self.folder / EPOCHS).open("ab") as stream:
                stream.write(lines)
        self._logged = len(epochs)


def fingerprint(dataset: Dataset) -> str:
    """Return a digest of all that training reads of `dataset`."""
    counts = [len(dataset.interactions(split)) for split in SPLITS]
    shape = [dataset.users, dataset.videos, counts, list(dataset.feature_dims.items())]
    digest = hashlib.sha256(json.dumps(shape).encode())
    # What is in no split is masked when it is judged; where there is none it adds nothing.
    for part in (*map(dataset.interactions, SPLITS), dataset.seen):
        digest.update(np.ascontiguousarray(part.users).data)
        digest.update(np.ascontiguousarray(part.videos).data)
    digest.update(np.ascontiguousarray(dataset.joined_features).data)
    return digest.hexdigest()


def _differences(known: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    """Name what `asked` has otherwise than `known`: settings by their keys, data as data."""
    if known.get("format_version") != asked["format_version"]:
        return ["its format"]
    found = [f"the {key}" for key in ("dataset", "seed") if known.get(key) != asked[key]]
    if known.get("fingerprint") != asked["fingerprint"]:
        found.append("the data")
    settings = known.get("config")
    there: dict[str, Any] = settings if isinstance(settings, dict) else {}
    here: dict[str, Any] = asked["config"]
    return found + [
        f"{key} ({there.get(key)!r} there, {here.get(key)!r} here)"
        for key in sorted({*here, *there})
        if here.get(key) != there.get(key)
    ]


def _read_request(file: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise CorruptCheckpoint(file, str(error)) from error


def _read_checkpoint(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(file, framework="pt") as stream:
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 - no mapping
            rest = json.loads((stream.metadata() or {})["state"])
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise CorruptCheckpoint(file, f"it cannot be read ({error!r})") from error
    if not isinstance(rest, dict):
        raise CorruptCheckpoint(file, f"its state is {type(rest).__name__}, not an object")
    return tensors, rest


def _line(entry: EpochReport) -> bytes:
    """Return the line of `entry` in the log; a loss that is not finite is null, as in any JSON."""
    figures = {
        "epoch": entry.epoch,
        "max_epochs": entry.max_epochs,
        "loss": entry.loss,
        "validation": entry.judged,
        "best": entry.best,
        "seconds": entry.seconds,
    }
    return msgspec.json.encode(figures) + b"\n"
