"""The systems that need no training, by name: the bars to clear. Each has a file."""

from collections.abc import Callable, Mapping
from typing import Final

from training.config import FitConfig
from training.data.dataset import Dataset
from training.loop import Fitted
from training.untrained.content import ContentNeighbours
from training.untrained.filters import GfCf, LinearFilter
from training.untrained.popularity import Popularity
from training.untrained.system import Untrained

UNTRAINED: Final[Mapping[str, Callable[[Dataset, FitConfig], Untrained]]] = {
    "popularity": lambda dataset, _: Popularity(dataset),
    "linear-filter": lambda dataset, _: LinearFilter(dataset),
    "gf-cf": lambda dataset, config: GfCf(
        dataset, dim=config.filter_dim, weight=config.filter_weight
    ),
    "content-knn": lambda dataset, _: ContentNeighbours(dataset),
}


def without_training(dataset: Dataset, config: FitConfig) -> Fitted:
    """Return what `config.model` makes of `dataset`, in vectors of at most `vector_dim` columns."""
    system = UNTRAINED[config.model](dataset, config)
    users, videos = system.vectors(config.vector_dim)
    return Fitted(users, videos, fusion=None, network=system)
