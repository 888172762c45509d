"""What a bundle tells of its videos: lines of JSON, and columns of what filters ask. Knows rows.

Lines are decoded when they are asked for. Neither costs a process memory of its own.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import index
from typing import Any, Final, overload

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.bundle.ids import TENSORS as TABLE
from models.bundle.ids import IdTable, check_starts, table_of

Codes = NDArray[np.int32]
Doubles = NDArray[np.float64]
Rows = NDArray[np.int64]
Told = dict[str, Any]

# The code of who is not known.
NOBODY: Final = -1
SHORTEST_LINE: Final = len(b"{}\n")
OPEN, CLOSE, NEWLINE = b"{}\n"

TENSORS: Final[Mapping[str, type]] = {
    "starts": np.int64,
    "uploaders": np.int32,
    "languages": np.int32,
    "published": np.float64,
    "expires": np.float64,
    "tag_starts": np.int64,
    "tag_rows": np.int32,
    **{f"{table}.{name}": dtype for table in ("names", "tags") for name, dtype in TABLE.items()},
}


@dataclass(frozen=True, eq=False)
class Columns:
    """What filters ask of V videos.

    `uploaders: (V,)` and `languages: (V,)` are rows of `names`, or NOBODY; `published: (V,)` and
    `expires: (V,)` are Unix seconds, or nan. The videos with the tag in row t of `tags` are
    `tag_rows[tag_starts[t] : tag_starts[t + 1]]`, ascending.
    """

    uploaders: Codes
    languages: Codes
    published: Doubles
    expires: Doubles
    names: IdTable
    tags: IdTable
    tag_starts: Rows
    tag_rows: Codes

    @classmethod
    def read(cls, tensors: Mapping[str, NDArray[Any]], *, videos: int) -> "Columns":
        """Take the arrays that `written` made of as many `videos`; they may be mapped.

        Raises:
            ValueError: they do not fit; says why.
        """
        for name in ("uploaders", "languages", "published", "expires"):
            if tensors[name].shape != (videos,):
                raise ValueError(f"{name} is {tensors[name].shape}, expected ({videos},)")
        names, tags = (
            IdTable({name: tensors[f"{table}.{name}"] for name in TABLE})
            for table in ("names", "tags")
        )
        columns = cls(
            uploaders=tensors["uploaders"],
            languages=tensors["languages"],
            published=tensors["published"],
            expires=tensors["expires"],
            names=names,
            tags=tags,
            tag_starts=tensors["tag_starts"],
            tag_rows=tensors["tag_rows"],
        )
        for codes in (columns.uploaders, columns.languages):
            if len(codes) and not NOBODY <= codes.min() <= codes.max() < len(columns.names):
                raise ValueError(f"there are codes beyond {len(columns.names)} names")
        _check_tags(columns, videos)
        return columns


class Metadata(Sequence[Told]):
    """What was told of the videos in rows 0 to V - 1."""

    def __init__(self, lines: NDArray[np.uint8], starts: Rows, *, videos: int) -> None:
        """Take the JSON lines of as many `videos`, (B,), and where each begins, (V + 1,).

        Raises:
            ValueError: they are no such lines; says why.
        """
        _check_lines(lines, starts, videos)
        self._lines, self._starts = lines.data, starts.data
        self._decode = msgspec.json.Decoder(Told).decode

    def __len__(self) -> int:
        """Return how many videos there are."""
        return len(self._starts) - 1

    @overload
    def __getitem__(self, row: int) -> Told: ...
    @overload
    def __getitem__(self, row: slice) -> list[Told]: ...
    def __getitem__(self, row: int | slice) -> Told | list[Told]:
        """Return what was told of the video in `row`, or of those in a slice of rows."""
        if isinstance(row, slice):
            return [self[place] for place in range(*row.indices(len(self)))]
        place = range(len(self))[index(row)]
        return self._decode(self._lines[self._starts[place] : self._starts[place + 1]])

    def __iter__(self) -> Iterator[Told]:
        """Yield what was told of each video."""
        return map(self.__getitem__, range(len(self)))


def written(metadata: Sequence[Mapping[str, Any]]) -> tuple[bytes, dict[str, NDArray[Any]]]:
    """Return the lines of JSON and the arrays that are to be read as `metadata`.

    Raises:
        TypeError: it holds what JSON has no form for.
        UnicodeEncodeError: it holds what is no valid text.
    """
    encoder = msgspec.json.Encoder()
    lines = [encoder.encode(told) + b"\n" for told in metadata]
    starts = np.zeros(len(lines) + 1, dtype=np.int64)
    np.cumsum([len(line) for line in lines], out=starts[1:])
    return b"".join(lines), {"starts": starts, **_column_tensors(lines)}


def tags_of(told: Mapping[str, Any]) -> set[str]:
    """Return the tags of a video of which `told` is known."""
    tags = told.get("tags")
    return set(map(str, tags)) if isinstance(tags, list) else set()


def moment_of(text: Any) -> float:
    """Return the Unix seconds of an ISO 8601 time, UTC if it has no offset; else not a number."""
    if not isinstance(text, str):
        return np.nan
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return np.nan


def _column_tensors(lines: Sequence[bytes]) -> dict[str, NDArray[Any]]:
    codes: dict[str, int] = {}
    tagged: dict[str, array[int]] = {}
    uploaders, languages = np.full((2, len(lines)), NOBODY, dtype=np.int32)
    published, expires = np.full((2, len(lines)), np.nan)
    decode = msgspec.json.Decoder(Told).decode
    for row, line in enumerate(lines):
        told = decode(line)
        for column, text in (
            (uploaders, told.get("uploader")),
            (languages, told.get("language")),
        ):
            if isinstance(text, str):
                column[row] = codes.setdefault(text, len(codes))
        published[row] = moment_of(told.get("published_at"))
        expires[row] = moment_of(told.get("expires_at"))
        for tag in tags_of(told):
            tagged.setdefault(tag, array("i")).append(row)
    tags = sorted(tagged)
    starts = np.zeros(len(tags) + 1, dtype=np.int64)
    np.cumsum([len(tagged[tag]) for tag in tags], out=starts[1:])
    rows = [np.frombuffer(tagged[tag], dtype=np.int32) for tag in tags]
    return {
        "uploaders": uploaders,
        "languages": languages,
        "published": published,
        "expires": expires,
        "tag_starts": starts,
        "tag_rows": np.concatenate([np.empty(0, np.int32), *rows]),
        **{f"names.{name}": tensor for name, tensor in table_of(codes).items()},
        **{f"tags.{name}": tensor for name, tensor in table_of(tags).items()},
    }


def _check_lines(lines: NDArray[np.uint8], starts: Rows, videos: int) -> None:
    if starts.shape != (videos + 1,):
        raise ValueError(f"starts is {starts.shape}, expected ({videos + 1},)")
    check_starts(starts, end=len(lines))
    if (np.diff(starts) < SHORTEST_LINE).any():
        raise ValueError("starts are not those of the lines")
    for place, byte in ((starts[:-1], OPEN), (starts[1:] - 2, CLOSE), (starts[1:] - 1, NEWLINE)):
        if (lines[place] != byte).any():
            raise ValueError("starts are not those of lines that hold an object each")


def _check_tags(columns: Columns, videos: int) -> None:
    starts, rows = columns.tag_starts, columns.tag_rows
    if starts.shape != (len(columns.tags) + 1,) or rows.ndim != 1:
        raise ValueError(f"tag_starts is {starts.shape}, tag_rows {rows.shape}")
    check_starts(starts, end=len(rows))
    if len(rows) and not 0 <= rows.min() <= rows.max() < videos:
        raise ValueError(f"tag_rows are beyond {videos}")
    descends = np.flatnonzero(rows[1:] <= rows[:-1]) + 1
    # Where one tag ends and the next begins it may.
    if not np.isin(descends, starts).all():
        raise ValueError("tag_rows do not ascend within a tag")
