"""Modalities have one order, and no others exist."""

import pytest

from models.modality import MODALITIES, in_order


def test_the_order_is_the_same_whatever_order_they_are_named_in() -> None:
    assert in_order(["textual", "visual"]) == ("visual", "textual")
    assert in_order(reversed(MODALITIES)) == MODALITIES


def test_an_unknown_modality_is_named() -> None:
    with pytest.raises(ValueError, match="'smell'"):
        in_order(["visual", "smell"])
