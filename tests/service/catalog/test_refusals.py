"""Bundles that are whole but cannot be served: each is refused by name, never half loaded."""

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from models.bundle import layout
from models.bundle.manifest import FileEntry, Manifest, seal
from models.bundle.reader import read_bundle, read_current_id
from models.bundle.writer import make_current
from tests.support.damage import change_tensors, reseal
from tests.support.server import Api, eventually, settings_for


def rewrite(bundles: Path, **changes: Any) -> str:
    """Change the manifest of the current bundle, give it the id that fits, make it CURRENT."""
    folder = bundles / read_current_id(bundles)
    old = msgspec.json.decode((folder / layout.MANIFEST).read_bytes(), type=Manifest)
    files = {}
    for name in old.files:
        raw = (folder / name).read_bytes()
        files[name] = FileEntry(len(raw), hashlib.sha256(raw).hexdigest())
    new = msgspec.structs.replace(old, files=files, **changes)
    bundle_id = f"{old.bundle_id.partition('-')[0]}-{seal(new)}"
    new = msgspec.structs.replace(new, bundle_id=bundle_id)
    (folder / layout.MANIFEST).write_bytes(msgspec.json.encode(new))
    folder.rename(bundles / bundle_id)
    make_current(bundles, bundle_id)
    return bundle_id


def refusal(bundles: Path, tmp_path: Path) -> str:
    """Return why the service is not ready."""
    with Api(settings_for(bundles, tmp_path / "e.db")) as api:
        eventually(lambda: api.metric("reco_degraded", fault="bundle"))
        return str(api.get("/readyz").json()["detail"])


def test_a_rewritten_bundle_is_served_if_nothing_is_wrong(bundles: Path, tmp_path: Path) -> None:
    bundle_id = rewrite(bundles, dataset="renamed")
    with Api(settings_for(bundles, tmp_path / "e.db")) as api:
        assert api.ready().model()["bundle_id"] == bundle_id


def test_a_bundle_from_before_arrivals_lost_anything_is_served(
    bundles: Path, tmp_path: Path
) -> None:
    folder = bundles / read_current_id(bundles)
    change_tensors(folder, layout.FUSION, {"common": None})
    make_current(bundles, reseal(folder, format_version=5).name)
    with Api(settings_for(bundles, tmp_path / "e.db")) as api:
        api.ready()
        assert api.put_video("new").status_code == 201
        assert api.get("/v1/videos/new/similar?k=3").status_code == 200


def test_a_bundle_from_before_there_were_ensembles_is_served(bundles: Path, tmp_path: Path) -> None:
    folder = bundles / read_current_id(bundles)
    # Its manifest has no word for how many networks there are.
    assert b"members" not in msgspec.json.encode(read_bundle(folder).manifest.fusion)
    make_current(bundles, reseal(folder, format_version=6).name)
    with Api(settings_for(bundles, tmp_path / "e.db")) as api:
        api.ready()
        assert api.put_video("new").status_code == 201


def test_a_bundle_of_today_without_it_is_refused(bundles: Path, tmp_path: Path) -> None:
    folder = bundles / read_current_id(bundles)
    change_tensors(folder, layout.FUSION, {"common": None})
    make_current(bundles, reseal(folder).name)
    assert "common" in refusal(bundles, tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(
    bundles: Path, tmp_path: Path, value: float
) -> None:
    file = bundles / read_current_id(bundles) / layout.FUSION
    weights = {name: array.copy() for name, array in load_file(file).items()}
    weights["missing"][0] = value
    save_file(weights, file)
    rewrite(bundles)
    assert "missing holds values that are not finite" in refusal(bundles, tmp_path)


def test_weights_of_another_network_are_refused(bundles: Path, tmp_path: Path) -> None:
    file = bundles / read_current_id(bundles) / layout.FUSION
    weights = load_file(file)
    del weights["missing"]
    save_file(weights, file)
    rewrite(bundles)
    assert layout.FUSION in refusal(bundles, tmp_path)


@pytest.mark.parametrize("position", ["1", "1-0", "not a position"])
def test_a_position_of_another_log_is_refused(bundles: Path, tmp_path: Path, position: str) -> None:
    rewrite(bundles, log_position=position)
    assert "no position of an event log" in refusal(bundles, tmp_path)


def test_the_log_is_read_from_the_position_that_training_had_read(
    bundles: Path, tmp_path: Path
) -> None:
    settings = settings_for(bundles, tmp_path / "e.db")
    with Api(settings) as api:
        first = api.ready().put_video("trained on").json()["position"]
        api.put_video("later")
    rewrite(bundles, log_position=first)
    with Api(settings) as api:
        assert api.ready().get("/v1/videos/later").status_code == 200
        assert api.get("/v1/videos/trained%20on").status_code == 404


def test_an_index_of_another_shape_is_refused(bundles: Path, newer: Path, tmp_path: Path) -> None:
    folder = bundles / read_current_id(bundles)
    (folder / layout.INDEX).write_bytes(b"IxFI" + bytes(64))
    rewrite(bundles)
    assert layout.INDEX in refusal(bundles, tmp_path)
