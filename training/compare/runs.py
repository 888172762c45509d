"""One run of a comparison and the file it is kept in, so that it is never run again.

Knows files and figures; nothing of how a run is made.
"""

import hashlib
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from training.data.dataset import Floats
from training.data.matrix import UNREADABLE
from training.durable import replacing, write_whole
from training.errors import TrainingError

FORMAT_VERSION: Final = 1
DIGITS: Final = 10


class Request(NamedTuple):
    """What is to be run: `settings` are all there are, defaults and the grid's among them.

    `change` is what the grid says; `fingerprint` is that of the data.
    """

    model: str
    seed: int
    change: dict[str, Any]
    settings: dict[str, Any]
    fingerprint: str

    @property
    def name(self) -> str:
        """A name that no other request has."""
        digest = hashlib.sha256(msgspec.json.encode(self, order="sorted"))
        return f"{self.model}-{self.seed}-{digest.hexdigest()[:DIGITS]}"

    @property
    def shown(self) -> str:
        """What people call it."""
        changes = "".join(f", {key}={value}" for key, value in self.change.items())
        return f"{self.model}, seed {self.seed}{changes}"


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a request.

    `val` and `test` are as `evaluate` reports them. `epochs` were run, of which `best_epoch` was
    kept, those of the first member of an ensemble; 0 where nothing is trained. `seconds` are those
    of training, validation included, or of what stands in its place; `peak_mib` is the most memory
    the process had meanwhile. `arrival_ms` is what the vector of one arrival takes: None where a
    system has none to give.
    """

    model: str
    seed: int
    change: dict[str, Any]
    epochs: int
    best_epoch: int
    seconds: float
    peak_mib: float
    arrival_ms: float | None
    val: dict[str, Any]
    test: dict[str, Any]


class Kept(NamedTuple):
    """A run, and `by_user`: what each user has of each figure on test, (U,), nan where nothing."""

    run: Run
    by_user: dict[str, Floats]


class RunShelf:
    """A folder of finished runs: two files each, and a folder while it is not finished."""

    def __init__(self, folder: Path) -> None:
        """Keep runs in `folder`, which is made."""
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def unfinished(self, request: Request) -> Path:
        """Return the folder that belongs to a run that goes on."""
        return self._folder / f"{request.name}.unfinished"

    def find(self, request: Request) -> Kept | None:
        """Return what came of `request`, if that is known.

        Raises:
            TrainingError: a file cannot be read.
        """
        file, arrays = self._files(request)
        if not file.exists():
            return None
        try:
            run = msgspec.json.decode(file.read_bytes(), type=Run)
            with np.load(arrays) as found:
                return Kept(run, {name: found[name] for name in found.files})
        except (msgspec.MsgspecError, *UNREADABLE) as error:
            said = f"{file}: {error!r}, there or in {arrays.name}"
            raise TrainingError(f"{said}; remove it to run that again") from error

    def keep(self, request: Request, kept: Kept) -> None:
        """Write what came of `request`, whole or not at all."""
        file, arrays = self._files(request)
        with replacing(arrays) as scratch, scratch.open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, **kept.by_user)
        # What is there once this file is there is finished.
        write_whole(file, msgspec.json.format(msgspec.json.encode(kept.run)) + b"\n")

    def _files(self, request: Request) -> tuple[Path, Path]:
        return self._folder / f"{request.name}.json", self._folder / f"{request.name}.npz"
