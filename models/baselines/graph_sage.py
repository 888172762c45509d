"""GraphSAGE on ids and features of all modalities (Hamilton et al., NeurIPS 2017)."""

from models.baselines.along_graph import AlongGraph


class GraphSageBaseline(AlongGraph):
    """`AlongGraph` with one static map of features, along `models.propagation.GraphSage`.

    The convolutions are those of MetaMMF_GCN, two of them with the mean of the neighbours, so that
    the two differ in fusion, loss and the unit length of vectors, and in nothing of the graph.
    """
