"""A video is content plus residual beside its id; a user has 1 where videos have the bias."""

import torch

from models.baselines.bpr_mf import BprMf
from models.fusion import MetaFusion
from models.recommender import MetaMMF

WIDTH, ID_DIM = 8, 5


def meta_mmf(videos: int = 7, users: int = 5) -> MetaMMF:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        fusion = MetaFusion(
            {"visual": 4, "textual": 3},
            hidden_dims=(6,),
            output_dim=WIDTH + 1,
            signal_hidden_dim=4,
            signal_dim=3,
            rank=2,
        )
        features = torch.randn(videos, 7) * 5
        present = torch.ones(videos, 2, dtype=torch.bool)
        network = MetaMMF(fusion, features, present, users=users, id_dim=ID_DIM)
        for table in (network.residuals, network.ids):
            assert table.bias is not None
            torch.nn.init.normal_(table.bias)
        return network


@torch.no_grad()
def test_a_video_is_content_plus_residual_beside_its_id_and_one_bias() -> None:
    network, rows = meta_mmf(), torch.tensor([3, 0, 3])
    content = network.fusion(network.standardised[rows], network.present[rows])
    residual, ids = network.residuals(rows), network.ids(rows)
    vectors = network.video_vectors(rows)
    assert vectors.shape == (3, network.vector_dim) == (3, WIDTH + ID_DIM + 1)
    torch.testing.assert_close(vectors[:, :WIDTH], (content + residual)[:, :-1])
    torch.testing.assert_close(vectors[:, WIDTH:-1], ids[:, :-1])
    torch.testing.assert_close(vectors[:, -1], content[:, -1] + residual[:, -1] + ids[:, -1])


@torch.no_grad()
def test_the_score_is_the_sum_of_what_the_pairings_train() -> None:
    network = meta_mmf()
    users, videos = torch.arange(5), torch.arange(7)
    known, _, ids = network.pairings(users, videos)
    scores = network.user_vectors(users) @ network.video_vectors(videos).T
    torch.testing.assert_close(scores, known.users @ known.videos.T + ids.users @ ids.videos.T)


@torch.no_grad()
def test_an_arrival_is_its_content_and_nothing_beside() -> None:
    network, rows = meta_mmf(), torch.arange(7)
    content = network.fusion(network.standardised[rows], network.present[rows])
    arrivals = network.arrivals(rows, gain=1.0, max_norm=1e6)
    assert arrivals.shape == (7, network.vector_dim)
    torch.testing.assert_close(arrivals[:, :WIDTH], content[:, :-1])
    assert (arrivals[:, WIDTH:-1] == 0).all()
    torch.testing.assert_close(arrivals[:, -1], content[:, -1])


def test_a_users_last_column_is_one_and_is_not_learnt() -> None:
    for network in (meta_mmf(), BprMf(users=5, videos=7, width=8)):
        vectors = network.user_vectors(torch.arange(5))
        assert len(vectors) == 5
        assert (vectors[:, -1] == 1).all()


def test_known_videos_bend_no_content_to_themselves_and_content_no_user() -> None:
    network = meta_mmf()
    known, arriving, _ = network.pairings(torch.arange(5), torch.arange(7))
    torch.autograd.backward(known.videos.sum())
    assert network.residuals.weight.grad is not None
    assert all(parameter.grad is None for parameter in network.fusion.parameters())
    torch.autograd.backward((arriving.users @ arriving.videos.T).sum())
    assert any(parameter.grad is not None for parameter in network.fusion.parameters())
    assert network.tastes.weight.grad is None


def test_every_parameter_of_meta_mmf_takes_part_in_a_score() -> None:
    network = meta_mmf()
    # Row 0 lacks a modality, or the learned block would have no part.
    network.present[0, 0] = False
    rows = torch.arange(5)
    score = (network.user_vectors(rows) * network.video_vectors(rows)).sum()
    torch.autograd.backward(score)
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_the_catalog_is_no_part_of_the_weights() -> None:
    assert not {"present", "standardised"} & set(meta_mmf().state_dict())


def test_plain_factorisation_trains_what_it_scores_with() -> None:
    network = BprMf(users=3, videos=4, width=8)
    users, videos = torch.tensor([0]), torch.tensor([2, 1])
    (pairing,) = network.pairings(users, videos)
    assert torch.equal(pairing.videos, network.video_vectors(videos))
    assert torch.equal(pairing.users, network.user_vectors(users))
    assert torch.equal(pairing.videos[:, :-1], network.catalog.weight[[2, 1]])
