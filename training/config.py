"""What can be chosen about a training run: one flat table, read from TOML and `--set key=value`."""

import tomllib
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from models.form import FusionForm
from training.errors import InvalidConfig

Width = Annotated[int, Meta(ge=1, le=8192)]
Share = Annotated[float, Meta(ge=0, le=1)]
Model = Literal[
    "metammf-mf", "metammf-gcn", "metammf-lightgcn", "cosine-mf", "bpr-mf", "vbpr", "lightgcn",
    "graphsage", "gat", "ngcf", "mmgcn", "grcn", "lattice", "invrl", "clcrec", "dropoutnet",
    "popularity", "linear-filter", "gf-cf", "content-knn",
]  # fmt: skip
Objective = Literal["softmax", "bpr"]
Optimiser = Literal["auto", "dense", "rows"]
Limit = Annotated[int, Meta(ge=1, le=1 << 20)]


class FitConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every knob of `fit`. The defaults were chosen on validation splits of real data sets.

    Network: `model` (see `training.build`, and `training.untrained` for what has none);
    `vector_dim` D of all vectors; `fusion`, the form of the meta layers, their `hidden_dims`,
    `signal_dim` S and `rank` R; `signal_hidden_dim` of the extractor; `layers` of a graph, where
    their number is free. `neighbours` are how many neighbours a node draws in a step, for each
    layer, that of what the step asks for first; none for the whole graph.

    Objective: `softmax` over a step's `negatives`, or `bpr`; either of scores divided by
    `temperature`.
    `arrival_share` of a step's videos is represented as on arrival, each modality of these left out
    with probability `modality_dropout`; `feature_dropout` does so to every single feature, arriving
    or not. `regularisation` penalises squared lengths of embeddings; `extra_weight` is that of what
    is added to the loss, MetaMMF's companions (see `training.company`) or what InvRL, CLCRec and
    DropoutNet ask for; `fusion_decay` is the decoupled weight decay of what maps features.

    `filter_dim` and `filter_weight` are those of GF-CF's low-pass filter (see
    `training.untrained.filters`).

    `members` are how many networks, which differ in their seed alone, make an ensemble (see
    `training.ensemble`).

    `optimiser` moves all embeddings in every step (`dense`), or those that a step touches (`rows`,
    see `training.rows`); `auto` is `rows` where there are many (see `training.build`).

    Schedule: `averaging` is the decay a step of the running average of the parameters, which is
    what is judged and exported. Every `validate_every` epochs it is judged on validation; training
    ends `patience` epochs after the best; there is at least one validation in so many.
    """

    model: Model = "metammf-mf"
    vector_dim: Width = 64
    hidden_dims: tuple[Width, ...] = (64,)
    signal_hidden_dim: Width = 64
    signal_dim: Width = 8
    rank: Width = 8
    fusion: FusionForm = "cpd"
    layers: Annotated[int, Meta(ge=1, le=8)] = 1
    neighbours: tuple[Limit, ...] = ()
    objective: Objective = "softmax"
    negatives: Annotated[int, Meta(ge=1, le=1 << 16)] = 256
    temperature: Annotated[float, Meta(gt=0, le=100)] = 0.2
    arrival_share: Share = 0.3
    modality_dropout: Share = 0.1
    feature_dropout: Annotated[float, Meta(ge=0, lt=1)] = 0.2
    regularisation: Annotated[float, Meta(ge=0, le=10)] = 0.0
    extra_weight: Annotated[float, Meta(ge=0, le=1000)] = 0.3
    filter_dim: Width = 64
    filter_weight: Annotated[float, Meta(ge=0, le=100)] = 0.3
    members: Annotated[int, Meta(ge=1, le=16)] = 1
    fusion_decay: Annotated[float, Meta(ge=0, le=100)] = 3.0
    learning_rate: Annotated[float, Meta(gt=0, le=1)] = 3e-3
    optimiser: Optimiser = "auto"
    averaging: Annotated[float, Meta(ge=0, lt=1)] = 0.99
    batch_size: Annotated[int, Meta(ge=1, le=1 << 20)] = 2048
    max_epochs: Annotated[int, Meta(ge=1, le=100_000)] = 250
    validate_every: Annotated[int, Meta(ge=1, le=1000)] = 2
    patience: Annotated[int, Meta(ge=1, le=100_000)] = 30


PAIRWISE: Final = {
    "objective": "bpr", "temperature": 1.0, "regularisation": 1e-2, "arrival_share": 0.0,
    "extra_weight": 1.0, "patience": 50,
}  # fmt: skip
ALONG: Final = PAIRWISE | {"layers": 2, "regularisation": 1e-4}
# Those that carry vectors along the interactions, and can draw neighbours.
ALONG_GRAPH: Final = ("metammf-gcn", "metammf-lightgcn", "lightgcn", "graphsage", "ngcf")
# Those that need the whole graph in every step.
ALONG_WHOLE_GRAPH: Final = ("gat", "mmgcn", "grcn", "lattice")
# What GraphSAGE has whatever `layers` says.
SAGE_LAYERS: Final = 2
ALONG_SAGE: Final = ("metammf-gcn", "graphsage")
# Those that fuse arrivals by the network that is trained, so that several can be brought together.
ENSEMBLES: Final = ("metammf-mf", "metammf-gcn", "metammf-lightgcn")
# Settings that one model alone has: others are not recorded with them.
OWN: Final[Mapping[str, tuple[str, ...]]] = {"gf-cf": ("filter_dim", "filter_weight")}
# Of the vectors of members side by side: the square of this is held in double precision.
WIDEST: Final = 8192
# What a model wants otherwise than MetaMMF_MF; a setting of the caller's wins.
MODEL_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "cosine-mf": {"arrival_share": 0.0},
    "metammf-lightgcn": {"layers": 2, "arrival_share": 0.1, "temperature": 0.15},
    "bpr-mf": PAIRWISE,
    "vbpr": PAIRWISE,
    "lightgcn": ALONG,
    "graphsage": ALONG,
    "gat": ALONG,
    "ngcf": ALONG,
    "mmgcn": ALONG,
    "grcn": ALONG,
    "lattice": ALONG,
    "invrl": PAIRWISE,
    "clcrec": PAIRWISE | {"objective": "softmax", "arrival_share": 0.5, "extra_weight": 0.1},
    "dropoutnet": PAIRWISE | {"arrival_share": 0.5},
    # How many columns stand for a score that has more of them, or for wider features.
    "linear-filter": {"vector_dim": 256},
    "gf-cf": {"vector_dim": 256},
    "content-knn": {"vector_dim": 512},
}


def read_settings(file: Path | None, settings: Iterable[str] = ()) -> dict[str, Any]:
    """Return what the TOML `file` says, overlaid by `settings` (key=value).

    Raises:
        InvalidConfig: a file that is no TOML, or a setting that is no key=value.
    """
    values: dict[str, Any] = {} if file is None else _read_toml(file)
    for setting in settings:
        key, value = _read_setting("--set", setting)
        values[key] = value
    return values


def configure(values: Mapping[str, Any]) -> FitConfig:
    """Return the defaults, overlaid by those of the model, then by `values`.

    Raises:
        InvalidConfig: an unknown key, a value of the wrong type or range, or two that exclude
            each other.
    """
    config = converted(values)
    _check_graph(config)
    if config.patience < config.validate_every:
        raise InvalidConfig(
            f"patience: expected at least validate_every, {config.validate_every}, or training "
            f"ends before a second validation; found {config.patience}"
        )
    if config.members > 1 and config.model not in ENSEMBLES:
        raise InvalidConfig(f"members: {config.model} is one network; MetaMMF may be several")
    if config.members > 1 and config.members * config.vector_dim > WIDEST:
        raise InvalidConfig(f"members times vector_dim: expected at most {WIDEST}")
    return config


def converted(values: Mapping[str, Any]) -> FitConfig:
    """Return what `configure` does, whether values exclude each other or not.

    Raises:
        InvalidConfig: an unknown key, or a value of the wrong type or range.
    """
    defaults = MODEL_DEFAULTS.get(str(values.get("model", "")), {})
    try:
        return msgspec.convert({**defaults, **values}, FitConfig, strict=True)
    except msgspec.ValidationError as error:
        known = ", ".join(FitConfig.__struct_fields__)
        raise InvalidConfig(f"configuration: {error} (known keys: {known})") from error


def recorded(config: FitConfig) -> dict[str, Any]:
    """Return all settings of `config`, as what is kept of runs has them.

    `members` are told where there are several, and what one model alone has of that model: what was
    kept before these settings existed is still what it was.
    """
    settings: dict[str, Any] = msgspec.to_builtins(config)
    if config.members == 1:
        del settings["members"]
    return without_foreign(config.model, settings)


def without_foreign(model: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return `settings` without those that another model than `model` has alone."""
    foreign = {name for other, names in OWN.items() if other != model for name in names}
    return {name: value for name, value in settings.items() if name not in foreign}


def _check_graph(config: FitConfig) -> None:
    if config.model not in ALONG_GRAPH:
        if config.neighbours:
            raise InvalidConfig(f"neighbours: {config.model} cannot draw them from a graph")
        if config.model in ALONG_WHOLE_GRAPH and config.optimiser == "rows":
            raise InvalidConfig(f'optimiser "rows": every step of {config.model} touches all')
        return
    layers = SAGE_LAYERS if config.model in ALONG_SAGE else config.layers
    if config.neighbours and len(config.neighbours) != layers:
        raise InvalidConfig(f"neighbours: {config.model} takes {layers}, one for each layer")
    if config.optimiser == "rows" and not config.neighbours:
        raise InvalidConfig(
            'optimiser "rows": along a whole graph every step touches all; set neighbours too'
        )


def read_grid(axes: Iterable[str]) -> list[dict[str, Any]]:
    """Return every combination of `axes` of the form key=[value, …]; one empty one of no axes.

    Raises:
        InvalidConfig: an axis is no TOML array.
    """
    named: dict[str, list[Any]] = {}
    for axis in axes:
        key, values = _read_setting("--grid", axis)
        if not isinstance(values, list) or not values:
            raise InvalidConfig(f"--grid {axis!r}: expected key=[value, …]")
        named[key] = values
    return [dict(zip(named, chosen, strict=True)) for chosen in product(*named.values())]


def _read_setting(flag: str, setting: str) -> tuple[str, Any]:
    key, separator, text = setting.partition("=")
    if not separator:
        raise InvalidConfig(f"{flag} {setting!r}: expected key=value")
    try:
        return key.strip(), tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        raise InvalidConfig(f"{flag} {setting!r}: {text!r} is no TOML value: {error}") from error


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidConfig(f"{file}: {error}") from error
