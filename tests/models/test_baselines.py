"""The baselines compute what their papers write, in a step as in what is judged."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from models.baselines.bpr_mf import BprMf
from models.baselines.cosine_mf import CosineMf
from models.baselines.light_gcn import LightGcnBaseline
from models.baselines.vbpr import Vbpr
from models.graph import InteractionGraph
from models.propagation import LightGcn

USERS, VIDEOS, WIDTH = 4, 6, 3
FEATURES = torch.randn(VIDEOS, 5, generator=torch.Generator().manual_seed(1))
EDGES = [(0, 0), (0, 1), (1, 1), (2, 4), (3, 5), (3, 0)]


def bpr_mf() -> BprMf:
    return BprMf(users=USERS, videos=VIDEOS, width=WIDTH)


def cosine_mf() -> CosineMf:
    return CosineMf(users=USERS, videos=VIDEOS, width=WIDTH)


def vbpr() -> Vbpr:
    return Vbpr(FEATURES, users=USERS, width=WIDTH)


def light_gcn() -> LightGcnBaseline:
    users, videos = torch.tensor(EDGES).T.contiguous()
    graph = InteractionGraph(users, videos, sizes=(USERS, VIDEOS), scaling="symmetric")
    propagation = LightGcn(graph, layers=1)
    return LightGcnBaseline(propagation, users=USERS, videos=VIDEOS, width=WIDTH)


def drawn(build: Any) -> Any:
    """A network whose parameters, biases too, are all drawn."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build()
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter)
    return network


@torch.no_grad()
def scores(network: Any) -> Tensor:
    users, videos = network.all_vectors()
    product: Tensor = users @ videos.T
    return product


@pytest.mark.parametrize("build", [bpr_mf, cosine_mf, vbpr, light_gcn])
@torch.no_grad()
def test_a_step_scores_with_the_vectors_that_are_judged(build: Any) -> None:
    network = drawn(build)
    users, videos = torch.tensor([3, 0, 3]), torch.tensor([5, 2])
    all_users, all_videos = network.all_vectors()
    found = network(users, videos, None)
    assert torch.equal(found[0], all_users[users])
    torch.testing.assert_close(found[1], all_videos[videos])


@pytest.mark.parametrize("build", [bpr_mf, cosine_mf, vbpr, light_gcn])
def test_every_parameter_takes_part_in_a_score(build: Any) -> None:
    network = drawn(build)
    users, videos = network(torch.arange(USERS), torch.arange(VIDEOS), None)
    torch.autograd.backward((users @ videos.T).square().sum())
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum(1).min() > 0, name


@torch.no_grad()
def test_matrix_factorisation_scores_by_inner_product_and_a_bias_of_the_video() -> None:
    network = drawn(bpr_mf)
    expected = network.users @ network.videos.T + network.bias.T
    torch.testing.assert_close(scores(network), expected)


@torch.no_grad()
def test_cosine_factorisation_scores_by_the_cosine() -> None:
    network = drawn(cosine_mf)
    for user in range(USERS):
        for video in range(VIDEOS):
            a, b = network.users[user], network.videos[video]
            expected = (a @ b / (a.norm() * b.norm())).item()
            assert scores(network)[user, video].item() == pytest.approx(expected, abs=1e-6)
    for side in network.all_vectors():
        torch.testing.assert_close(side, normalize(side, dim=1))


@torch.no_grad()
def test_vbpr_scores_by_ids_by_mapped_features_and_by_a_bias() -> None:
    network = drawn(vbpr)
    by_id, by_content = network.users[:, :WIDTH], network.users[:, WIDTH:]
    mapped = FEATURES @ network.map.weight.T
    expected = by_id @ network.videos.T + by_content @ mapped.T + network.bias.T
    torch.testing.assert_close(scores(network), expected)


@torch.no_grad()
def test_light_gcn_scores_by_the_mean_of_itself_and_its_neighbours() -> None:
    network = drawn(light_gcn)
    met = torch.zeros(USERS, VIDEOS)
    for user, video in EDGES:
        met[user, video] = 1
    weighed = met / (met.sum(1, keepdim=True) * met.sum(0).clamp(min=1)).sqrt()
    users = (network.users + weighed @ network.videos) / 2
    videos = (network.videos + weighed.T @ network.users) / 2
    torch.testing.assert_close(scores(network), users @ videos.T)


@pytest.mark.parametrize("build", [bpr_mf, vbpr])
@torch.no_grad()
def test_ids_and_biases_are_penalised(build: Any) -> None:
    network, videos = drawn(build), torch.tensor([5, 0])
    free = torch.cat([network.videos, network.bias], dim=1)[videos]
    assert torch.equal(network.embeddings(torch.tensor([1]), videos)[1], free)


@pytest.mark.parametrize("build", [cosine_mf, light_gcn])
@torch.no_grad()
def test_what_is_learnt_is_penalised_and_not_what_is_made_of_it(build: Any) -> None:
    network, users, videos = drawn(build), torch.tensor([1, 1]), torch.tensor([5, 0])
    free_users, free_videos = network.embeddings(users, videos)
    assert torch.equal(free_users, network.users[users])
    assert torch.equal(free_videos, network.videos[videos])
