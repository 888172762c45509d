"""The movielens importer reads three layouts of MovieLens beside features by movie id."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.importing import import_, refusal

MOVIES = [2, 5, 1193, 7, 8, 9, 11, 12, 13, 20]
RATINGS = [(user, movie, 3, 978300000 + at) for user in (1, 6) for at, movie in enumerate(MOVIES)]
HEADER = "itemId,title,genres,embedding"
ROWS = [f'{movie},x,y,"{movie}.0,0.5,-{at}"' for at, movie in enumerate(MOVIES)]


def write(file: Path, *lines: str, encoding: str = "utf-8") -> None:
    file.write_bytes(("\n".join(lines) + "\n").encode(encoding))


def write_latest(folder: Path) -> None:
    lines = [f"{u},{m},{r}.5,{t}" for u, m, r, t in RATINGS]
    write(folder / "ratings.csv", "userId,movieId,rating,timestamp", *lines)
    movies = ['2,"Heat, the (1995)",Crime|Drama', "5,Amélie,(no genres listed)"]
    write(folder / "movies.csv", "movieId,title,genres", *movies)


def write_1m(folder: Path, encoding: str = "latin-1") -> None:
    write(folder / "ratings.dat", *(f"{u}::{m}::{r}::{t}" for u, m, r, t in RATINGS))
    movies = ["2::Heat, the (1995)::Crime|Drama", "5::Amélie::Comedy"]
    write(folder / "movies.dat", *movies, encoding=encoding)


def write_100k(folder: Path) -> None:
    write(folder / "u.data", *(f"{u}\t{m}\t{r}\t{t}" for u, m, r, t in RATINGS))
    movies = ["2|Heat, the (1995)|01-Jan-1995||url|0|1", "5|Amélie|01-Jan-2001||url|1|0"]
    write(folder / "u.item", *movies, encoding="latin-1")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "ml"
    folder.mkdir()
    write(folder / "visual.csv", HEADER, *ROWS)
    return folder


@pytest.mark.parametrize("layout", [write_latest, write_1m, write_100k])
def test_ids_are_kept_and_the_latest_are_held_out(
    layout: Callable[[Path], None], source: Path
) -> None:
    layout(source)
    found = import_("movielens", source)
    assert found.dataset.video_ids == [str(movie) for movie in MOVIES]
    assert found.met("train") == {(u, str(m)) for u in "16" for m in MOVIES[:8]}
    assert found.met("val") == {("1", "13"), ("6", "13")}
    assert found.met("test") == {("1", "20"), ("6", "20")}
    assert found.times()["6", "1193"] == 978300002
    assert found.features_of("1193") == [1193, 0.5, -2]
    assert found.told_of("2")["title"] == "Heat, the (1995)"
    assert found.told_of("5")["title"] == "Amélie"
    if layout is not write_100k:
        assert found.told_of("2")["tags"] == ["Crime", "Drama"]


def test_what_is_utf_8_is_not_taken_for_latin_1(source: Path) -> None:
    write_1m(source, encoding="utf-8")  # as ml-10m is
    assert import_("movielens", source).told_of("5")["title"] == "Amélie"


def test_no_listed_genre_is_no_tag_and_metadata_may_be_absent(source: Path) -> None:
    write_latest(source)
    found = import_("movielens", source)
    assert found.told_of("5") == {"title": "Amélie", "tags": []}
    found.folder.rename(source.parent / "first")
    (source / "movies.csv").unlink()
    assert import_("movielens", source).told_of("5") == {}


def test_movies_without_features_are_left_out_and_said_so(source: Path) -> None:
    write_latest(source)
    write(source / "visual.csv", HEADER, *ROWS[:8])
    found = import_("movielens", source)
    assert len(found.dataset.train) == 12  # 80 % of what is left of each user
    assert "4 interactions with 2 videos without features: left out" in found.told


def test_columns_with_inf_or_nan_are_left_out_and_said_so(source: Path) -> None:
    write_latest(source)
    rows = [
        f'{m},x,y,"{m},{"inf" if m == 7 else 1.5 + m},{-m},{"nan" if m == 9 else m}"'
        for m in MOVIES
    ]
    write(source / "visual.csv", HEADER, *rows)
    found = import_("movielens", source)
    assert found.features_of("7") == [7, -7]
    assert "visual.csv: columns [1, 3] hold inf or NaN: left out" in found.told


def test_a_modality_in_each_file_and_form(source: Path, tmp_path: Path) -> None:
    write_latest(source)
    write(source / "acoustic.tsv", "movieId\ta\tb", *(f"{m}\t{m}\t-1.5e-3" for m in MOVIES[1:]),
          "2\t2\t7")  # fmt: skip
    vectors = [np.array([m, 1 / m], np.float64) for m in MOVIES]
    table = pa.table({"itemId": pa.array(MOVIES, pa.int32()), "embedding": vectors})
    pq.write_table(table, tmp_path / "bert.parquet")
    found = import_("movielens", source, "--textual", tmp_path / "bert.parquet")
    assert found.dataset.feature_dims == {"visual": 3, "acoustic": 2, "textual": 2}
    assert found.features_of("5")[3:] == pytest.approx([5, -1.5e-3, 5, 0.2])


@pytest.mark.parametrize(
    ("file", "lines", "text"),
    [
        ("ratings.csv", ["userId,movieId,rating,timestamp", "1,2,3"], "Expected 4 columns, got 3"),
        ("ratings.csv", ["userId,movieId,rating,timestamp", "1,2,3,x"], "line 2: timestamp is 'x'"),
        (
            "ratings.csv",
            ["userId,movieId,rating,timestamp", ",2,3,4"],
            "line 2: userId '' is empty",
        ),
        ("ratings.csv", ["user,movie", "1,2"], "has no column 'userId', found ['user', 'movie']"),
        ("movies.csv", ["movieId,title", "1,2"], "has no column 'genres'"),
        ("visual.csv", ["id,embedding", '2,"1,2"'], "has no column 'itemId'"),
        ("visual.csv", [HEADER, '2,x,y,"1,two"'], "line 2: holds no vector"),
        ("visual.csv", ["itemId,a,b", "2,1,2", "5,1,two"], "line 3: b is 'two', expected a number"),
        ("visual.csv", ["itemId", "2"], "has no features"),
        ("visual.csv", ["itemId,a,b", "2,inf,nan"], "has no features"),
    ],
)
def test_malformed_files_are_told(file: str, lines: list[str], text: str, source: Path) -> None:
    write_latest(source)
    write(source / file, *lines)
    told = refusal("movielens", source)
    assert told.startswith(f"{file}: ")
    assert text in told


def test_malformed_lines_of_the_older_layouts_are_told(source: Path) -> None:
    write_1m(source)
    write(source / "movies.dat", "2::Heat", "5::x::y")
    assert "movies.dat: line 1: expected a movie's id" in refusal("movielens", source)
    write(source / "ratings.dat", "1::2::3::4", "1::2::3")
    assert "ratings.dat: CSV parse error: Row #2" in refusal("movielens", source)
    (source / "ratings.dat").unlink()
    write(source / "u.data", "1 2 3 4")
    assert "u.data: " in refusal("movielens", source)


def test_what_is_missing_is_told(source: Path) -> None:
    told = refusal("movielens", source)
    assert "holds none of ratings.csv, ratings.dat and u.data" in told
    (source / "visual.csv").unlink()
    assert "name files by --visual, --acoustic, --textual" in refusal("movielens", source)
    np.save(source / "visual.npy", np.ones((3, 2)))
    told = refusal("movielens", source, "--visual", source / "visual.npy")
    assert "visual.npy: expected .csv, .tsv or .parquet with ids" in told
