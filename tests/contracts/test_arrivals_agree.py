"""What the trainer judges for a cold video is what the service makes of it on arrival."""

import numpy as np
import pytest

from models.bundle.reader import Bundle, read_bundle
from service.catalog.fusing import Fuser
from tests.support.bundles import write_small_bundle
from training.data.dataset import Dataset
from training.data.synthetic import make_synthetic


@pytest.fixture(scope="module")
def sample() -> Dataset:
    """Videos of which some are cold and some lack a modality."""
    return make_synthetic(videos=200, users=40, seed=2)


@pytest.fixture(scope="module")
def bundle(sample: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    root = tmp_path_factory.mktemp("agree")
    return read_bundle(root / write_small_bundle(root, dataset=sample, epochs=3))


def raw(sample: Dataset, row: int) -> dict[str, np.ndarray]:
    """The features of a video as a client would send them: what is absent is not sent."""
    sent = {str(m): matrix[row].astype(np.float64) for m, matrix in sample.features.items()}
    return {name: values for name, values in sent.items() if values.any()}


def test_a_cold_video_is_judged_as_it_would_be_served(sample: Dataset, bundle: Bundle) -> None:
    cold = np.flatnonzero(sample.cold)
    fused = Fuser(bundle).fuse([raw(sample, row) for row in cold.tolist()])
    np.testing.assert_allclose(fused, bundle.videos[cold], rtol=1e-4, atol=1e-6)


def test_cold_videos_of_the_sample_come_with_and_without_gaps(sample: Dataset) -> None:
    whole = sample.present[sample.cold].all(axis=1)
    assert whole.any()
    assert not whole.all()


def test_a_warm_video_sent_as_an_arrival_is_its_content_alone(
    sample: Dataset, bundle: Bundle
) -> None:
    warm = np.flatnonzero(~sample.cold)
    fused = Fuser(bundle).fuse([raw(sample, row) for row in warm.tolist()])
    lengths = np.linalg.norm(fused[:, :-1], axis=1)
    assert lengths.max() <= np.linalg.norm(bundle.videos[warm, :-1], axis=1).max() * (1 + 1e-5)
    assert np.abs(fused - bundle.videos[warm]).max() > 1e-2


def test_one_arrival_alone_is_fused_as_among_many(sample: Dataset, bundle: Bundle) -> None:
    fuser, videos = Fuser(bundle), [raw(sample, row) for row in range(30)]
    together = fuser.fuse(videos)
    alone = np.concatenate([fuser.fuse([video]) for video in videos])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-6)
