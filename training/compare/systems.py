"""Which systems can be compared, and from what each may choose on validation."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from training.build import BUILDERS
from training.config import OWN, without_foreign
from training.errors import InvalidConfig
from training.untrained import UNTRAINED

# What a setting is changed to, by its name.
Change = Mapping[str, Any]
Grid = Sequence[Change]

KNOWN: Final = (*UNTRAINED, *BUILDERS)
# What is compared unless other systems are named, in the order of the report.
STANDARD: Final = (
    "popularity", "content-knn", "gf-cf", "bpr-mf", "vbpr", "lightgcn", "graphsage", "gat", "ngcf",
    "mmgcn", "grcn", "lattice", "invrl", "clcrec", "dropoutnet", "metammf-mf", "metammf-gcn",
)  # fmt: skip


def _each(name: str, *values: float) -> Grid:
    return [{name: value} for value in values]


PULLS: Final = _each("regularisation", 1e-2, 1e-3, 3e-2)
# A softmax over inner products goes on pulling where the pairwise loss is content.
PULLS_OF_SOFTMAX: Final = _each("regularisation", 1e-1, 3e-2, 1e-2)
# Along a graph a smaller step goes further on some data, at the cost of more epochs.
PULLS_ALONG: Final[Grid] = [
    {"regularisation": 1e-3},
    {"regularisation": 1e-4, "learning_rate": 1e-3},
    {"regularisation": 1e-2, "learning_rate": 1e-3},
]
# LightGCN has ids alone, and stands a stronger pull.
PULLS_OF_IDS_ALONG: Final[Grid] = [
    *PULLS_ALONG[:2],
    {"regularisation": 3e-2, "learning_rate": 1e-3},
]
# Three layers, as published, once with ids that are held short.
PULLS_OF_MODALITIES: Final[Grid] = [
    {"regularisation": 1.0, "learning_rate": 1e-3, "layers": 3},
    {"regularisation": 1e-3, "learning_rate": 1e-3},
    {"regularisation": 1e-2, "learning_rate": 1e-3, "layers": 3},
]
# GRCN's ids have unit length: a pairwise loss of such scores is content with who met what before it
# has learnt anything else, and weighs all pairs more alike where scores are divided.
PULLS_OF_UNIT_IDS: Final[Grid] = [
    {"regularisation": 1e-3, "learning_rate": 1e-3, "temperature": 5.0},
    *PULLS_ALONG[:2],
]
TEMPERATURES: Final = _each("temperature", 0.2, 0.15, 0.3)
# Companions help arrivals, and videos that few know; elsewhere they cost a little.
COMPANIONS: Final[Grid] = [
    {"temperature": 0.2},
    {"extra_weight": 0.0},
    {"extra_weight": 0.0, "vector_dim": 128},
]
# Three settings for each system that has any, the likeliest first, of what decides most on how far
# it gets. All others are the system's own defaults.
GRIDS: Final[Mapping[str, Grid]] = {
    "gf-cf": [
        {"filter_dim": 32},
        {"filter_dim": 128},
        {"filter_dim": 256, "filter_weight": 1.0},
    ],
    **dict.fromkeys(("bpr-mf", "vbpr", "invrl", "dropoutnet"), PULLS),
    "clcrec": PULLS_OF_SOFTMAX,
    "lightgcn": PULLS_OF_IDS_ALONG,
    **dict.fromkeys(("graphsage", "gat", "ngcf", "lattice"), PULLS_ALONG),
    "grcn": PULLS_OF_UNIT_IDS,
    "mmgcn": PULLS_OF_MODALITIES,
    "cosine-mf": TEMPERATURES,
    **dict.fromkeys(("metammf-mf", "metammf-lightgcn", "metammf-gcn"), COMPANIONS),
}
DEFAULTS: Final[Grid] = ({},)


def grids_of(models: Sequence[str], common: Grid | None) -> dict[str, Grid]:
    """Return the grid of each of `models`: the declared one, or of `common` what the model heeds.

    Raises:
        InvalidConfig: a model is unknown, or named twice.
    """
    unknown = [model for model in models if model not in KNOWN]
    if unknown:
        raise InvalidConfig(f"unknown model {unknown[0]!r}, expected some of {', '.join(KNOWN)}")
    if len(set(models)) < len(models):
        raise InvalidConfig("a model is named twice")
    if common is None:
        return {model: GRIDS.get(model, DEFAULTS) for model in models}
    return {model: _heeded(model, common) for model in models}


def _heeded(model: str, common: Grid) -> Grid:
    """Return what of the `common` grid is another run of `model`: none of other models' settings.

    And of a system that is not trained none but its own.
    """
    changes = [without_foreign(model, change) for change in common]
    if model in UNTRAINED:
        own = OWN.get(model, ())
        changes = [{name: change[name] for name in own if name in change} for change in changes]
    return [change for place, change in enumerate(changes) if change not in changes[:place]]
