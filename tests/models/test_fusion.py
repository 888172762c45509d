"""Features become vectors whatever their scale and whatever is missing."""

from collections.abc import Sequence
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from models.form import FusionForm
from models.fusion import FEATURE_LIMIT, MetaFusion
from models.modality import Modality

WIDTHS: dict[Modality, int] = {"visual": 4, "acoustic": 3, "textual": 5}


FORMS: tuple[FusionForm, ...] = get_args(FusionForm)
by_form = pytest.mark.parametrize("form", FORMS)


def fusion_of(
    widths: dict[Modality, int] = WIDTHS,
    *,
    hidden_dims: Sequence[int] = (8,),
    form: FusionForm = "cpd",
    seed: int = 0,
) -> MetaFusion:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fusion = MetaFusion(
            widths,
            hidden_dims=hidden_dims,
            output_dim=6,
            signal_hidden_dim=7,
            signal_dim=3,
            rank=4,
            form=form,
        )
        torch.nn.init.normal_(fusion.missing)
    return fusion


def batch(videos: int, width: int = 12, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(videos, width, generator=generator) * 3 + 1
    return features, torch.ones(videos, 3, dtype=torch.bool)


def test_blocks_stand_in_modality_order_however_they_are_named() -> None:
    fusion = fusion_of({"textual": 5, "visual": 4, "acoustic": 3})
    assert fusion.modalities == ("visual", "acoustic", "textual")
    assert fusion.widths == [4, 3, 5]


def test_scaling_is_the_mean_and_deviation_of_the_rows_that_are_there() -> None:
    fusion, (features, present) = fusion_of(), batch(50)
    present[::3, 0] = False
    features[::3, :4] = 1e6  # what stands in an absent block must not count
    fusion.learn_scaling(features, present)
    known = features[present[:, 0], :4].double()
    expected_mean = torch.cat([known.mean(0), features[:, 4:].double().mean(0)])
    expected_scale = torch.cat(
        [known.std(0, correction=0), features[:, 4:].double().std(0, correction=0)]
    )
    torch.testing.assert_close(fusion.mean.double(), expected_mean, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(fusion.scale.double(), expected_scale, rtol=1e-6, atol=1e-6)


def test_float16_features_whose_sums_overflow_float16_are_scaled_right() -> None:
    fusion = fusion_of()
    features = (torch.randn(400, 12, generator=torch.Generator().manual_seed(0)) + 60000).half()
    assert torch.isinf(features.sum(0, dtype=torch.float16)).all()
    fusion.learn_scaling(features, torch.ones(400, 3, dtype=torch.bool))
    expected = features.double()
    torch.testing.assert_close(fusion.mean.double(), expected.mean(0), rtol=1e-6, atol=0)
    # Values this large are 32 apart in float16, so that many columns may hold very few of them.
    torch.testing.assert_close(
        fusion.scale.double(),
        torch.where(expected.std(0, correction=0) < 1e-6, 1.0, expected.std(0, correction=0)),
        rtol=1e-5,
        atol=0,
    )


def test_large_offsets_do_not_drown_a_small_spread() -> None:
    fusion = fusion_of()
    spread = torch.randn(3000, 12, generator=torch.Generator().manual_seed(0)).double()
    features = spread * 1e-3 + 1e4
    fusion.learn_scaling(features, torch.ones(3000, 3, dtype=torch.bool))
    torch.testing.assert_close(
        fusion.scale.double(), features.std(0, correction=0), rtol=1e-3, atol=0
    )


def test_a_constant_column_is_centred_and_harmless() -> None:
    fusion, (features, present) = fusion_of(), batch(30)
    features[:, 2] = 7.5
    fusion.learn_scaling(features, present)
    assert fusion.scale[2].item() == 1.0
    assert fusion.standardise(features, present)[:, 2].abs().max().item() == 0.0


def test_a_modality_that_no_video_has_leaves_the_scaling_finite() -> None:
    fusion, (features, present) = fusion_of(), batch(30)
    present[:, 1] = False
    features[:, 4:7] = 0
    fusion.learn_scaling(features, present)
    assert torch.isfinite(fusion.mean).all()
    assert torch.isfinite(fusion.scale).all()
    assert (fusion.scale > 0).all()


def test_standardised_columns_have_mean_zero_and_deviation_one() -> None:
    fusion, (features, present) = fusion_of(), batch(200)
    fusion.learn_scaling(features, present)
    scaled = fusion.standardise(features, present).double()
    torch.testing.assert_close(scaled.mean(0), torch.zeros(12).double(), rtol=0, atol=1e-5)
    torch.testing.assert_close(
        scaled.std(0, correction=0), torch.ones(12).double(), rtol=1e-4, atol=0
    )


@pytest.mark.parametrize("absurd", [1e30, -1e30, 3.4e38, -3.4e38])
def test_an_absurd_value_is_cut_at_the_limit(absurd: float) -> None:
    fusion, (features, present) = fusion_of(), batch(30)
    fusion.learn_scaling(features, present)
    features[0, 5] = absurd
    scaled = fusion.standardise(features, present)
    assert scaled[0, 5].item() == np.sign(absurd) * FEATURE_LIMIT
    assert torch.isfinite(fusion(scaled, present)).all()


@pytest.mark.parametrize("missing", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)])
@torch.no_grad()
def test_a_missing_modality_gives_a_finite_vector_of_its_own(missing: tuple[int, ...]) -> None:
    fusion, (features, present) = fusion_of(), batch(10)
    fusion.learn_scaling(features, present)
    whole = fusion(fusion.standardise(features, present), present)
    present[:, list(missing)] = False
    partial = fusion(fusion.standardise(features, present), present)
    assert torch.isfinite(partial).all()
    assert (whole - partial).abs().amax(1).min() > 1e-4


@torch.no_grad()
def test_what_stands_in_an_absent_block_changes_nothing() -> None:
    fusion, (features, present) = fusion_of(), batch(10)
    fusion.learn_scaling(features, present)
    present[:, 1] = False
    first = fusion(fusion.standardise(features, present), present)
    features[:, 4:7] = 12345.0
    assert torch.equal(fusion(fusion.standardise(features, present), present), first)
    assert (fusion.standardise(features, present)[:, 4:7] == 0).all()


@torch.no_grad()
def test_a_gap_elsewhere_changes_no_bit_of_a_vector() -> None:
    fusion, (features, present) = fusion_of(), batch(32)
    fusion.learn_scaling(features, present)
    scaled = fusion.standardise(features, present)
    whole = fusion(scaled, present)
    present[31, 1] = False
    gapped = fusion(fusion.standardise(features, present), present)
    assert torch.equal(gapped[:31], whole[:31])
    assert not torch.equal(gapped[31], whole[31])


def test_fusing_leaves_its_inputs_as_they_were() -> None:
    fusion, (features, present) = fusion_of(hidden_dims=(9, 7)), batch(10)
    before = features.clone()
    fusion(features, present)
    assert torch.equal(features, before)


def test_an_absent_block_is_replaced_by_a_learnt_one() -> None:
    fusion, (features, present) = fusion_of(), batch(10)
    present[:4, 1] = False
    fusion(fusion.standardise(features, present), present).square().sum().backward()
    gradient = fusion.missing.grad
    assert gradient is not None
    assert gradient[4:7].abs().min() > 0
    assert (gradient[:4] == 0).all()
    assert (gradient[7:] == 0).all()


@by_form
@pytest.mark.parametrize("hidden_dims", [(), (8,), (9, 7), (9, 8, 7, 7, 5)])
@torch.no_grad()
def test_a_video_has_the_same_vector_alone_as_among_others(
    hidden_dims: tuple[int, ...], form: FusionForm
) -> None:
    fusion, (features, present) = fusion_of(hidden_dims=hidden_dims, form=form), batch(17)
    present[3, 0] = present[5, 2] = False
    fusion.learn_scaling(features, present)
    scaled = fusion.standardise(features, present)
    together = fusion(scaled, present)
    alone = torch.cat([fusion(scaled[i : i + 1], present[i : i + 1]) for i in range(17)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)
    assert together.shape == (17, 6)


@by_form
@pytest.mark.parametrize("hidden_dims", [(), (9, 7)])
def test_every_parameter_of_every_form_is_learnt(
    hidden_dims: tuple[int, ...], form: FusionForm
) -> None:
    fusion, (features, present) = fusion_of(hidden_dims=hidden_dims, form=form), batch(40)
    present[:20, 0] = present[20:, 1] = present[::2, 2] = False
    fusion(fusion.standardise(features, present), present).square().sum().backward()
    for name, parameter in fusion.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_the_static_form_has_no_meta_learner() -> None:
    names = {name for name, _ in fusion_of(hidden_dims=(9, 7), form="static").named_parameters()}
    assert names == {"missing", "layers.0.base", "layers.1.base", "layers.2.base"}


@torch.no_grad()
def test_the_static_form_maps_all_videos_alike() -> None:
    fusion, (features, present) = fusion_of(hidden_dims=(), form="static"), batch(3)
    features[2] = features[0] + features[1]
    one, other, both = fusion(features, present)
    torch.testing.assert_close(both, one + other)


@torch.no_grad()
def test_the_signal_of_a_video_steers_its_own_layers_alone() -> None:
    fusion, (features, present) = fusion_of(), batch(2)
    scaled = fusion.standardise(features, present)
    before = fusion(scaled, present)
    scaled[1] *= -2
    after = fusion(scaled, present)
    torch.testing.assert_close(after[0], before[0])
    assert (after[1] - before[1]).abs().max() > 1e-3


def test_one_modality_is_enough() -> None:
    fusion = fusion_of({"acoustic": 3})
    present = torch.ones(4, 1, dtype=torch.bool)
    assert fusion(torch.randn(4, 3), present).shape == (4, 6)


def test_the_scaling_is_saved_with_the_weights() -> None:
    fusion, (features, present) = fusion_of(), batch(20)
    fusion.learn_scaling(features, present)
    other = fusion_of(seed=1)
    other.load_state_dict(fusion.state_dict())
    assert torch.equal(
        other(other.standardise(features, present), present),
        fusion(fusion.standardise(features, present), present),
    )
