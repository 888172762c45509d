"""What each modality gives adds up to what the network computes, whatever the form."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import leaky_relu

from models.form import FusionForm
from models.fusion import OUTPUT_SCALE, MetaFusion
from models.meta_layer import LowRankMetaLayer
from tests.support.datasets import dataset_of, random_features
from training.data.dataset import Dataset
from training.report.shares import (
    NO_MODALITY,
    Shares,
    contributions,
    filled,
    modality_shares,
    principal_plane,
    signals,
)

FORMS: tuple[FusionForm, ...] = get_args(FusionForm)
by_form = pytest.mark.parametrize("form", FORMS)


@pytest.fixture
def data() -> Dataset:
    """Thirty videos of three modalities, of which some videos lack some, and video 7 lacks all."""
    features = random_features(30, {"visual": 5, "acoustic": 3, "textual": 4})
    features["visual"][:4] = 0
    features["textual"][3:6] = 0
    for matrix in features.values():
        matrix[7] = 0
    return dataset_of(users=2, videos=30, train=[(0, 0)], features=features)


def fusion_for(data: Dataset, form: FusionForm) -> MetaFusion:
    """Return a network with everything drawn, also what stands in for a missing modality."""
    torch.manual_seed(3)
    fusion = MetaFusion(
        data.feature_dims, hidden_dims=(6,), output_dim=7, signal_hidden_dim=8, signal_dim=4,
        rank=3, form=form,
    )  # fmt: skip
    torch.nn.init.normal_(fusion.missing)
    fusion.learn_scaling(*tensors(data))
    return fusion


def first_layer(fusion: MetaFusion) -> LowRankMetaLayer:
    layer = fusion.layers[0]
    assert isinstance(layer, LowRankMetaLayer)
    return layer


def tensors(data: Dataset) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(data.joined_features), torch.from_numpy(data.present)


@by_form
@torch.no_grad()
def test_the_contributions_of_all_modalities_make_the_fused_vector(
    form: FusionForm, data: Dataset
) -> None:
    fusion = fusion_for(data, form)
    features, present = tensors(data)
    static, dynamic = contributions(fusion, features, present)
    first = torch.stack(static).sum(0) + torch.stack(dynamic).sum(0)
    signal = fusion.signal(filled(fusion, features, present))
    fused = fusion.layers[1](leaky_relu(first, 0.01), signal) * OUTPUT_SCALE
    expected = fusion(fusion.standardise(features, present), present)
    torch.testing.assert_close(fused, expected, rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_the_parts_are_those_of_the_formula(data: Dataset) -> None:
    fusion = fusion_for(data, "cpd")
    features, present = tensors(data)
    found = contributions(fusion, features, present)
    layer = first_layer(fusion).double()
    inputs = filled(fusion, features, present).double()
    signal = fusion.signal(inputs.float()).double()
    for place, columns in enumerate((slice(0, 5), slice(5, 8), slice(8, 12))):
        mine = torch.zeros_like(inputs)
        mine[:, columns] = inputs[:, columns]
        thin = (mine @ layer.input_factor) * (signal @ layer.signal_factor.T)
        expected = (mine @ layer.base, thin @ layer.output_factor)
        for part, wanted in zip(found, expected, strict=True):
            torch.testing.assert_close(part[place].double(), wanted, rtol=1e-4, atol=1e-5)


def test_the_static_form_has_no_dynamic_part_and_no_signal(data: Dataset) -> None:
    fusion = fusion_for(data, "static")
    shares = modality_shares(fusion, data)
    assert (shares.dynamic == 0).all()
    assert (shares.static > 0).all()
    assert signals(fusion, data).shape == (30, 0)


@pytest.mark.parametrize("form", [form for form in FORMS if form != "static"])
def test_the_other_forms_have_both_parts(form: FusionForm, data: Dataset) -> None:
    shares = modality_shares(fusion_for(data, form), data)
    assert (shares.dynamic > 0).all()
    assert (shares.static > 0).all()


def lengths(parts: list[Tensor]) -> NDArray[np.float64]:
    """Return the length of each video's part of each modality: (V, M)."""
    return np.stack([np.linalg.norm(part.double().numpy(), axis=1) for part in parts], axis=1)


@by_form
def test_means_are_over_the_videos_that_have_the_modality(form: FusionForm, data: Dataset) -> None:
    fusion = fusion_for(data, form)
    shares = modality_shares(fusion, data)
    assert shares.modalities == ("visual", "acoustic", "textual")
    assert shares.videos.tolist() == [25, 29, 26]
    static, dynamic = map(lengths, contributions(fusion, *tensors(data)))
    for place in range(3):
        has = data.present[:, place]
        assert shares.static[place] == pytest.approx(static[has, place].mean(), rel=1e-4)
        assert shares.dynamic[place] == pytest.approx(dynamic[has, place].mean(), rel=1e-4)


@by_form
def test_shares_add_up_to_one(form: FusionForm, data: Dataset) -> None:
    shares = modality_shares(fusion_for(data, form), data)
    assert shares.share.sum() == pytest.approx(1, abs=1e-5)
    assert (shares.share > 0).all()


def silenced(fusion: MetaFusion, *modalities: int) -> MetaFusion:
    """Make the first layer deaf to `modalities`."""
    layer = first_layer(fusion)
    with torch.no_grad():
        for place in modalities:
            rows = fusion.blocks[place].bool()
            layer.base[rows] = 0
            layer.input_factor[rows] = 0
    return fusion


def test_the_modality_that_alone_is_heard_has_all_of_the_share(data: Dataset) -> None:
    shares = modality_shares(silenced(fusion_for(data, "cpd"), 0, 2), data)
    # Everything that has any modality but only lacks this one gives nothing at all.
    np.testing.assert_allclose(shares.share, [0, 1, 0], atol=1e-6)
    assert shares.static[0] == shares.dynamic[0] == 0
    assert shares.static[1] > 0


def test_the_leading_modality_is_the_longest_that_a_video_has(data: Dataset) -> None:
    leading = modality_shares(silenced(fusion_for(data, "cpd"), 1, 2), data).leading
    assert (leading[8:] == 0).all()
    assert (leading[:4] != 0).all()  # they lack it, though its stand-in is the longest
    assert leading[7] == NO_MODALITY


def test_videos_without_any_feature_change_nothing(data: Dataset) -> None:
    fusion = fusion_for(data, "cpd")
    features = {m: np.delete(matrix, 7, axis=0) for m, matrix in data.features.items()}
    fewer = replace(data, features=features, video_ids=[*data.video_ids[:7], *data.video_ids[8:]])
    first, second = modality_shares(fusion, data), modality_shares(fusion, fewer)
    for field in ("static", "dynamic", "share", "videos"):
        np.testing.assert_allclose(getattr(first, field), getattr(second, field), rtol=1e-5)


def test_nobody_has_any_feature() -> None:
    data = dataset_of(
        users=1, videos=3, train=[(0, 0)], features={"visual": np.zeros((3, 4), np.float32)}
    )
    shares: Shares = modality_shares(fusion_for(data, "cpd"), data)
    assert shares.share.tolist() == shares.static.tolist() == [0.0]
    assert shares.leading.tolist() == [NO_MODALITY] * 3


@torch.no_grad()
def test_signals_are_those_that_steer_the_videos(data: Dataset) -> None:
    fusion = fusion_for(data, "cpd")
    features, present = tensors(data)
    row = filled(fusion, features[2:3], present[2:3])
    np.testing.assert_allclose(signals(fusion, data)[2:3], fusion.signal(row), rtol=1e-5)


def test_the_plane_is_that_of_the_planted_axes() -> None:
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(6, 6)))[0][:2]
    coordinates = np.linalg.qr(rng.normal(size=(200, 2)))[0]
    coordinates -= coordinates.mean(axis=0)
    coordinates = np.linalg.svd(coordinates, full_matrices=False)[0] * [3.0, 1.0]
    plane, variance = principal_plane((coordinates @ axes + 5).astype(np.float32))
    assert variance == pytest.approx([0.9, 0.1], abs=1e-4)
    for axis in range(2):
        sign = np.sign(plane[0, axis] * coordinates[0, axis])
        np.testing.assert_allclose(plane[:, axis] * sign, coordinates[:, axis], atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(width=st.integers(1, 5), count=st.integers(1, 8), seed=st.integers(0, 99))
def test_the_plane_keeps_no_more_than_there_is_and_repeats(
    width: int, count: int, seed: int
) -> None:
    points = np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)
    plane, variance = principal_plane(points)
    assert plane.shape == (count, 2)
    assert np.isfinite(plane).all()
    assert 0 <= variance[1] <= variance[0] + 1e-12
    assert sum(variance) <= 1 + 1e-9
    spread = np.square(points - points.mean(axis=0)).sum()
    assert np.square(plane).sum() <= spread * (1 + 1e-5) + 1e-9
    if width <= 2:
        assert np.square(plane).sum() == pytest.approx(spread, rel=1e-4, abs=1e-9)
    np.testing.assert_array_equal(principal_plane(points)[0], plane)


def test_mirrored_points_give_a_mirrored_picture() -> None:
    # The axis is fixed by its own weights, so it does not turn round with the points.
    points = np.array([[0.0, 0.0], [2.0, 1.0], [4.0, 2.5], [9.0, 4.0]], np.float32)
    np.testing.assert_allclose(principal_plane(-points)[0], -principal_plane(points)[0], atol=1e-6)
