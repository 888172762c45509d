"""What the trainer judges for a cold video is what the service makes of it on arrival."""

import shutil
from pathlib import Path
from typing import get_args

import msgspec
import numpy as np
import pytest

from models.bundle import layout
from models.bundle.errors import CorruptBundle
from models.bundle.reader import Bundle, read_bundle
from models.form import FusionForm
from service.catalog.fusing import Fuser
from tests.support.damage import reseal
from training.config import FitConfig, configure
from training.data.dataset import Dataset
from training.data.synthetic import make_synthetic
from training.ensemble import fit_members
from training.export import export
from training.loop import fit

FORMS: tuple[FusionForm, ...] = get_args(FusionForm)


@pytest.fixture(scope="module")
def sample() -> Dataset:
    """Videos of which some are cold and some lack a modality."""
    return make_synthetic(videos=200, users=40, seed=2)


@pytest.fixture(scope="module", params=FORMS)
def form(request: pytest.FixtureRequest) -> FusionForm:
    chosen: FusionForm = request.param
    return chosen


@pytest.fixture(scope="module")
def bundle(sample: Dataset, form: FusionForm, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    root = tmp_path_factory.mktemp("agree")
    config = FitConfig(vector_dim=8, hidden_dims=(8, 9), max_epochs=3, fusion=form)
    fitted = fit(sample, config)
    return read_bundle(root / export(fitted, sample, config, root, metrics={}, seed=0))


def raw(sample: Dataset, row: int) -> dict[str, np.ndarray]:
    """The features of a video as a client would send them: what is absent is not sent."""
    sent = {str(m): matrix[row].astype(np.float64) for m, matrix in sample.features.items()}
    return {name: values for name, values in sent.items() if values.any()}


def test_a_cold_video_is_judged_as_it_would_be_served(sample: Dataset, bundle: Bundle) -> None:
    cold = np.flatnonzero(sample.cold)
    fused = Fuser(bundle).fuse([raw(sample, row) for row in cold.tolist()])
    np.testing.assert_allclose(fused, bundle.videos[cold], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("model", ["metammf-mf", "metammf-gcn", "metammf-lightgcn"])
def test_the_service_computes_for_an_arrival_the_vector_that_the_trainer_evaluates(
    model: str, sample: Dataset, tmp_path: Path
) -> None:
    config = configure({"model": model, "vector_dim": 8, "hidden_dims": (8,), "max_epochs": 2})
    fitted = fit(sample, config)
    written = read_bundle(tmp_path / export(fitted, sample, config, tmp_path, metrics={}, seed=0))
    cold = np.flatnonzero(sample.cold)
    fused = Fuser(written).fuse([raw(sample, row) for row in cold.tolist()])
    np.testing.assert_allclose(fused, fitted.videos[cold], rtol=1e-4, atol=1e-6)


def test_the_service_brings_the_members_of_an_ensemble_together_as_the_trainer_does(
    sample: Dataset, tmp_path: Path
) -> None:
    config = FitConfig(vector_dim=8, hidden_dims=(8,), max_epochs=3, members=3)
    fitted = fit_members(sample, config)
    written = read_bundle(tmp_path / export(fitted, sample, config, tmp_path, metrics={}, seed=0))
    assert written.manifest.fusion.members == 3
    assert len(written.manifest.training["members"]) == 3
    every = Fuser(written).fuse([raw(sample, row) for row in range(sample.videos)])
    cold = np.flatnonzero(sample.cold)
    np.testing.assert_allclose(every[cold], fitted.videos[cold], rtol=1e-4, atol=1e-6)
    # What an explanation takes modalities away from is the same.
    assert written.ablations is not None
    np.testing.assert_allclose(written.ablations[:, -1], every, atol=2e-3)


def test_an_ensemble_of_another_size_is_refused(sample: Dataset, tmp_path: Path) -> None:
    config = FitConfig(vector_dim=8, hidden_dims=(8,), max_epochs=1, members=2)
    fitted = fit_members(sample, config)
    bundle_id = export(fitted, sample, config, tmp_path, metrics={}, seed=0)
    for members in (1, 3):
        folder = shutil.copytree(tmp_path / bundle_id, tmp_path / str(members) / bundle_id)
        sizes = msgspec.structs.replace(read_bundle(folder).manifest.fusion, members=members)
        with pytest.raises(CorruptBundle, match=layout.FUSION):
            Fuser(read_bundle(reseal(folder, fusion=sizes)))
    folder = shutil.copytree(tmp_path / bundle_id, tmp_path / "none" / bundle_id)
    nobody = {**msgspec.to_builtins(read_bundle(folder).manifest.fusion), "members": 0}
    with pytest.raises(CorruptBundle, match="members"):
        read_bundle(reseal(folder, fusion=nobody))


def test_cold_videos_of_the_sample_come_with_and_without_gaps(sample: Dataset) -> None:
    whole = sample.present[sample.cold].all(axis=1)
    assert whole.any()
    assert not whole.all()


def test_a_warm_video_sent_as_an_arrival_is_its_content_alone(
    sample: Dataset, bundle: Bundle
) -> None:
    warm = np.flatnonzero(~sample.cold)
    fused = Fuser(bundle).fuse([raw(sample, row) for row in warm.tolist()])
    np.testing.assert_allclose(np.linalg.norm(fused, axis=1), 1, atol=1e-5)
    assert np.abs(fused - bundle.videos[warm]).max() > 1e-2


def test_one_arrival_alone_is_fused_as_among_many(sample: Dataset, bundle: Bundle) -> None:
    fuser, videos = Fuser(bundle), [raw(sample, row) for row in range(30)]
    together = fuser.fuse(videos)
    alone = np.concatenate([fuser.fuse([video]) for video in videos])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-6)


def test_the_bundle_names_the_form_of_its_network(bundle: Bundle, form: FusionForm) -> None:
    assert bundle.manifest.fusion.form == form
    assert bundle.manifest.training["config"]["fusion"] == form


def test_weights_of_another_form_are_refused(
    bundle: Bundle, form: FusionForm, tmp_path: Path
) -> None:
    for other in set(FORMS) - {form}:
        folder = shutil.copytree(bundle.fusion_file.parent, tmp_path / other / "bundle")
        mistaken = msgspec.structs.replace(bundle.manifest.fusion, form=other)
        resealed = read_bundle(reseal(folder, fusion=mistaken))
        with pytest.raises(CorruptBundle, match=layout.FUSION):
            Fuser(resealed)


def test_a_form_that_is_none_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    folder = shutil.copytree(bundle.fusion_file.parent, tmp_path / "bundle")
    unknown = {**msgspec.to_builtins(bundle.manifest.fusion), "form": "mixed"}
    with pytest.raises(CorruptBundle, match="mixed"):
        read_bundle(reseal(folder, fusion=unknown))
