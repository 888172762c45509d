"""Builds the networks that can be trained: where a configuration becomes a network."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor

from models.baselines.along_graph import AlongGraph
from models.baselines.bpr_mf import BprMf
from models.baselines.clc_rec import ClcRec
from models.baselines.cosine_mf import CosineMf
from models.baselines.dropout_net import DropoutNet
from models.baselines.features import Features
from models.baselines.free_vectors import Free
from models.baselines.gat import Gat, GatPropagation
from models.baselines.graph_sage import GraphSageBaseline
from models.baselines.grcn import Grcn
from models.baselines.inv_rl import InvRl
from models.baselines.lattice import Lattice
from models.baselines.light_gcn import LightGcnBaseline
from models.baselines.mmgcn import Mmgcn
from models.baselines.ngcf import Ngcf, NgcfPropagation
from models.baselines.vbpr import Vbpr
from models.edges import EdgePair
from models.fusion import MetaFusion
from models.graph import InteractionGraph, Scaling
from models.neighbourhood import NeighbourGraph
from models.propagation import GraphSage, LightGcn
from models.recommender import MetaMMF
from training.config import ALONG_GRAPH, ALONG_WHOLE_GRAPH, FitConfig
from training.data.dataset import Dataset
from training.errors import InvalidConfig


def build(dataset: Dataset, config: FitConfig) -> Any:
    """Return the network of `config.model` for `dataset`, its parameters drawn.

    Raises:
        InvalidConfig: there is none: the system is not trained.
    """
    builder = BUILDERS.get(config.model)
    if builder is None:
        raise InvalidConfig(f"model: {config.model} is not trained (see training.untrained)")
    return builder(dataset, config)


def moves_rows(dataset: Dataset, config: FitConfig) -> bool:
    """Tell whether a step moves the embeddings it touches alone, as `config.optimiser` asks."""
    if config.optimiser != "auto":
        return config.optimiser == "rows"
    along = config.model in ALONG_GRAPH or config.model in ALONG_WHOLE_GRAPH
    whole = along and not config.neighbours
    return not whole and dataset.users + dataset.videos > MOST_DENSE


def fusion_of(dataset: Dataset, config: FitConfig, *, output_dim: int | None = None) -> MetaFusion:
    """Return a fusion network of the sizes of `config`, `output_dim` wide if that is said."""
    return MetaFusion(
        dataset.feature_dims,
        hidden_dims=config.hidden_dims,
        output_dim=output_dim or config.vector_dim,
        signal_hidden_dim=config.signal_hidden_dim,
        signal_dim=config.signal_dim,
        rank=config.rank,
        form=config.fusion,
    )


def _graph(
    dataset: Dataset, config: FitConfig, scaling: Scaling
) -> InteractionGraph | NeighbourGraph:
    users, videos, sizes = _ends(dataset)
    if config.neighbours:
        limits = config.neighbours
        return NeighbourGraph(users, videos, sizes=sizes, scaling=scaling, limits=limits)
    return InteractionGraph(users, videos, sizes=sizes, scaling=scaling)


def _ends(dataset: Dataset) -> tuple[Tensor, Tensor, tuple[int, int]]:
    """Return the ends of the edges, and how many users and videos there are."""
    users, videos = torch.from_numpy(dataset.train.users), torch.from_numpy(dataset.train.videos)
    return users, videos, (dataset.users, dataset.videos)


def _light_gcn(dataset: Dataset, config: FitConfig) -> LightGcn:
    return LightGcn(_graph(dataset, config, "symmetric"), layers=config.layers)


def _meta_mmf(dataset: Dataset, config: FitConfig, propagation: Any = None) -> MetaMMF:
    features, present = torch.from_numpy(dataset.joined_features), torch.from_numpy(dataset.present)
    return MetaMMF(
        fusion_of(dataset, config),
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


def _free(dataset: Dataset, config: FitConfig, *, cold: bool = False) -> Free:
    """Return the free vectors; where features tell of videos, ids of `cold` ones say nothing."""
    return Free(
        dataset.users,
        dataset.videos,
        config.vector_dim,
        sparse=moves_rows(dataset, config),
        cold=torch.from_numpy(dataset.cold) if cold else None,
    )


def _cosine_mf(dataset: Dataset, config: FitConfig) -> CosineMf:
    return CosineMf(_free(dataset, config))


def _bpr_mf(dataset: Dataset, config: FitConfig) -> BprMf:
    return BprMf(_free(dataset, config))


def _features(dataset: Dataset, config: FitConfig) -> Features:
    joined, present = torch.from_numpy(dataset.joined_features), torch.from_numpy(dataset.present)
    scaling = fusion_of(dataset, config)
    scaling.learn_scaling(joined, present)
    return Features(scaling.standardise(joined, present), present, scaling.widths)


def _mapping(network: Any) -> Callable[[Dataset, FitConfig], Any]:
    """Return what builds a `network` of ids and standardised features side by side."""

    def build_it(dataset: Dataset, config: FitConfig) -> Any:
        return network(_features(dataset, config).joined, _free(dataset, config, cold=True))

    return build_it


def _light_gcn_baseline(dataset: Dataset, config: FitConfig) -> LightGcnBaseline:
    return LightGcnBaseline(_light_gcn(dataset, config), _free(dataset, config))


def _with_features(
    network: Any, propagation: Any, dataset: Dataset, config: FitConfig
) -> AlongGraph:
    free, features = _free(dataset, config, cold=True), _features(dataset, config).joined
    found: AlongGraph = network(propagation, free, features=features)
    return found


def _graph_sage(dataset: Dataset, config: FitConfig) -> AlongGraph:
    sage = GraphSage(_graph(dataset, config, "mean"), width=config.vector_dim)
    return _with_features(GraphSageBaseline, sage, dataset, config)


def _ngcf(dataset: Dataset, config: FitConfig) -> AlongGraph:
    graph = _graph(dataset, config, "symmetric")
    propagation = NgcfPropagation(graph, layers=config.layers, width=config.vector_dim)
    return _with_features(Ngcf, propagation, dataset, config)


def _edges(dataset: Dataset) -> EdgePair:
    users, videos, sizes = _ends(dataset)
    return EdgePair(users, videos, sizes=sizes)


def _gat(dataset: Dataset, config: FitConfig) -> AlongGraph:
    propagation = GatPropagation(_edges(dataset), layers=config.layers, width=config.vector_dim)
    return _with_features(Gat, propagation, dataset, config)


def _by_modality(dataset: Dataset, config: FitConfig) -> tuple[Features, Free]:
    return _features(dataset, config), _free(dataset, config, cold=True)


def _mmgcn(dataset: Dataset, config: FitConfig) -> Mmgcn:
    users, videos, sizes = _ends(dataset)
    graph = InteractionGraph(users, videos, sizes=sizes, scaling="mean")
    return Mmgcn(graph, *_by_modality(dataset, config), layers=config.layers)


def _grcn(dataset: Dataset, config: FitConfig) -> Grcn:
    return Grcn(_edges(dataset), *_by_modality(dataset, config))


def _lattice(dataset: Dataset, config: FitConfig) -> Lattice:
    return Lattice(_light_gcn(dataset, config), *_by_modality(dataset, config))


# With more users and videos than this a step is faster if it moves only those it touches.
MOST_DENSE: Final = 100_000
BUILDERS: Final[Mapping[str, Callable[[Dataset, FitConfig], Any]]] = {
    "metammf-mf": _meta_mmf,
    "metammf-gcn": _meta_mmf_gcn,
    "metammf-lightgcn": _meta_mmf_light_gcn,
    "cosine-mf": _cosine_mf,
    "bpr-mf": _bpr_mf,
    "vbpr": _mapping(Vbpr),
    "lightgcn": _light_gcn_baseline,
    "graphsage": _graph_sage,
    "gat": _gat,
    "ngcf": _ngcf,
    "mmgcn": _mmgcn,
    "grcn": _grcn,
    "lattice": _lattice,
    "invrl": _mapping(InvRl),
    "clcrec": _mapping(ClcRec),
    "dropoutnet": _mapping(DropoutNet),
}
