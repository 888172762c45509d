"""What a bundle says of itself: identity, shapes, checksums, metrics. Knows JSON; opens no file."""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from numpy.typing import NDArray

from models.form import FusionForm


class FileEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of the bundle."""

    bytes: int
    sha256: str


class TensorEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tensor of a safetensors file."""

    shape: tuple[int, ...]
    dtype: str


class FusionEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The form and sizes of the fusion network: it is built before its weights are read.

    Several `members` of these sizes are an ensemble. What has one says nothing of it: so bundles of
    before there were ensembles keep their seal.
    """

    hidden_dims: tuple[int, ...]
    signal_hidden_dim: int
    signal_dim: int
    rank: int
    form: FusionForm
    members: Annotated[int, msgspec.Meta(ge=1, le=16)] = 1


class IndexEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the search index was built, and the recall@20 it reached against exact search.

    `refine` times as many rows as wanted are to be asked for and scored again by the vectors, for
    the index holds them rounded; 1 if it holds them whole. `curve` is recall@20 by nprobe, as far
    as it was measured.
    """

    kind: str
    nprobe: int
    refine: int
    recall_at_20: float
    curve: list[tuple[int, float]] = []


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The manifest of one bundle.

    `bundle_id` ends in the `seal`, so that an altered manifest no longer fits its own name.
    Every vector has unit length: the inner product that scores a video for a user is a cosine.
    `log_position` is the event-log position that training had read, None for none.
    """

    format_version: int
    bundle_id: str
    created_at: str
    git_revision: str
    dataset: str
    training: dict[str, Any]
    modalities: dict[str, int]
    vector_dim: int
    fusion: FusionEntry
    users: int
    videos: int
    index: IndexEntry
    metrics: dict[str, Any]
    files: dict[str, FileEntry]
    tensors: dict[str, dict[str, TensorEntry]]
    log_position: str | None = None


class VersionOnly(msgspec.Struct):
    """The one field that every format version has; read first."""

    format_version: int


def seal(manifest: Manifest) -> str:
    """Return a digest of all that `manifest` says (the checksums of all files too), but its id."""
    said = msgspec.json.encode(msgspec.structs.replace(manifest, bundle_id=""))
    return hashlib.sha256(said).hexdigest()[:10]


def describe_tensors(tensors: Mapping[str, NDArray[Any]]) -> dict[str, TensorEntry]:
    """Return the shape and dtype of each tensor, as the manifest records them."""
    return {name: TensorEntry(array.shape, str(array.dtype)) for name, array in tensors.items()}
