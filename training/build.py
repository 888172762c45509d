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
from models.neighbourhood import NeighbourGraph
from models.propagation import GraphSage, LightGcn
from models.recommender import MetaMMF
from training.config import ALONG_GRAPH, FitConfig
from training.data.dataset import Dataset


def build(dataset: Dataset, config: FitConfig) -> Any:
    """Return the network of `config.model` for `dataset`, its parameters drawn."""
    return BUILDERS[config.model](dataset, config)


def moves_rows(dataset: Dataset, config: FitConfig) -> bool:
    """Tell whether a step moves the embeddings it touches alone, as `config.optimiser` asks."""
    if config.optimiser != "auto":
        return config.optimiser == "rows"
    whole = config.model in ALONG_GRAPH and not config.neighbours
    return not whole and dataset.users + dataset.videos > MOST_DENSE


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


def _graph(
    dataset: Dataset, config: FitConfig, scaling: Scaling
) -> InteractionGraph | NeighbourGraph:
    users, videos = torch.from_numpy(dataset.train.users), torch.from_numpy(dataset.train.videos)
    sizes, limits = (dataset.users, dataset.videos), config.neighbours
    if limits:
        return NeighbourGraph(users, videos, sizes=sizes, scaling=scaling, limits=limits)
    return InteractionGraph(users, videos, sizes=sizes, scaling=scaling)


def _light_gcn(dataset: Dataset, config: FitConfig) -> LightGcn:
    return LightGcn(_graph(dataset, config, "symmetric"), layers=config.layers)


def _meta_mmf(dataset: Dataset, config: FitConfig, propagation: Any = None) -> MetaMMF:
    features, present = torch.from_numpy(dataset.joined_features), torch.from_numpy(dataset.present)
    return MetaMMF(
        _fusion(dataset, config),
        features,
        present,
        users=dataset.users,
        propagation=propagation,
        feature_dropout=config.feature_dropout,
        sparse=moves_rows(dataset, config),
    )


def _meta_mmf_gcn(dataset: Dataset, config: FitConfig) -> MetaMMF:
    sage = GraphSage(_graph(dataset, config, "mean"), width=config.vector_dim)
    return _meta_mmf(dataset, config, sage)


def _meta_mmf_light_gcn(dataset: Dataset, config: FitConfig) -> MetaMMF:
    return _meta_mmf(dataset, config, _light_gcn(dataset, config))


def _cosine_mf(dataset: Dataset, config: FitConfig) -> CosineMf:
    return CosineMf(**_free(dataset, config))


def _bpr_mf(dataset: Dataset, config: FitConfig) -> BprMf:
    return BprMf(**_free(dataset, config))


def _free(dataset: Dataset, config: FitConfig) -> dict[str, Any]:
    return {
        "users": dataset.users,
        "videos": dataset.videos,
        "width": config.vector_dim,
        "sparse": moves_rows(dataset, config),
    }


def _vbpr(dataset: Dataset, config: FitConfig) -> Vbpr:
    features, present = torch.from_numpy(dataset.joined_features), torch.from_numpy(dataset.present)
    scaling = _fusion(dataset, config)
    scaling.learn_scaling(features, present)
    standardised = scaling.standardise(features, present)
    sparse = moves_rows(dataset, config)
    return Vbpr(standardised, users=dataset.users, width=config.vector_dim, sparse=sparse)


def _light_gcn_baseline(dataset: Dataset, config: FitConfig) -> LightGcnBaseline:
    return LightGcnBaseline(_light_gcn(dataset, config), **_free(dataset, config))


# With more users and videos than this a step is faster if it moves only those it touches.
MOST_DENSE: Final = 100_000
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
