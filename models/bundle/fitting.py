"""Tells whether the arrays of a bundle fit its manifest and each other. Knows arrays alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from models.bundle import layout
from models.bundle.errors import CorruptBundle
from models.bundle.ids import check_permutation, check_starts

if TYPE_CHECKING:
    from models.bundle.reader import Bundle

# How far from 1 rounding may leave the length of a vector.
LENGTH_SLACK: Final = 1e-3
ROWS_AT_ONCE: Final = 1 << 16


@contextmanager
def named(file: Path) -> Iterator[None]:
    """Let what is wrong with the content of `file` be said of it.

    Raises:
        CorruptBundle: a ValueError was raised.
    """
    try:
        yield
    except ValueError as error:
        raise CorruptBundle(file, str(error)) from error


def verify_fit(bundle: "Bundle") -> None:
    """See that vectors are finite and of unit length and rows within bounds, and all shapes.

    Raises:
        CorruptBundle: something does not fit; names the file.
    """
    with named(bundle.folder / layout.VECTORS):
        _check_vectors(bundle)
    with named(bundle.folder / layout.SEEN):
        _check_seen(bundle)
    with named(bundle.folder / layout.ABLATIONS):
        _check_ablations(bundle)


def _check_vectors(bundle: "Bundle") -> None:
    users, videos, width = bundle.manifest.users, bundle.manifest.videos, bundle.manifest.vector_dim
    for name, count in (("users", users), ("videos", videos)):
        array = getattr(bundle, name)
        _check_shape(name, array, (count, width))
        for start in range(0, count, ROWS_AT_ONCE):
            _check_lengths(name, array[start : start + ROWS_AT_ONCE], start)
    for name, array in bundle.geometry._asdict().items():
        _check_shape(name, array, (width, width) if name == "evening" else (width,))
        _check_finite(name, array)


def _check_lengths(name: str, rows: NDArray[np.float32], start: int) -> None:
    lengths = np.sqrt(np.einsum("rd,rd->r", rows, rows))
    # What is not finite makes no length that is.
    if not np.isfinite(lengths).all():
        raise ValueError(f"{name} holds values that are not finite")
    if (np.abs(lengths - 1) > LENGTH_SLACK).any():
        row = int(np.argmax(np.abs(lengths - 1)))
        raise ValueError(f"{name} row {start + row} is {lengths[row]:.4f} long, expected 1")


def _check_seen(bundle: "Bundle") -> None:
    users, videos = bundle.manifest.users, bundle.manifest.videos
    counts = {"activity": users, "popularity": videos, "feature_digests": videos, "hidden": videos}
    for name, count in counts.items():
        _check_shape(name, getattr(bundle, name), (count,))
    _check_shape("starts", bundle.seen_starts, (users + 1,))
    rows = bundle.seen_videos
    _check_shape("videos", rows, (rows.size,))
    check_starts(bundle.seen_starts, end=len(rows))
    if len(rows) and not 0 <= rows.min() <= rows.max() < videos:
        raise ValueError(f"names video rows beyond {videos}")
    _check_popular(bundle.popular, bundle.popularity)


def _check_popular(popular: NDArray[np.int64], popularity: NDArray[np.int64]) -> None:
    check_permutation(popular, len(popularity), "popular")
    counts = popularity[popular]
    if (counts[1:] > counts[:-1]).any() or (
        (counts[1:] == counts[:-1]) & (popular[1:] < popular[:-1])
    ).any():
        raise ValueError("popular is not in order of popularity")


def _check_ablations(bundle: "Bundle") -> None:
    if bundle.ablations is None:
        return
    manifest = bundle.manifest
    expected = (manifest.videos, (1 << len(manifest.modalities)) - 1, manifest.vector_dim)
    _check_shape("content", bundle.ablations, expected)
    for start in range(0, manifest.videos, ROWS_AT_ONCE):
        _check_finite("content", bundle.ablations[start : start + ROWS_AT_ONCE])


def _check_shape(name: str, array: NDArray[np.generic], expected: tuple[int, ...]) -> None:
    if array.shape != expected:
        raise ValueError(f"{name} is {array.shape}, expected {expected}")


def _check_finite(name: str, array: NDArray[np.floating]) -> None:
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds values that are not finite")
