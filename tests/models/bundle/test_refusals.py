"""A bundle that is not whole is refused, and the file at fault is named."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from models.bundle import layout
from models.bundle.errors import BundleError, CorruptBundle, NoBundle, UnsupportedFormat
from models.bundle.ids import table_of
from models.bundle.reader import candidate_ids, read_bundle, read_current_id
from tests.support.damage import change_tensors, flip_bit, read_manifest, reseal

ALL_FILES = (layout.MANIFEST, *layout.REQUIRED, *layout.OPTIONAL)
by_every_file = pytest.mark.parametrize("name", ALL_FILES)


def refusal(folder: Path, kind: type[BundleError] = CorruptBundle) -> BundleError:
    with pytest.raises(BundleError) as caught:
        read_bundle(folder)
    assert type(caught.value) is kind
    assert caught.value.file.name in str(caught.value)
    return caught.value


def test_the_small_bundle_has_every_file_and_is_whole(pristine: Path) -> None:
    assert {file.name for file in pristine.iterdir()} == set(ALL_FILES)
    read_bundle(pristine)


@by_every_file
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(bit=st.integers(0, 1 << 24))
def test_a_flipped_bit_anywhere_is_refused(
    name: str, bit: int, bundle: Path, pristine: Path
) -> None:
    whole = (bundle / name).read_bytes()
    flip_bit(bundle / name, bit)
    try:
        found = read_bundle(bundle)
    except BundleError as error:
        refused = error
    else:
        # 1e-05 and 1E-05 are one bit apart and say the same.
        assert name == layout.MANIFEST
        assert found.manifest == read_manifest(pristine)
        return
    finally:
        (bundle / name).write_bytes(whole)
    # A flipped bit may turn the version into another one, which is the truth about the file. Any
    # file may be at fault where the manifest no longer fits it.
    kinds = (CorruptBundle, UnsupportedFormat) if name == layout.MANIFEST else CorruptBundle
    assert isinstance(refused, kinds)
    assert name in {refused.file.name, layout.MANIFEST}
    read_bundle(bundle)


@by_every_file
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
def test_a_file_cut_short_is_refused(name: str, share: float, bundle: Path) -> None:
    size = (bundle / name).stat().st_size
    os.truncate(bundle / name, min(int(size * share), size - 2))
    assert refusal(bundle).file == bundle / name


@by_every_file
def test_a_file_with_more_at_its_end_is_refused(name: str, bundle: Path) -> None:
    with (bundle / name).open("ab") as file:
        file.write(b"x")
    assert refusal(bundle).file == bundle / name


@pytest.mark.parametrize("name", [*layout.REQUIRED, *layout.OPTIONAL])
def test_a_missing_file_is_named(name: str, bundle: Path) -> None:
    (bundle / name).unlink()
    error = refusal(bundle)
    assert error.file == bundle / name
    assert "missing" in error.fault


def test_without_a_manifest_there_is_no_bundle(bundle: Path) -> None:
    (bundle / layout.MANIFEST).unlink()
    assert refusal(bundle, NoBundle).file == bundle / layout.MANIFEST


def test_a_folder_in_the_place_of_a_file_is_refused(bundle: Path) -> None:
    (bundle / layout.INDEX).unlink()
    (bundle / layout.INDEX).mkdir()
    assert refusal(bundle).file == bundle / layout.INDEX


@pytest.mark.parametrize("version", [0, 1, 2, 3, 4, 8, 99])
def test_another_format_version_is_told_from_damage(version: int, bundle: Path) -> None:
    manifest = json.loads((bundle / layout.MANIFEST).read_bytes())
    # A later format may look like anything; its version is all that is read.
    (bundle / layout.MANIFEST).write_text(
        json.dumps({"format_version": version, "news": manifest["files"]})
    )
    error = refusal(bundle, UnsupportedFormat)
    assert f"format_version is {version}" in error.fault


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", '{"format_version": "5"}', '{"format_version": 5}', "[" * 100_000],
    ids=["empty", "bare", "list", "null", "text", "alone", "deep"],
)
def test_a_manifest_that_is_none_is_refused(text: str, bundle: Path) -> None:
    (bundle / layout.MANIFEST).write_text(text)
    assert refusal(bundle).file == bundle / layout.MANIFEST


def test_a_manifest_of_endless_depth_is_refused(bundle: Path) -> None:
    manifest = (bundle / layout.MANIFEST).read_text()
    deep = '"metrics": ' + "[" * 100_000 + "]" * 100_000 + ', "was": '
    (bundle / layout.MANIFEST).write_text(manifest.replace('"metrics": ', deep))
    assert refusal(bundle).file == bundle / layout.MANIFEST


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"vector_dim": ', '"vector_dim": 1'),
        ('"seed": 0', '"seed": 1'),
        ('"log_position": null', ""),
    ],
)
def test_a_manifest_altered_by_hand_is_refused(before: str, after: str, bundle: Path) -> None:
    text = (bundle / layout.MANIFEST).read_text()
    assert before in text
    (bundle / layout.MANIFEST).write_text(text.replace(before, after))
    assert refusal(bundle).file == bundle / layout.MANIFEST


def test_a_renamed_bundle_is_refused(bundle: Path) -> None:
    error = refusal(bundle.rename(bundle.parent / "other"))
    assert "'other'" in error.fault


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "..", ""])
def test_a_manifest_that_lists_files_elsewhere_is_refused(name: str, bundle: Path) -> None:
    (bundle.parent / "outside").write_text("secret")
    files = dict(read_manifest(bundle).files)
    files[name] = files[layout.USERS]
    refusal(reseal(bundle, files=files))


def test_a_manifest_must_list_every_required_file(bundle: Path) -> None:
    files = dict(read_manifest(bundle).files)
    del files[layout.INDEX]
    error = refusal(reseal(bundle, files=files))
    assert layout.INDEX in error.fault


Change = Callable[[dict[str, Any]], dict[str, Any]]


def _nan(vectors: Any) -> Any:
    spoilt = vectors.copy()
    spoilt[3, 1] = np.nan
    return spoilt


def _ties_turned(popular: Any, popularity: Any) -> Any:
    """Return the rows most popular first, of equal ones the last row first."""
    turned = np.lexsort((-np.arange(len(popular)), -popularity))
    assert (turned != popular).any()
    return turned


def _of_length(vectors: Any, length: float) -> Any:
    changed = vectors.copy()
    changed[3] *= length
    return changed


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (layout.VECTORS, lambda t: {"videos": t["videos"][:-1]}),
        (layout.VECTORS, lambda t: {"videos": t["videos"][:, :-1]}),
        (layout.VECTORS, lambda t: {"users": t["users"][:-1]}),
        (layout.VECTORS, lambda t: {"users": t["users"].ravel()}),
        (layout.VECTORS, lambda t: {"users": t["users"].astype(np.float16)}),
        (layout.VECTORS, lambda t: {"videos": _nan(t["videos"])}),
        (layout.VECTORS, lambda t: {"users": np.where(t["users"] > 0, np.inf, t["users"])}),
        (layout.VECTORS, lambda t: {"users": None}),
        (layout.VECTORS, lambda t: {"users": _of_length(t["users"], 1.01)}),
        (layout.VECTORS, lambda t: {"videos": _of_length(t["videos"], 0.99)}),
        (layout.VECTORS, lambda t: {"videos": _of_length(t["videos"], 0)}),
        (layout.SEEN, lambda t: {"starts": None}),
        (layout.SEEN, lambda t: {"starts": t["starts"].astype(np.float32)}),
        (layout.SEEN, lambda t: {"starts": t["starts"][:-1]}),
        (layout.SEEN, lambda t: {"starts": t["starts"] + 1}),
        (layout.SEEN, lambda t: {"starts": t["starts"][::-1]}),
        (layout.SEEN, lambda t: {"starts": t["starts"][[0, 2, 1, *range(3, 21)]]}),
        (layout.SEEN, lambda t: {"videos": t["videos"][:-1]}),
        (layout.SEEN, lambda t: {"videos": t["videos"] + 60}),
        (layout.SEEN, lambda t: {"videos": t["videos"] - 60}),
        (layout.SEEN, lambda t: {"videos": np.column_stack([t["videos"], t["videos"]])}),
        (layout.SEEN, lambda t: {"popularity": t["popularity"][1:]}),
        (layout.SEEN, lambda t: {"popularity": t["popularity"].astype(np.float32)}),
        (layout.SEEN, lambda t: {"feature_digests": t["feature_digests"][:, None]}),
        (layout.SEEN, lambda t: {"activity": t["activity"][1:]}),
        (layout.SEEN, lambda t: {"activity": None}),
        (layout.SEEN, lambda t: {"hidden": None}),
        (layout.SEEN, lambda t: {"hidden": np.zeros(59, np.bool_)}),
        (layout.SEEN, lambda t: {"hidden": np.zeros((60, 1), np.bool_)}),
        (layout.SEEN, lambda t: {"hidden": np.zeros(60, np.int64)}),
        (layout.VECTORS, lambda t: {"evening": t["evening"][1:]}),
        (layout.VECTORS, lambda t: {"centre": t["centre"].astype(np.float32)}),
        (layout.VECTORS, lambda t: {"typical": t["typical"] * np.nan}),
        (layout.SEEN, lambda t: {"popular": None}),
        (layout.SEEN, lambda t: {"popular": t["popular"][1:]}),
        (layout.SEEN, lambda t: {"popular": t["popular"][::-1]}),
        (layout.SEEN, lambda t: {"popular": _ties_turned(t["popular"], t["popularity"])}),
        (layout.SEEN, lambda t: {"popular": t["popular"] * 0}),
        (layout.SEEN, lambda t: {"popular": t["popular"] + 1}),
        (layout.USERS, lambda t: table_of(["one"])),
        (layout.USERS, lambda t: table_of(["twin"] * 20)),
        (layout.VIDEOS, lambda t: table_of(["twin", "twin", *map(str, range(58))])),
        (layout.VIDEOS, lambda t: {"hashes": None}),
        (layout.VIDEOS, lambda t: {"order": t["order"].astype(np.int32)}),
        (layout.FACETS, lambda t: {"uploaders": t["uploaders"][1:]}),
        (layout.FACETS, lambda t: {"languages": t["languages"] + 1000}),
        (layout.FACETS, lambda t: {"languages": t["languages"] - 2}),
        (layout.FACETS, lambda t: {"expires": t["expires"][:, None]}),
        (layout.FACETS, lambda t: {"published": t["published"].astype(np.float32)}),
        (layout.FACETS, lambda t: {"tag_starts": t["tag_starts"][1:]}),
        (layout.FACETS, lambda t: {"tag_starts": t["tag_starts"] + 1}),
        (layout.FACETS, lambda t: {"tag_starts": t["tag_starts"][::-1]}),
        (layout.FACETS, lambda t: {"tag_rows": t["tag_rows"] + 60}),
        (layout.FACETS, lambda t: {"tag_rows": t["tag_rows"] - 60}),
        (layout.FACETS, lambda t: {"tag_rows": t["tag_rows"][:, None]}),
        (layout.FACETS, lambda t: {"tag_rows": t["tag_rows"] * 0}),
        (layout.FACETS, lambda t: {"tags.order": t["tags.order"] * 0}),
        (layout.FACETS, lambda t: {"names.text": t["names.text"][1:]}),
        (layout.ABLATIONS, lambda t: {"content": t["content"][1:]}),
        (layout.ABLATIONS, lambda t: {"content": t["content"][:, 1:]}),
        (layout.ABLATIONS, lambda t: {"content": t["content"].astype(np.float32)}),
        (layout.ABLATIONS, lambda t: {"content": t["content"] * np.float16(np.nan)}),
        (layout.ABLATIONS, lambda t: {"content": None, "more": t["content"]}),
    ],
)
def test_tensors_that_do_not_fit_are_refused_though_every_checksum_does(
    name: str, change: Change, bundle: Path
) -> None:
    change_tensors(bundle, name, change(load_file(bundle / name)))
    sealed = reseal(bundle)
    assert refusal(sealed).file == sealed / name


def test_the_row_that_is_no_unit_vector_is_named_and_rounding_is_none(bundle: Path) -> None:
    users = load_file(bundle / layout.VECTORS)["users"]
    change_tensors(bundle, layout.VECTORS, {"users": _of_length(users, 1.0005)})
    rounded = reseal(bundle)
    read_bundle(rounded)
    change_tensors(rounded, layout.VECTORS, {"users": _of_length(users, 2)})
    assert "users row 3 is 2.0000 long, expected 1" in refusal(reseal(rounded)).fault


def test_tensors_that_differ_from_the_manifest_are_refused(bundle: Path) -> None:
    tensors = read_manifest(bundle).tensors
    change_tensors(bundle, layout.VECTORS, {"more": np.zeros(3, np.float32)})
    sealed = reseal(bundle, tensors=tensors)
    assert refusal(sealed).file == sealed / layout.VECTORS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}\n" * 59,
        "{}\n" * 61,
        "{}\n" * 59 + "{\n",
        "{}\n" * 59 + "[]\n",
        "{}\n" * 59 + "{} ",
        "{}\n" * 58 + "{}{}{}",
    ],
)
def test_metadata_that_does_not_fit_is_refused(text: str, bundle: Path) -> None:
    (bundle / layout.METADATA).write_text("{}\n" * 60)
    starts = np.arange(0, 3 * 60 + 1, 3)
    change_tensors(bundle, layout.FACETS, {"starts": starts})
    bundle = reseal(bundle)
    assert list(read_bundle(bundle).metadata) == [{}] * 60
    (bundle / layout.METADATA).write_text(text)
    sealed = reseal(bundle)
    assert refusal(sealed).file == sealed / layout.METADATA


@pytest.mark.parametrize("field", ["users", "videos", "vector_dim"])
def test_counts_that_do_not_fit_are_refused(field: str, bundle: Path) -> None:
    sealed = reseal(bundle, **{field: getattr(read_manifest(bundle), field) + 1})
    refusal(sealed)


@pytest.mark.parametrize(
    "text",
    ["", "\n", "gone", "../bundles", "..", ".", "/", "/etc", "a\x00b", "x" * 5000, "🎬"],
    ids=["empty", "blank", "gone", "up", "dots", "dot", "root", "etc", "nul", "long", "emoji"],
)
def test_a_current_that_names_no_bundle_here_is_refused(text: str, bundle: Path) -> None:
    # A whole bundle outside the root: a CURRENT with a path in it would reach it.
    shutil.copytree(bundle, bundle.parent.parent / bundle.name)
    (bundle.parent / layout.CURRENT).write_text(text)
    with pytest.raises(NoBundle) as caught:
        read_current_id(bundle.parent)
    assert caught.value.file == bundle.parent / layout.CURRENT
    assert len(str(caught.value)) < 400 + len(str(bundle))


@pytest.mark.parametrize("path", ["../{}", "{}/", "./{}", "{}/../{}"])
def test_a_path_in_current_is_no_id(path: str, bundle: Path) -> None:
    (bundle.parent / layout.CURRENT).write_text(path.format(bundle.name, bundle.name))
    with pytest.raises(NoBundle):
        read_current_id(bundle.parent)


def test_current_may_not_name_a_bundle_in_the_making(bundle: Path) -> None:
    scratch = bundle.rename(bundle.parent / f"{layout.SCRATCH_PREFIX}1234")
    (bundle.parent / layout.CURRENT).write_text(scratch.name)
    with pytest.raises(NoBundle):
        read_current_id(bundle.parent)


def test_a_binary_current_is_refused(bundle: Path) -> None:
    (bundle.parent / layout.CURRENT).write_bytes(b"\xff\xfe")
    with pytest.raises(NoBundle):
        read_current_id(bundle.parent)


def test_without_a_usable_current_the_newest_bundle_is_the_candidate(bundle: Path) -> None:
    (bundle.parent / layout.CURRENT).write_text("gone")
    assert candidate_ids(bundle.parent) == [bundle.name]


def test_an_empty_root_has_no_candidate(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "missing"):
        with pytest.raises(NoBundle):
            candidate_ids(root)


def test_nothing_in_a_bundle_is_run_when_it_is_read(bundle: Path) -> None:
    # The first thing a pickle does when loaded: this one would write a file.
    trap = bundle.parent / "trap"
    bomb = f"cposix\nsystem\n(S'touch {trap}'\ntR.".encode()
    for name in layout.REQUIRED:
        whole = (bundle / name).read_bytes()
        (bundle / name).write_bytes(bomb)
        refusal(bundle)
        (bundle / name).write_bytes(whole)
    assert not trap.exists()
