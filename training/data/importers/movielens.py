"""Reads MovieLens as GroupLens hands it out, beside a table of features for each modality.

ml-latest, ml-20m and later: `ratings.csv` with userId,movieId,rating,timestamp, and `movies.csv`.
ml-1m and ml-10m: `ratings.dat` and `movies.dat`, apart by ::, in Latin-1 or UTF-8. ml-100k:
`u.data` apart by tabs, `u.item` apart by |; its movie ids are not those of the others.

Features: `visual`, `acoustic` and `textual`, each .csv, .tsv or .parquet, or files that options
name, as MMTF-14K has them: itemId,title,genres,embedding. Movies without features are left out, and
so are feature columns that hold inf or NaN. Every rating is an interaction, whatever its value; ids
are the source's.
"""

from pathlib import Path
from typing import Any, Final

from models.modality import MODALITIES, Modality
from training.data.importers.feature_files import Names, find_features
from training.data.importers.imported import Catalog, Imported, Options, assemble, by_user
from training.data.importers.keyed_features import Keyed, join, log_by_ids, read_keyed
from training.data.importers.text_tables import TextTable, read_delimited
from training.errors import InvalidDataset

COLUMNS: Final = ["userId", "movieId", "rating", "timestamp"]
FEATURES: Final[Names] = {
    modality: [f"{modality}.csv", f"{modality}.tsv", f"{modality}.parquet"]
    for modality in MODALITIES
}
# The column of movie ids in MMTF-14K, and in MovieLens itself.
MOVIE_COLUMNS: Final = ("itemId", "movieId")


def read_movielens(folder: Path, options: Options) -> Imported:
    """Return the dataset at `folder`, divided 80/10/10 a user with the latest held out.

    Raises:
        InvalidDataset: a file is missing or malformed.
    """
    faults: list[str] = []
    files = find_features([folder], FEATURES, options, faults)
    if faults:
        raise InvalidDataset(faults)
    parts: dict[Modality, Keyed] = {
        modality: read_keyed(file, MOVIE_COLUMNS, drop_columns=True)
        for modality, file in files.items()
    }
    video_ids, features = join(parts)
    ratings, told = _read_ratings(folder)
    log = log_by_ids(ratings.ids("userId"), ratings.ids("movieId"), video_ids)
    log = log._replace(times=ratings.times("timestamp"))
    catalog = Catalog(video_ids, features, [told.get(text, {}) for text in video_ids])
    imported = assemble(folder.resolve().name, log, catalog, by_user(options.seed))
    notes = [
        f"{files[modality].name}: columns {list(part.dropped)} hold inf or NaN: left out"
        for modality, part in parts.items()
        if part.dropped
    ]
    return imported._replace(notes=(*notes, *imported.notes))


def _read_ratings(folder: Path) -> tuple[TextTable, dict[str, dict[str, Any]]]:
    """Return the ratings, and what is told of each movie."""
    if (folder / "ratings.csv").exists():
        return read_delimited(folder / "ratings.csv", ","), _read_movies(folder / "movies.csv")
    if (folder / "ratings.dat").exists():
        file = folder / "ratings.dat"
        content = _text(file).replace("::", "\t").encode()
        table = read_delimited(file, "\t", names=COLUMNS, quoted=False, content=content)
        return table, _read_lines(folder / "movies.dat", "::")
    if (folder / "u.data").exists():
        table = read_delimited(folder / "u.data", "\t", names=COLUMNS, quoted=False)
        return table, _read_lines(folder / "u.item", "|")
    raise InvalidDataset([f"{folder}: holds none of ratings.csv, ratings.dat and u.data"])


def _read_movies(file: Path) -> dict[str, dict[str, Any]]:
    if not file.exists():
        return {}
    table = read_delimited(file, ",")
    columns = [table.texts(name).to_pylist() for name in ("movieId", "title", "genres")]
    return {
        movie: {"title": title, "tags": _tags(genres)}
        for movie, title, genres in zip(*columns, strict=True)
    }


def _read_lines(file: Path, delimiter: str) -> dict[str, dict[str, Any]]:
    """Read movies.dat, id::title::genres, or u.item, id|title|... without genres as text."""
    told: dict[str, dict[str, Any]] = {}
    lines = _text(file).split("\n") if file.exists() else []
    for number, line in enumerate(lines, 1):
        cells = line.rstrip("\r").split(delimiter)
        if len(cells) < 3 and line.strip():  # noqa: PLR2004 - both have three or more
            text = f"expected a movie's id, title and more apart by {delimiter}"
            raise InvalidDataset([f"{file.name}: line {number}: {text}, found {line[:80]!r}"])
        if line.strip():
            tags = {"tags": _tags(cells[2])} if delimiter == "::" else {}
            told[cells[0]] = {"title": cells[1], **tags}
    return told


def _tags(genres: str) -> list[str]:
    return [genre for genre in genres.split("|") if genre and genre != "(no genres listed)"]


def _text(file: Path) -> str:
    """Return a file's text; only what is no UTF-8 is Latin-1."""
    data = file.read_bytes()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")
