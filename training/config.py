"""What can be chosen about a training run: one flat table, read from TOML and `--set key=value`."""

import tomllib
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from models.form import FusionForm
from training.errors import InvalidConfig

Width = Annotated[int, Meta(ge=1, le=8192)]


class FitConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every knob of `fit`. The defaults were chosen on validation splits of real data sets.

    Sizes: `vector_dim` of fused content (and of a baseline's vectors), `id_dim` of the id embedding
    beside it (a bias column comes on top), `hidden_dims` of the fusion network, `signal_dim` S and
    `rank` R of its meta layers, `signal_hidden_dim` of the extractor. `fusion` is the form of the
    meta layers (see `models.meta_layer`). `averaging` is the decay a
    step of the running average of the parameters, which is what is judged and exported: it takes
    out the noise of the last steps.
    """

    vector_dim: Width = 64
    id_dim: Width = 64
    hidden_dims: tuple[Width, ...] = (64,)
    signal_hidden_dim: Width = 64
    signal_dim: Width = 8
    rank: Width = 8
    fusion: FusionForm = "cpd"
    learning_rate: Annotated[float, Meta(gt=0, le=1)] = 3e-3
    regularisation: Annotated[float, Meta(ge=0, le=10)] = 1e-2
    averaging: Annotated[float, Meta(ge=0, lt=1)] = 0.99
    batch_size: Annotated[int, Meta(ge=1, le=1 << 20)] = 2048
    max_epochs: Annotated[int, Meta(ge=1, le=100_000)] = 250
    patience: Annotated[int, Meta(ge=1, le=100_000)] = 50


def read_config(file: Path | None, settings: Iterable[str] = ()) -> FitConfig:
    """Return the defaults, overlaid by the TOML `file`, then by `settings` (key=value).

    Raises:
        InvalidConfig: a file that is no TOML, an unknown key, a value of the wrong type or range.
    """
    values: dict[str, Any] = {} if file is None else _read_toml(file)
    for setting in settings:
        key, value = _read_setting("--set", setting)
        values[key] = value
    return changed(FitConfig(), values)


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


def changed(config: FitConfig, values: Mapping[str, Any]) -> FitConfig:
    """Return `config` with `values` in the place of its own.

    Raises:
        InvalidConfig: an unknown key, a value of the wrong type or range.
    """
    try:
        return msgspec.convert(msgspec.to_builtins(config) | dict(values), FitConfig, strict=True)
    except msgspec.ValidationError as error:
        known = ", ".join(FitConfig.__struct_fields__)
        raise InvalidConfig(f"configuration: {error} (known keys: {known})") from error


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
