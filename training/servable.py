"""Brings any fitted system into the form that a bundle has: unit vectors, and a fusion network.

Knows vectors, features and one network; nothing of files. What MetaMMF is fitted to is in that form
already. See docs/adr/0022-any-system-can-be-served.md.
"""

from dataclasses import replace
from typing import Final

import numpy as np
import torch
from torch import Tensor

from models.arrival import arrival_vectors
from models.fusion import MetaFusion
from models.recommender import BLOCK, Rehearsing
from training.build import fusion_of
from training.config import FitConfig
from training.data.dataset import Dataset, Floats, Mask
from training.loop import Fitted
from training.untrained.content import ContentNeighbours

# Vectors whose lengths differ by less have one length.
ROUNDING: Final = 1e-4
SHORTEST: Final = 1e-12
# Of the longest: what is shorter is rounding.
NO_LENGTH: Final = 1e-6
# How the fusion network is fitted to vectors. A tenth of the videos tells when it is best.
STEPS_AT_MOST: Final = 2000
JUDGED_EVERY: Final = 20
PATIENCE: Final = 200
BATCH: Final = 512
HELD_OUT: Final = 0.1
LEARNING_RATE: Final = 3e-3
DECAY: Final = 0.1


def servable(fitted: Fitted, dataset: Dataset, config: FitConfig, *, seed: int) -> Fitted:
    """Return `fitted` with vectors of unit length and a fusion network; MetaMMF's as it is.

    A user's videos come in the order that they came in before (see `unit_vectors`). The fusion
    network is one of `config`'s sizes, fitted to give the vectors of known videos by their features
    alone, or, where a system has a way of its own to represent arrivals, what that gives for all
    videos: so do profiles of content. Videos without a training interaction are then represented by
    the network, as the service represents arrivals.
    """
    if fitted.fusion is not None:
        return fitted
    known, rows = ~dataset.cold, torch.arange(dataset.videos)
    videos, targets = fitted.videos, fitted.videos
    if isinstance(fitted.network, ContentNeighbours):
        known = np.ones(dataset.videos, np.bool_)
    elif isinstance(fitted.network, Rehearsing):
        with torch.no_grad():
            targets = fitted.network.arrivals(rows).cpu().numpy()
        known = np.ones(dataset.videos, np.bool_)
    users, videos, targets = unit_vectors(fitted.users, videos, targets)
    fusion = fused_alike(targets, known, dataset, config, seed=seed)
    videos[dataset.cold] = _arrivals(fusion, dataset)[dataset.cold]
    return replace(fitted, users=users, videos=videos, fusion=fusion)


def unit_vectors(users: Floats, videos: Floats, others: Floats) -> tuple[Floats, Floats, Floats]:
    """Return all three of unit length, so that cosines rank videos as inner products did.

    Users are scaled, which changes no order of theirs; of whom nothing is known, so that they have
    no length but for rounding, take the mean direction of the others. `videos: (V, D)`, and
    `others: (V, D)`, which stand for videos too, are scaled as one, and what the longest has more
    than another is put into a further column, where users have 0 (Bachrach et al., RecSys 2014);
    none where all have one length.
    """
    lengths = np.linalg.norm(np.concatenate([videos, others]), axis=1)
    longest = float(max(lengths.max(), SHORTEST))
    sides = [videos / longest, others / longest]
    users = _directions(users)
    if lengths.min() < longest * (1 - ROUNDING):
        rest = [np.sqrt(np.maximum(0, 1 - (side**2).sum(1, keepdims=True))) for side in sides]
        sides = [np.hstack(pair) for pair in zip(sides, rest, strict=True)]
        users = np.hstack([users, np.zeros((len(users), 1))])
    users, *sides = (side.astype(np.float32) for side in (users, *sides))
    return users, sides[0], sides[1]


def _directions(users: Floats) -> Floats:
    lengths = np.linalg.norm(users, axis=1, keepdims=True)
    known = lengths > NO_LENGTH * lengths.max()
    users = np.where(known, users / np.maximum(lengths, SHORTEST), 0)
    common = users.sum(axis=0)
    if not common.any():
        common[0] = 1
    directions: Floats = np.where(known, users, common / np.linalg.norm(common))
    return directions


def fused_alike(
    vectors: Floats, known: Mask, dataset: Dataset, config: FitConfig, *, seed: int
) -> MetaFusion:
    """Return a fusion network whose directions are near `vectors: (V, D)` where `known: (V,)`.

    What is minimised is 1 - cosine; each modality is left out of a video now and then, as in
    `config`, so that it does without. The steps after which the videos held out are nearest count.
    """
    rng = np.random.default_rng(seed)
    features, present = torch.from_numpy(dataset.joined_features), torch.from_numpy(dataset.present)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fusion = fusion_of(dataset, config, output_dim=vectors.shape[1])
    fusion.learn_scaling(features, present)
    standardised = fusion.standardise(features, present)
    rows = rng.permutation(np.flatnonzero(known))
    apart = int(len(rows) * HELD_OUT)
    held, taught = torch.from_numpy(rows[:apart]), rows[apart:]
    wanted = torch.from_numpy(vectors)
    optimiser = torch.optim.AdamW(fusion.parameters(), lr=LEARNING_RATE, weight_decay=DECAY)
    best, kept, kept_at = -np.inf, fusion.state_dict(), 0
    for step in range(STEPS_AT_MOST):
        some = rng.choice(taught, min(BATCH, len(taught)), replace=False)
        stays = rng.random((len(some), present.shape[1])) >= config.modality_dropout
        alone = ~(stays & dataset.present[some]).any(axis=1, keepdims=True)
        left = torch.from_numpy((stays | alone) & dataset.present[some])
        found = fusion(fusion.masked(standardised[some], left), left)
        loss = 1 - _cosines(found, wanted[some]).mean()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        if step % JUDGED_EVERY == 0 and len(held):
            with torch.no_grad():
                near = _cosines(fusion(standardised[held], present[held]), wanted[held]).mean()
            if near > best:
                best, kept_at = float(near), step
                kept = {name: tensor.clone() for name, tensor in fusion.state_dict().items()}
            elif step - kept_at > PATIENCE:
                break
    fusion.load_state_dict(kept)
    return fusion.eval()


def _cosines(found: Tensor, wanted: Tensor) -> Tensor:
    return torch.nn.functional.cosine_similarity(found, wanted)


def _arrivals(fusion: MetaFusion, dataset: Dataset) -> Floats:
    """Return what the service makes of the features of each video: (V, D)."""
    features, present = torch.from_numpy(dataset.joined_features), torch.from_numpy(dataset.present)
    blocks = zip(torch.split(features, BLOCK), torch.split(present, BLOCK), strict=True)
    found = [arrival_vectors(fusion, fusion.standardise(*block), block[1]) for block in blocks]
    return np.asarray(torch.cat(found).numpy())
