"""LightGCN: ids refined along the interactions, no features (He et al., SIGIR 2020)."""

from models.baselines.along_graph import AlongGraph


class LightGcnBaseline(AlongGraph):
    """`AlongGraph` without features, along `models.propagation.LightGcn`.

    As in the paper it is the layer-0 vectors, the free ones, that are penalised.
    """
