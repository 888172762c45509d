"""Every set of modalities stands once, where its number says."""

import pytest

from models.ablation import combinations_of


@pytest.mark.parametrize("modalities", [1, 2, 3])
def test_every_set_stands_where_its_number_says(modalities: int) -> None:
    found = combinations_of(modalities).tolist()
    assert len(found) == 2**modalities
    for number, kept in enumerate(found):
        assert sum(2**bit for bit, there in enumerate(kept) if there) == number
