"""What each modality gives to the fused vector, and how much of that the meta learner makes.

Under the signal s of a video the first meta layer is linear in its input x = [x_1 … x_M], so that
its output is a sum over the modalities, each term made from the layer with all other blocks of x
set to 0:

    c_m = w_m + d_m,    w_m = x_m W    d_m = x_m (W_i - W)

w_m, the static part, passes through the same matrix for all videos; d_m, the dynamic part, is what
the video's own weights add. For the CP decomposition d_m is ((x_m A) * (s C^T)) B. In the static
form it is 0. (s is read off all modalities, so d_m tells what is done to modality m, not by it.)
What the layers above make of the sum is not linear and cannot be told apart so.

Every form gives x W under a signal of zero, so w_m is layer(x_m, 0) and d_m is
layer(x_m, s) - layer(x_m, 0). x is standardised. Knows the fusion network; nothing of pictures.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.fusion import MetaFusion
from models.modality import Modality
from models.recommender import BLOCK
from training.data.dataset import Dataset, Floats, Rows

# Points on two axes: N rows of two.
Plane = NDArray[np.float64]

NO_MODALITY: Final = -1


@dataclass(frozen=True, eq=False)
class Shares:
    """What modality m gives, for each of `modalities`, each field (M,).

    `static` and `dynamic` are the mean lengths of w_m and d_m over the videos that have m. `share`
    is the mean of |c_m| / (|c_1| + … + |c_M|) over the videos that have any; what a video lacks
    counts 0, so that the shares add up to 1. `videos` is how many have m. `leading: (V,)` is the
    modality of the longest c_m, NO_MODALITY where there is none.
    """

    modalities: tuple[Modality, ...]
    static: Floats
    dynamic: Floats
    share: Floats
    videos: Rows
    leading: Rows


def modality_shares(fusion: MetaFusion, dataset: Dataset) -> Shares:
    """Return what `fusion` takes from each modality of the videos of `dataset`."""
    present = dataset.present
    lengths = np.concatenate([_lengths(fusion, *block) for block in _blocks(dataset)], axis=1)
    whole, static, dynamic = lengths * present
    known = present.any(axis=1)
    videos = present.sum(axis=0)
    total = whole.sum(axis=1, keepdims=True)
    # All of a video's contributions can be 0: it then has no shares.
    share = np.divide(whole, total, out=np.zeros_like(whole), where=total > 0)
    return Shares(
        modalities=fusion.modalities,
        static=static.sum(axis=0) / np.maximum(1, videos),
        dynamic=dynamic.sum(axis=0) / np.maximum(1, videos),
        share=share.sum(axis=0) / max(1, int((total > 0).sum())),
        videos=videos,
        leading=np.where(known, np.where(present, whole, -1).argmax(axis=1), NO_MODALITY),
    )


@torch.no_grad()
def signals(fusion: MetaFusion, dataset: Dataset) -> Floats:
    """Return what steers the layers of each video: (V, S); S is 0 in the static form."""
    found = [fusion.signal(filled(fusion, *block)) for block in _blocks(dataset)]
    return np.asarray(torch.cat(found).numpy())


def principal_plane(points: Floats) -> tuple[Plane, list[float]]:
    """Project `points: (N, S)` onto their first two principal axes: (N, 2), and the variance there.

    The second is a share of all variance for each axis. An axis points to where its largest weight
    is positive, so that the picture repeats. Axes that do not exist are 0.
    """
    centred = points.astype(np.float64) - points.mean(axis=0, dtype=np.float64)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:2]
    signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
    plane = np.zeros((len(points), 2))
    plane[:, : len(axes)] = centred @ (axes * signs[:, None]).T
    variance = np.zeros(2)
    variance[: len(axes)] = singular[:2] ** 2 / max(float((singular**2).sum()), 1e-30)
    return plane, variance.tolist()


def filled(fusion: MetaFusion, features: Tensor, present: Tensor) -> Tensor:
    """Return the input of the first layer for raw `features: (B, F)`, `present: (B, M)`: (B, F)."""
    return fusion.filled(fusion.standardise(features, present), present)


@torch.no_grad()
def contributions(
    fusion: MetaFusion, features: Tensor, present: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """Return w_m and d_m for each modality m, (B, O) each, of raw `features: (B, F)`."""
    inputs = filled(fusion, features, present)
    signal = fusion.signal(inputs)
    layer = fusion.layers[0]
    blocks = [inputs * columns for columns in fusion.blocks]
    static = [layer(block, torch.zeros_like(signal)) for block in blocks]
    dynamic = [layer(block, signal) - rest for block, rest in zip(blocks, static, strict=True)]
    return static, dynamic


def _lengths(fusion: MetaFusion, features: Tensor, present: Tensor) -> Floats:
    """Return |c_m|, |w_m| and |d_m|: (3, B, M)."""
    static, dynamic = contributions(fusion, features, present)
    whole = [one + other for one, other in zip(static, dynamic, strict=True)]
    lengths = [torch.stack([part.norm(dim=1) for part in p], 1) for p in (whole, static, dynamic)]
    return np.asarray(torch.stack(lengths).numpy())


def _blocks(dataset: Dataset) -> list[tuple[Tensor, Tensor]]:
    features, present = torch.from_numpy(dataset.joined_features), torch.from_numpy(dataset.present)
    return list(zip(torch.split(features, BLOCK), torch.split(present, BLOCK), strict=True))
