"""Columns of metadata through the times when most rows are dropped."""

import sys

import numpy as np

from service.catalog.facets import Filter, GrownFacets


def test_dropped_rows_leave_nothing_of_what_was_told_of_them() -> None:
    facets = GrownFacets()
    for number in range(2000):
        facets.append({"tags": [f"t{number}"], "uploader": f"u{number}", "language": f"l{number}"})
        facets = facets.taken(np.arange(max(0, facets.count - 3), facets.count))
    held = sum(sys.getsizeof(part) for part in vars(facets).values())
    assert held < 20_000, "it holds more than three rows need"


def test_uploaders_are_told_apart_after_others_were_dropped() -> None:
    facets = GrownFacets([{"uploader": name} for name in "abcd"])
    facets = facets.taken(np.array([1, 3]))
    for name in "aefg":
        facets.append({"uploader": name})
    for place, name in enumerate("bdaefg"):
        matching = facets.matching(Filter(uploader=name), facets.count)
        assert np.flatnonzero(matching).tolist() == [place]
    assert not facets.matching(Filter(uploader="c"), facets.count).any()
