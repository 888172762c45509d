"""What was told of videos comes back, and the columns say the same."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bundle.ids import IdTable
from models.bundle.metadata import NOBODY, Columns, Metadata, moment_of, written

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
MOMENTS = st.sampled_from(["2026-01-31T12:00:00Z", "2026-01-31", "1960-02-30", "soon", 7])
VALUES = st.none() | st.booleans() | st.integers(-9, 9) | TEXTS
TOLD = st.fixed_dictionaries(
    {},
    optional={
        "title": TEXTS,
        "tags": st.lists(TEXTS | st.integers(0, 2), max_size=3) | VALUES,
        "uploader": VALUES,
        "language": VALUES,
        "published_at": MOMENTS | VALUES,
        "expires_at": MOMENTS | VALUES,
        "a\u2028b": VALUES,
    },
)


def read(metadata: list[dict[str, Any]]) -> tuple[Metadata, Columns]:
    lines, tensors = written(metadata)
    count = len(metadata)
    raw = np.frombuffer(lines, np.uint8)
    return Metadata(raw, tensors["starts"], videos=count), Columns.read(tensors, videos=count)


def named(names: IdTable, code: int) -> str | None:
    return None if code == NOBODY else names[code]


@settings(max_examples=150, deadline=None)
@given(told=st.lists(TOLD, min_size=1, max_size=9))
def test_lines_and_columns_say_what_was_told(told: list[dict[str, Any]]) -> None:
    metadata, columns = read(told)
    assert list(metadata) == told
    assert [metadata[row] for row in range(len(told))] == told
    assert metadata[1:4] == told[1:4]
    tagged = {
        (tag, video)
        for row, tag in enumerate(columns.tags)
        for video in columns.tag_rows[slice(*columns.tag_starts[row : row + 2])].tolist()
    }
    expected = set()
    for row, each in enumerate(told):
        for name, codes in (("uploader", columns.uploaders), ("language", columns.languages)):
            text = each.get(name)
            assert named(columns.names, codes[row]) == (text if isinstance(text, str) else None)
        for name, moments in (("published_at", columns.published), ("expires_at", columns.expires)):
            np.testing.assert_equal(moments[row], moment_of(each.get(name)))
        tags = each.get("tags")
        expected |= {(str(tag), row) for tag in tags} if isinstance(tags, list) else set()
    assert tagged == expected
    assert len(columns.tag_rows) == len(expected)


@given(told=st.lists(TOLD, min_size=1, max_size=6))
def test_the_same_told_twice_makes_the_same_bytes(told: list[dict[str, Any]]) -> None:
    lines, tensors = written(told)
    again, alike = written([dict(each) for each in told])
    assert lines == again
    assert {name: array.tobytes() for name, array in tensors.items()} == {
        name: array.tobytes() for name, array in alike.items()
    }


def test_a_moment_without_an_offset_is_utc_and_what_is_none_is_not_a_number() -> None:
    noon = datetime(2026, 5, 4, 12, tzinfo=UTC).timestamp()
    assert moment_of("2026-05-04T12:00:00") == moment_of("2026-05-04T14:00:00+02:00") == noon
    for text in (None, 5, "", "noon", "9999-99-99"):
        assert np.isnan(moment_of(text))


def test_a_row_that_is_not_there_is_an_error() -> None:
    metadata, _ = read([{"title": "a"}, {}])
    assert metadata[-1] == {}
    with pytest.raises(IndexError):
        metadata[2]


def test_a_text_that_is_none_is_not_written() -> None:
    with pytest.raises(UnicodeEncodeError):
        written([{"title": "\ud800"}])
