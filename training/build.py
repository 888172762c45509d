"""Builds the networks that can be trained: where a configuration becomes a network."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch

from models.baselines.bpr_mf import BprMf
from models.baselines.cosine_mf import CosineMf
from models.baselines.light_gcn import LightGcnBaseline
from models.baselines.vbpr import Vbpr
from models.fusion import MetaFusion
from models.graph import InteractionGraph, Scaling
from models.propagation import GraphSage, LightGcn
from models.recommender import MetaMMF
from training.config import FitConfig
from training.data.dataset import Dataset


def build(dataset: Dataset, config: FitConfig) -> Any:
    """Return the network of `config.model` for `dataset`, its parameters drawn."""
    return BUILDERS[config.model](dataset, config)


def _fusion(dataset: Dataset, config: FitConfig) -> MetaFusion:
    return MetaFusion(
        dataset.feature_dims,
        hidden_dims=config.hidden_dims,
        output_dim=config.vector_dim,
        signal_hidden_dim=config.signal_hidden_dim,
        signal_dim=config.signal_dim,
        rank=config.rank,
        form=config.fusion,
    )


def _graph(dataset: Dataset, scaling: Scaling) -> InteractionGraph:
    users, videos = torch.from_numpy(dataset.train.users), torch.from_numpy(dataset.train.videos)
    return InteractionGraph(users, videos, sizes=(dataset.users, dataset.videos), scaling=scaling)


def _light_gcn(dataset: Dataset, config: FitConfig) -> LightGcn:
    return LightGcn(_graph(dataset, "symmetric"), layers=config.layers)


def _meta_mmf(dataset: Dataset, config: FitConfig, propagation: Any = None) -> MetaMMF:
    features, present = torch.from_numpy(dataset.joined_features), torch.from_numpy(dataset.present)
    return MetaMMF(
        _fusion(dataset, config),
        features,
        present,
        users=dataset.users,
        propagation=propagation,
        feature_dropout=config.feature_dropout,
    )


def _meta_mmf_gcn(dataset: Dataset, config: FitConfig) -> MetaMMF:
    sage = GraphSage(_graph(dataset, "mean"), width=config.vector_dim)
    return _meta_mmf(dataset, config, sage)


def _meta_mmf_light_gcn(dataset: Dataset, config: FitConfig) -> MetaMMF:
    return _meta_mmf(dataset, config, _light_gcn(dataset, config))


def _cosine_mf(dataset: Dataset, config: FitConfig) -> CosineMf:
    return CosineMf(users=dataset.users, videos=dataset.videos, width=config.vector_dim)


def _bpr_mf(dataset: Dataset, config: FitConfig) -> BprMf:
    return BprMf(users=dataset.users, videos=dataset.videos, width=config.vector_dim)


def _vbpr(dataset: Dataset, config: FitConfig) -> Vbpr:
    features, present = torch.from_numpy(dataset.joined_features), torch.from_numpy(dataset.present)
    scaling = _fusion(dataset, config)
    scaling.learn_scaling(features, present)
    standardised = scaling.standardise(features, present)
    return Vbpr(standardised, users=dataset.users, width=config.vector_dim)


def _light_gcn_baseline(dataset: Dataset, config: FitConfig) -> LightGcnBaseline:
    return LightGcnBaseline(
        _light_gcn(dataset, config),
        users=dataset.users,
        videos=dataset.videos,
        width=config.vector_dim,
    )


# These have a fusion network, and can be exported.
FUSING: Final = ("metammf-mf", "metammf-gcn", "metammf-lightgcn")
BUILDERS: Final[Mapping[str, Callable[[Dataset, FitConfig], Any]]] = {
    "metammf-mf": _meta_mmf,
    "metammf-gcn": _meta_mmf_gcn,
    "metammf-lightgcn": _meta_mmf_light_gcn,
    "cosine-mf": _cosine_mf,
    "bpr-mf": _bpr_mf,
    "vbpr": _vbpr,
    "lightgcn": _light_gcn_baseline,
}
