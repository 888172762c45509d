"""A trained video is its content plus a residual; every user has 1 where videos have their bias."""

import torch

from models.baselines.bpr_mf import BprMf
from models.fusion import MetaFusion
from models.recommender import MetaMMF


def meta_mmf(videos: int = 7, users: int = 5) -> MetaMMF:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        fusion = MetaFusion(
            {"visual": 4, "textual": 3},
            hidden_dims=(6,),
            output_dim=9,
            signal_hidden_dim=4,
            signal_dim=3,
            rank=2,
        )
        features = torch.randn(videos, 7) * 5
        present = torch.ones(videos, 2, dtype=torch.bool)
        return MetaMMF(fusion, features, present, users=users)


@torch.no_grad()
def test_a_video_is_its_content_plus_its_residual() -> None:
    network, rows = meta_mmf(), torch.tensor([3, 0, 3])
    residual, content = network.video_parts(rows)
    assert content is not None
    torch.testing.assert_close(
        content, network.fusion(network.standardised[rows], network.present[rows])
    )
    torch.testing.assert_close(residual[:, :-1], network.residuals.weight[rows])
    assert content.shape == residual.shape == (3, 9)
    torch.testing.assert_close(network.video_parts(rows).total, content + residual)


def test_known_videos_bend_no_content_to_themselves() -> None:
    network, rows = meta_mmf(), torch.arange(7)
    parts = network.video_parts(rows)
    torch.testing.assert_close(parts.with_fixed_content, parts.total)
    torch.autograd.backward(parts.with_fixed_content.sum())
    assert network.residuals.weight.grad is not None
    assert all(parameter.grad is None for parameter in network.fusion.parameters())


@torch.no_grad()
def test_an_arrival_is_the_content_alone() -> None:
    network, rows = meta_mmf(), torch.arange(7)
    content = network.video_parts(rows).content
    assert content is not None
    torch.testing.assert_close(network.arrivals(rows, gain=1.0, max_norm=1e6), content)


def test_a_users_last_column_is_one_and_is_not_learnt() -> None:
    for network in (meta_mmf(), BprMf(users=5, videos=7, width=8)):
        vectors = network.user_vectors(torch.arange(5))
        assert vectors.shape == (5, 9)
        assert (vectors[:, -1] == 1).all()
        assert network.audience.bias is None


def test_every_parameter_of_meta_mmf_takes_part_in_a_score() -> None:
    network = meta_mmf()
    # Row 0 lacks a modality, or the learned block would have no part.
    network.present[0, 0] = False
    rows = torch.arange(5)
    score = (network.user_vectors(rows) * network.video_parts(rows).total).sum()
    torch.autograd.backward(score)
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_the_catalog_is_no_part_of_the_weights() -> None:
    assert not {"present", "standardised"} & set(meta_mmf().state_dict())


def test_plain_factorisation_has_one_part_a_video() -> None:
    network = BprMf(users=3, videos=4, width=8)
    vectors = network.video_parts(torch.tensor([2, 1])).total
    assert torch.equal(vectors[:, :-1], network.catalog.weight[[2, 1]])
    assert vectors.shape == (2, 9)
