"""Ids in a table come back from their rows, and rows from their ids, whatever the ids are."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bundle import ids as ids_module
from models.bundle.ids import IdTable, hash_of, table_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
ANY_IDS = st.lists(TEXTS, max_size=30, unique=True)
PLAIN = [f"v{row}" for row in range(40)]


def narrow(raw: bytes) -> int:
    """Return two bits: every table of five ids has collisions."""
    return hash_of(raw) % 4 - 2


@pytest.mark.parametrize("hashed", [hash_of, narrow])
@settings(max_examples=150, deadline=None)
@given(texts=ANY_IDS, strangers=st.lists(TEXTS | st.text(max_size=9), max_size=5))
def test_any_ids_are_found_and_no_others(
    hashed: Callable[[bytes], int], texts: list[str], strangers: list[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ids_module, "hash_of", hashed)
        table = IdTable(table_of(texts))
        assert len(table) == len(texts)
        assert list(table) == texts
        assert [table.row(text) for text in texts] == [*range(len(texts))]
        for text in strangers:
            assert table.row(text) == (texts.index(text) if text in texts else None)
            assert (text in table) == (text in texts)
        rows = np.arange(len(texts))[::-1]
        assert table.ids(rows) == texts[::-1]
        assert table.ids(table.order) == sorted(texts)


@settings(max_examples=60, deadline=None)
@given(texts=ANY_IDS, start=st.integers(-40, 40), stop=st.integers(-40, 40), step=st.just(3))
def test_rows_are_taken_as_those_of_a_list(
    texts: list[str], start: int, stop: int, step: int
) -> None:
    table = IdTable(table_of(texts))
    assert table[start:stop:step] == texts[start:stop:step]
    for row in (start, stop):
        if -len(texts) <= row < len(texts):
            assert table[row] == texts[row]
        else:
            with pytest.raises(IndexError):
                table[row]


def test_more_ids_than_are_looked_at_at_once_come_in_order() -> None:
    texts = [f"video {row}" for row in range(3 * ids_module.ITERATED_AT_ONCE + 1)]
    table = IdTable(table_of(texts))
    assert list(table) == texts
    assert table.index("video 9999") == 9999
    stranger: object = 5
    assert stranger not in table


@pytest.mark.parametrize("hashed", [hash_of, narrow])
def test_ids_that_are_there_twice_are_refused(
    hashed: Callable[[bytes], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ids_module, "hash_of", hashed)
    with pytest.raises(ValueError, match="holds 40 distinct ids, expected 42"):
        IdTable(table_of([*PLAIN, "v0", "v39"]))


def test_a_text_that_is_none_is_not_written_and_not_found() -> None:
    with pytest.raises(UnicodeEncodeError):
        table_of(["\ud800"])
    assert IdTable(table_of(PLAIN)).row("\ud800") is None


Change = Callable[[dict[str, Any]], dict[str, Any]]


def _swapped(array: Any, first: int, second: int) -> Any:
    changed = array.copy()
    changed[[first, second]] = changed[[second, first]]
    return changed


@pytest.mark.parametrize(
    "change",
    [
        lambda t: {"starts": t["starts"] + 1},
        lambda t: {"starts": t["starts"][1:]},
        lambda t: {"starts": t["starts"][:-1]},
        lambda t: {"starts": t["starts"][:0]},
        lambda t: {"starts": _swapped(t["starts"], 3, 4)},
        lambda t: {"starts": t["starts"].reshape(1, -1)},
        lambda t: {"text": t["text"][1:]},
        lambda t: {"text": t["text"].reshape(1, -1)},
        lambda t: {"hashes": t["hashes"][::-1]},
        lambda t: {"hashes": t["hashes"] + 1},
        lambda t: {"hashes": t["hashes"][1:]},
        lambda t: {"rows": _swapped(t["rows"], 3, 4)},
        lambda t: {"rows": t["rows"] + 1},
        lambda t: {"rows": t["rows"] - 1},
        lambda t: {"rows": t["rows"] * 0},
        lambda t: {"order": _swapped(t["order"], 3, 4)},
        lambda t: {"order": t["order"][1:]},
        lambda t: {"order": t["order"] * 0},
        lambda t: {"order": t["order"] + 2**40},
    ],
)
def test_arrays_that_are_no_table_are_refused(change: Change) -> None:
    whole = table_of(PLAIN)
    IdTable(whole)
    with pytest.raises(ValueError, match=r"."):
        IdTable({**whole, **change(whole)})


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("hashes", lambda hashes: hashes[::-1]),
        ("rows", lambda rows: rows * 0),
        ("order", lambda order: order + 1),
    ],
)
def test_what_leads_nowhere_is_refused_though_no_id_is_looked_at(
    name: str, changed: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ids_module, "SAMPLED", 0)
    whole = table_of(PLAIN)
    with pytest.raises(ValueError, match=name):
        IdTable({**whole, name: changed(whole[name])})


@pytest.mark.parametrize(
    ("raw", "starts"),
    [
        (b"ab\xff", [0, 1, 3]),
        ("aß".encode(), [0, 2, 3]),
        ("ßa".encode(), [0, 1, 3]),
        (b"a\xc3", [0, 1, 2]),
        (b"\xc3", [0, 1, 1]),
    ],
)
def test_bytes_that_are_no_text_are_refused(
    raw: bytes, starts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # In a large table few ids are looked at one by one.
    monkeypatch.setattr(ids_module, "SAMPLED", 0)
    tensors = table_of(["aa", "b"])
    tensors |= {"text": np.frombuffer(raw, np.uint8), "starts": np.array(starts)}
    with pytest.raises(ValueError, match=r"codec|within a character"):
        IdTable(tensors)


def test_what_was_found_is_told_again_however_much_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ids_module, "KEPT", 3)
    table = IdTable(table_of(PLAIN))
    for _ in range(2):
        for row, text in enumerate(PLAIN):
            assert table.row(text) == table.row(text) == row
            assert table.row(f"{text}?") is None
            assert len(table._found) <= 3


def test_a_character_may_lie_across_what_is_decoded_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ids_module, "DECODED_AT_ONCE", 1)
    assert list(IdTable(table_of(["ä🎬", "ö"]))) == ["ä🎬", "ö"]
