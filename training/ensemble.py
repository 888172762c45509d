"""Trains several networks that differ in their seed alone, and makes one system of them.

Knows their vectors; nothing of steps. See docs/adr/0026-ensembles.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import msgspec
import numpy as np
import torch

from models.ensemble import FusionEnsemble
from models.fusion import MetaFusion
from training.axes import moments, principal_axes
from training.checkpoint import MEMBER, EpochReport, RunFolder
from training.config import FitConfig
from training.data.dataset import Dataset
from training.loop import Fitted, Member, fit
from training.team import ALONE, Team


def fit_members(
    dataset: Dataset,
    config: FitConfig,
    *,
    seed: int = 0,
    max_seconds: float | None = None,
    run: RunFolder | None = None,
    team: Team = ALONE,
    report: Callable[[EpochReport], None] = lambda _: None,
) -> Fitted:
    """Train `config.members` networks, one after the other, and bring them together.

    Everything is as in `fit`, which does it all where there is one. Each has an equal share of
    `max_seconds`, and a folder of its own in that of the `run`, so that a cut costs no more than
    the work since its last checkpoint.

    Raises:
        Diverged: a member did, before anything of it was judged.
    """
    if config.members == 1:
        return fit(
            dataset, config, seed=seed, max_seconds=max_seconds, run=run, team=team, report=report
        )
    if run is not None and team.leads:
        run.claim()
    one = msgspec.structs.replace(config, members=1)
    share = None if max_seconds is None else max_seconds / config.members
    fits = []
    for member, own in enumerate(seeds_of(config.members, seed), start=1):
        folder = None
        if run is not None:
            folder = RunFolder(run.folder / MEMBER.format(member), dataset, one, seed=own)
        tell = partial(_tell, report, member, config.members)
        found = fit(dataset, one, seed=own, max_seconds=share, run=folder, team=team, report=tell)
        # A network holds the features of all videos: it is not to outlive its training.
        fits.append(replace(found, network=None))
        del found
    return together(fits, dataset)


def seeds_of(members: int, seed: int) -> range:
    """Return the seed of each member of the ensemble of this `seed`; no other one has any of it."""
    return range(seed * members, (seed + 1) * members)


def _tell(
    report: Callable[[EpochReport], None], member: int, members: int, entry: EpochReport
) -> None:
    report(entry._replace(member=member, members=members))


def together(fits: Sequence[Fitted], dataset: Dataset) -> Fitted:
    """Return the ensemble of `fits`: as wide as one of them, of unit vectors, as they are.

    Side by side the vectors of M members are M times as wide, and their inner product is the sum of
    the members' cosines. They are mapped onto the D axes along which those of users, of whom
    something was learnt, and of videos extend furthest, so that little of the inner products is
    lost (their principal axes, not centred), and scaled to unit length.
    """
    users, videos = [f.users for f in fits], [f.videos for f in fits]
    extent = moments(users, np.unique(dataset.train.users))
    extent += moments(videos, np.arange(dataset.videos))
    axes = principal_axes(extent, users[0].shape[1])
    fusion = FusionEnsemble([f.fusion for f in fits if isinstance(f.fusion, MetaFusion)])
    fusion.projection.copy_(torch.from_numpy(axes.copy()).view_as(fusion.projection))
    return Fitted(
        fusion.together(map(torch.from_numpy, users)).numpy(),
        fusion.together(map(torch.from_numpy, videos)).numpy(),
        fusion.eval(),
        None,
        fits[0].epochs,
        members=[Member(f.epochs, f.common) for f in fits],
    )
