"""What filters ask of videos, in columns. Knows rows and metadata; nothing of vectors or users.

Those of a bundle are mapped and never change. Those of the log only ever grow at their end: whoever
looks at the first `count` rows never sees what was written later, and one thread writes while
others read.
"""

from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.bundle.metadata import NOBODY, Columns, moment_of, tags_of
from service.catalog.index import Doubles, Mask, Rows

Codes = NDArray[np.int32]

FIRST_CAPACITY: Final = 256
# No video has this code.
UNHEARD_OF: Final = NOBODY - 1
NO_CODES: Final = np.empty(0, dtype=np.int32)


@dataclass(frozen=True)
class Filter:
    """What metadata must say: all that is set holds. Moments are Unix seconds.

    A video of which nothing is known of what is asked does not match; `tags_none` it does.
    """

    tags_any: frozenset[str] = frozenset()
    tags_all: frozenset[str] = frozenset()
    tags_none: frozenset[str] = frozenset()
    uploader: str | None = None
    language: str | None = None
    published_after: float | None = None
    published_before: float | None = None

    def __bool__(self) -> bool:
        """Tell whether anything is asked."""
        return self != ANYTHING


ANYTHING: Final = Filter()


class Facets(ABC):
    """Tags, uploader, language, publication and expiry of rows.

    Who is `perishable` has, or had, a row that comes to its end: without, nobody need look for one.
    """

    perishable: bool
    _uploaders: Codes
    _languages: Codes
    _published: Doubles
    _expires: Doubles

    def matching(self, wanted: Filter, count: int) -> Mask:
        """Return which of the first `count` rows are as `wanted`: (count,)."""
        mask = np.ones(count, dtype=bool)
        if wanted.tags_any:
            mask &= self._any_tag(wanted.tags_any, count)
        for tag in sorted(wanted.tags_all):
            mask &= self._any_tag({tag}, count)
        if wanted.tags_none:
            mask &= ~self._any_tag(wanted.tags_none, count)
        for column, text in (
            (self._uploaders, wanted.uploader),
            (self._languages, wanted.language),
        ):
            if text is not None:
                mask &= column[:count] == self._code_of(text)
        # Not a number is neither after nor before anything.
        published = self._published[:count]
        if wanted.published_after is not None:
            mask &= published >= wanted.published_after
        if wanted.published_before is not None:
            mask &= published < wanted.published_before
        return mask

    def ends(self, count: int) -> Doubles:
        """Return when the first `count` rows come to their end, Unix seconds or nan: (count,)."""
        return self._expires[:count]

    def _any_tag(self, tags: Iterable[str], count: int) -> Mask:
        mask = np.zeros(count, dtype=bool)
        for tag in tags:
            rows = self._tagged_with(tag)
            mask[rows[: np.searchsorted(rows, count)]] = True
        return mask

    @abstractmethod
    def _tagged_with(self, tag: str) -> Codes:
        """Return the rows with a tag, ascending."""

    @abstractmethod
    def _code_of(self, text: str) -> int:
        """Return what stands for an uploader or a language."""


class TrainedFacets(Facets):
    """The facets of a bundle."""

    def __init__(self, columns: Columns) -> None:
        """Ask the `columns`, which may be mapped."""
        self._columns = columns
        self._uploaders, self._languages = columns.uploaders, columns.languages
        self._published, self._expires = columns.published, columns.expires
        self.perishable = not np.isnan(columns.expires).all()

    def _tagged_with(self, tag: str) -> Codes:
        place = self._columns.tags.row(tag)
        if place is None:
            return NO_CODES
        starts = self._columns.tag_starts
        return self._columns.tag_rows[starts[place] : starts[place + 1]]

    def _code_of(self, text: str) -> int:
        code = self._columns.names.row(text)
        return UNHEARD_OF if code is None else code


class GrownFacets(Facets):
    """The facets of what the log tells of."""

    def __init__(self, metadata: Iterable[Mapping[str, Any]] = ()) -> None:
        """Begin with a row for each of `metadata`."""
        self.count = 0
        self.perishable = False
        self._tagged: dict[str, array[int]] = {}
        self._codes: dict[str, int] = {}
        # Never used twice: codes of texts that are gone are not given to others.
        self._next_code = 0
        self._uploaders = np.empty(FIRST_CAPACITY, dtype=np.int32)
        self._languages = np.empty(FIRST_CAPACITY, dtype=np.int32)
        self._published = np.empty(FIRST_CAPACITY, dtype=np.float64)
        self._expires = np.empty(FIRST_CAPACITY, dtype=np.float64)
        for told in metadata:
            self.append(told)

    def append(self, told: Mapping[str, Any]) -> None:
        """Add a row of which `told` is known. What is no metadata as we take it says nothing."""
        row = self.count
        if row == len(self._published):
            self._grow()
        for tag in tags_of(told):
            self._tagged.setdefault(tag, array("i")).append(row)
        self._uploaders[row] = self._code(told.get("uploader"))
        self._languages[row] = self._code(told.get("language"))
        self._published[row] = moment_of(told.get("published_at"))
        self._expires[row] = moment_of(told.get("expires_at"))
        self.perishable = self.perishable or not np.isnan(self._expires[row])
        self.count += 1

    def cut(self, count: int) -> None:
        """Take back all rows behind the first `count`."""
        if self.count == count:
            return
        for rows in self._tagged.values():
            while rows and rows[-1] >= count:
                rows.pop()
        self.count = count

    def taken(self, places: Rows) -> "GrownFacets":
        """Return the rows at `places`, which ascend, as facets of their own."""
        few = GrownFacets()
        few.count = len(places)
        few.perishable = self.perishable
        used = {*self._uploaders[places].tolist(), *self._languages[places].tolist()}
        few._codes = {text: code for text, code in self._codes.items() if code in used}
        few._next_code = self._next_code
        room = max(FIRST_CAPACITY, 2 * len(places))
        for name in ("_uploaders", "_languages", "_published", "_expires"):
            column = getattr(self, name)
            setattr(few, name, np.concatenate([column[places], column[: room - len(places)]]))
        moved = np.full(self.count, -1, dtype=np.int32)
        moved[places] = np.arange(len(places), dtype=np.int32)
        for tag, rows in self._tagged.items():
            kept = moved[np.frombuffer(rows.tobytes(), np.int32)]
            if (kept >= 0).any():
                few._tagged[tag] = array("i", kept[kept >= 0].tobytes())
        return few

    def _tagged_with(self, tag: str) -> Codes:
        # A copy: an array that is looked into cannot grow.
        return (
            np.frombuffer(self._tagged[tag].tobytes(), np.int32)
            if tag in self._tagged
            else NO_CODES
        )

    def _code_of(self, text: str) -> int:
        return self._codes.get(text, UNHEARD_OF)

    def _code(self, text: Any) -> int:
        if not isinstance(text, str):
            return NOBODY
        code = self._codes.setdefault(text, self._next_code)
        self._next_code = max(self._next_code, code + 1)
        return code

    def _grow(self) -> None:
        for name in ("_uploaders", "_languages", "_published", "_expires"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.empty_like(column)]))
