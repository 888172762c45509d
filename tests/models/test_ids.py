"""One rule says what an id may be."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.ids import MAX_ID_BYTES, fault_in_id


@pytest.mark.parametrize(
    "text", ["a", "a/b", "..", "naïve", "🎬", " x ", "x" * 512, "é" * 256, "a\u2028b"]
)
def test_any_text_without_control_characters_is_an_id(text: str) -> None:
    assert fault_in_id(text) is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "empty"),
        ("x" * 513, "513 bytes"),
        ("é" * 257, "514 bytes"),
        ("a\x00b", "control character"),
        ("a\nb", "control character"),
        ("\x7f", "control character"),
        ("\x85", "control character"),
        ("\ud800", "UTF-8"),
    ],
)
def test_what_is_wrong_is_said(text: str, fault: str) -> None:
    assert fault in (fault_in_id(text) or "")


@given(st.text())
def test_every_text_is_judged_by_the_same_three_things(text: str) -> None:
    good = 0 < len(text.encode("utf-8", "surrogatepass")) <= MAX_ID_BYTES and not any(
        unicodedata.category(character) in {"Cc", "Cs"} for character in text
    )
    assert (fault_in_id(text) is None) == good
