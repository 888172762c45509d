"""Builds the networks that can be trained: where a configuration becomes a network."""

from collections.abc import Callable
from typing import Any, Final

import torch

from models.baselines.bpr_mf import BprMf
from models.fusion import MetaFusion
from models.recommender import MetaMMF
from training.config import FitConfig
from training.data.dataset import Dataset


def build_meta_mmf(dataset: Dataset, config: FitConfig) -> MetaMMF:
    """Build MetaMMF_MF for `dataset`."""
    fusion = MetaFusion(
        dataset.feature_dims,
        hidden_dims=config.hidden_dims,
        output_dim=config.vector_dim + 1,
        signal_hidden_dim=config.signal_hidden_dim,
        signal_dim=config.signal_dim,
        rank=config.rank,
        form=config.fusion,
    )
    features, present = torch.from_numpy(dataset.joined_features), torch.from_numpy(dataset.present)
    return MetaMMF(fusion, features, present, users=dataset.users, id_dim=config.id_dim)


def build_bpr_mf(dataset: Dataset, config: FitConfig) -> BprMf:
    """Build the plain matrix factorisation that MetaMMF is measured against."""
    return BprMf(users=dataset.users, videos=dataset.videos, width=config.vector_dim)


BUILDERS: Final[dict[str, Callable[[Dataset, FitConfig], Any]]] = {
    "metammf-mf": build_meta_mmf,
    "bpr-mf": build_bpr_mf,
}
