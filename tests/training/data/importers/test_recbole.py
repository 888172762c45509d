"""The recbole importer reads atomic files; tokens are ids and features find their items by them."""

from pathlib import Path

import pytest

from tests.support.importing import import_, refusal

INTER = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
ROWS = [f"u{user}\ti{item}\t3\t{978300760 + item}" for user in (1, 2) for item in range(10)]
FEATURES = [f"i{item}\t{item}.5 -{item} 1e-{item}" for item in reversed(range(10))]


def write(file: Path, *lines: str) -> None:
    file.write_text("\n".join(lines) + "\n", "utf-8")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "ml-100k"
    folder.mkdir()
    write(folder / "ml-100k.inter", INTER, *ROWS)
    write(folder / "ml-100k.visual", "vid:token\tx_emb:float_seq", *FEATURES)
    write(
        folder / "ml-100k.item",
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq",
        'i3\t"Heat" the movie\t1995\tCrime Drama',
        "i4\tÜber\t1995\t",
        "i99\tNo features\t1995\tDrama",
    )
    return folder


def test_tokens_are_ids_and_the_latest_are_held_out(source: Path) -> None:
    found = import_("recbole", source)
    assert found.dataset.name == "ml-100k"
    assert found.dataset.video_ids == [f"i{item}" for item in reversed(range(10))]
    assert found.features_of("i3") == pytest.approx([3.5, -3, 1e-3])
    assert found.met("train") == {(f"u{u}", f"i{i}") for u in (1, 2) for i in range(8)}
    assert found.met("val") == {("u1", "i8"), ("u2", "i8")}
    assert found.met("test") == {("u1", "i9"), ("u2", "i9")}
    assert found.times()["u1", "i4"] == 978300764


def test_titles_and_classes_become_metadata(source: Path) -> None:
    found = import_("recbole", source)
    assert found.told_of("i3") == {"title": '"Heat" the movie', "tags": ["Crime", "Drama"]}
    assert found.told_of("i4") == {"title": "Über", "tags": []}
    assert found.told_of("i5") == {}


def test_columns_may_stand_in_any_order_and_times_may_be_absent(source: Path) -> None:
    rows = [f"{item}\tx\t{user}" for user in range(3) for item in ("i1", "i2", "i3", "i4", "i5")]
    write(source / "ml-100k.inter", "item_id:token\tx:token\tuser_id:token", *rows)
    first = import_("recbole", source)
    first.folder.rename(source.parent / "first")
    second = import_("recbole", source, "--seed", 1)
    assert len(first.met("test")) == len(second.met("test")) == 3
    assert first.met("test") != second.met("test")


def test_a_split_in_three_files_is_kept(source: Path) -> None:
    (source / "ml-100k.inter").unlink()
    for part, item in (("train", 7), ("valid", 2), ("test", 5)):
        write(source / f"ml-100k.{part}.inter", INTER, f"u1\ti{item}\t1\t5", f"u2\ti{item}\t1\t5")
    found = import_("recbole", source)
    assert found.met("train") == {("u1", "i7"), ("u2", "i7")}
    assert found.met("val") == {("u1", "i2"), ("u2", "i2")}
    assert found.met("test") == {("u1", "i5"), ("u2", "i5")}
    (source / "ml-100k.valid.inter").unlink()
    assert "ml-100k.valid.inter is missing" in refusal("recbole", source)


def test_items_without_features_are_left_out_and_said_so(source: Path) -> None:
    write(source / "ml-100k.inter", INTER, *ROWS, "u1\ti77\t1\t5", "u2\ti77\t1\t5", "u2\ti78\t1\t5")
    found = import_("recbole", source)
    assert len(found.dataset.train) == 16
    assert "3 interactions with 2 videos without features: left out" in found.told


def test_a_modality_may_be_in_a_file_named_by_an_option_and_lack_some(source: Path) -> None:
    write(source / "sound.emb", "i:token\tname:float\te:float_seq", "i3\t1\t7 8", "new\t1\t9 9")
    found = import_("recbole", source, "--acoustic", source / "sound.emb")
    assert found.features_of("i3")[3:] == [7, 8]
    assert found.features_of("i4")[3:] == [0, 0]
    assert found.features_of("new") == [0, 0, 0, 9, 9]
    (source.parent / "text.csv").write_text('item_id,embedding\ni3,"[1, 2]"\n')
    other = source.parent / "other"
    source.rename(other)
    (other / "ml-100k.visual").unlink()
    found = import_("recbole", other, "--textual", source.parent / "text.csv")
    assert found.dataset.video_ids == ["i3"]
    assert found.dataset.name == "ml-100k"  # by its files: the folder has another name


def test_other_columns_are_named_by_options(source: Path) -> None:
    write(source / "ml-100k.inter", "uid:token\tvid:token\tat:float", "7\ti1\t12.5", "7\ti2\t13.5")
    (source / "ml-100k.item").unlink()
    found = import_(
        "recbole", source, "--user-column", "uid", "--video-column", "vid", "--time-column", "at"
    )
    assert found.times() == {("7", "i1"): 12, ("7", "i2"): 13}


@pytest.mark.parametrize(
    ("file", "lines", "text"),
    [
        ("inter", ["user_id:token\titem_id:token", "\ti1"], "line 2: user_id '' is empty"),
        ("inter", ["user_id:token\titem_id:token", "u\ti\x01"], "item_id 'i\\x01' holds a control"),
        ("inter", ["user_id:token\trating:float", "u\t1"], "has no column 'item_id'"),
        ("inter", ["user_id\titem_id", "u\ti1"], "line 1: expected name:type of each column"),
        ("inter", ["a:token\ta:float", "u\ti1"], "line 1: expected name:type of each column"),
        ("inter", [INTER, "u\ti1\t1\tnan"], "line 2: timestamp is 'nan', expected secon"),
        ("inter", [INTER, "u\ti1\t1"], "Expected 4 columns, got 3"),
        ("inter", [INTER], "ml-100k: has no interaction to train on (0 in val, 0 in test)"),
        ("visual", ["v:token\te:float_seq", "i1\t1 x"], "line 2: holds no vector: could not conv"),
        ("visual", ["v:token\te:float_seq", "i1\t1 2", "i2\t1"], "line 3: e holds 1 numbers, the"),
        ("visual", ["v:token\te:float_seq", "i1\t1", "i2\t2", "i1\t3"], "line 4: v 'i1' more than"),
        ("visual", ["v:token\te:float_seq", "i1\t1 inf"], "line 2: number 1 is inf, not a finite"),
        ("visual", ["v:token\te:float_seq", "i1\t1 1e99"], "line 2: number 1 is inf, not a finite"),
        ("visual", ["v:token\te:float_seq", "i1\t"], "has no features"),
        ("visual", ["v:token\te:float_seq"], "has no features"),
        ("visual", ["v:token\te:float", "i1\t1"], "expected one token and one float_seq column"),
        ("item", ["title:token_seq", "Heat"], "has no column 'item_id'"),
    ],
)
def test_malformed_files_are_told(file: str, lines: list[str], text: str, source: Path) -> None:
    write(source / f"ml-100k.{file}", *lines)
    told = refusal("recbole", source)
    assert text in told
    if not text.startswith("ml-100k: "):
        assert told.startswith(f"ml-100k.{file}: ")


def test_what_is_missing_is_told(source: Path) -> None:
    (source / "ml-100k.visual").unlink()
    assert "holds none of ['ml-100k.visual', 'ml-100k.acoustic'" in refusal("recbole", source)
    (source / "ml-100k.inter").unlink()
    assert "expected ml-100k.inter, or the .inter file of one" in refusal("recbole", source)
    for name in ("a.inter", "b.train.inter"):
        write(source / name, INTER)
    assert "found ['a', 'b']" in refusal("recbole", source)
