"""Which modalities a video can have and the order they are joined in."""

from collections.abc import Iterable
from typing import Final, Literal, get_args

Modality = Literal["visual", "acoustic", "textual"]

# The order of the blocks in a joined feature row, everywhere.
MODALITIES: Final[tuple[Modality, ...]] = get_args(Modality)


def in_order(names: Iterable[str]) -> tuple[Modality, ...]:
    """Return the modalities among `names` in joining order.

    Raises:
        ValueError: a name is no modality.
    """
    given = set(names)
    unknown = given.difference(MODALITIES)
    if unknown:
        raise ValueError(f"unknown modality {min(unknown)!r}, expected one of {MODALITIES}")
    return tuple(modality for modality in MODALITIES if modality in given)
