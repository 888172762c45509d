"""A column of texts becomes the same numbers however it is cut into blocks."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.columns import NONE, Growing, Known, Numbered

TEXTS = st.lists(st.one_of(st.none(), st.sampled_from("abcdé")), max_size=40)
CUTS = st.lists(st.integers(0, 40), max_size=5).map(sorted)


def blocks(texts: list[str | None], cuts: list[int]) -> list[list[str | None]]:
    bounds = [0, *(min(cut, len(texts)) for cut in cuts), len(texts)]
    return [texts[start:end] for start, end in pairwise(bounds)]


@given(texts=TEXTS, cuts=CUTS, encoded=st.booleans())
def test_texts_are_numbered_as_they_come_whatever_the_blocks(
    texts: list[str | None], cuts: list[int], encoded: bool
) -> None:
    known = Growing()
    numbered = Numbered(known)
    for block in blocks(texts, cuts):
        array = pa.array(block, pa.string())
        numbered.take(array.dictionary_encode() if encoded else array)
    order = list(dict.fromkeys(text for text in texts if text is not None))
    assert list(known) == order
    expected = [NONE if text is None else order.index(text) for text in texts]
    assert numbered.numbers().tolist() == expected
    assert numbered.first_bad == ("None" if None in texts else "")


@given(texts=TEXTS, cuts=CUTS)
def test_the_first_unknown_text_is_shown_whichever_block_it_is_in(
    texts: list[str | None], cuts: list[int]
) -> None:
    numbered = Numbered(Known({"a": 7, "b": 3}), np.int8)
    for block in blocks(texts, cuts):
        numbered.take(pa.array(block, pa.string()))
    numbers = numbered.numbers()
    assert numbers.dtype == np.int8
    assert numbers.tolist() == [{"a": 7, "b": 3}.get(text or "", NONE) for text in texts]
    strange = [text for text in texts if text not in {"a", "b"}]
    assert numbered.first_bad == (repr(strange[0]) if strange else "")


@pytest.mark.parametrize("values", [[0, 1], [True], [None, None], [0.5]])
def test_what_is_no_text_has_no_number(values: list[object]) -> None:
    numbered = Numbered(Known({"a": 0}))
    numbered.take(pa.array(values))
    assert numbered.first_bad == repr(values[0])
    assert numbered.numbers().tolist() == [NONE] * len(values)
