"""What networks add to the loss of a step is what their papers write, and who arrives has no id."""

from typing import Any

import numpy as np
import pytest
import torch

from models.baselines import inv_rl
from models.baselines.clc_rec import ClcRec
from models.baselines.dropout_net import DropoutNet
from models.baselines.free_vectors import Free
from models.baselines.inv_rl import InvRl
from models.recommender import Rehearsal, Rehearsing, Step, WithExtraLoss
from tests.support.small_world import JOINED, USERS, VIDEOS, WIDTH, Doubles, double, drawn, leaky

FREE = Free(USERS, VIDEOS, WIDTH)
# Video 4 is met twice; it, 1 and 5 arrive.
USER_ROWS, VIDEO_ROWS = torch.tensor([3, 0, 0]), torch.tensor([4, 1, 5, 0])
POSITIVES, NEGATIVES = torch.tensor([0, 0, 1]), torch.tensor([2, 3, 3])
ARRIVING = torch.tensor([True, True, True, False])


def step_of(network: Any, *, rehearsal: bool = False) -> Step:
    plan = Rehearsal(ARRIVING, torch.ones(4, 2).bool()) if rehearsal else None
    users, videos = network(USER_ROWS, VIDEO_ROWS, plan)
    return Step(USER_ROWS, VIDEO_ROWS, POSITIVES, NEGATIVES, plan, users, videos)


def two_layers(module: Any, inputs: Doubles) -> Doubles:
    hidden = leaky(inputs @ double(module.first.weight).T + double(module.first.bias), 0.01)
    found: Doubles = hidden @ double(module.second.weight).T + double(module.second.bias)
    return found


def clc_rec() -> ClcRec:
    return ClcRec(JOINED, FREE)


def dropout_net() -> DropoutNet:
    return DropoutNet(JOINED, FREE)


def inv() -> InvRl:
    return InvRl(JOINED, FREE).eval()


@pytest.mark.parametrize("build", [clc_rec, dropout_net])
@torch.no_grad()
def test_an_arrival_is_its_features_and_nothing_of_its_id(build: Any) -> None:
    network = drawn(build)
    told: object = network
    assert isinstance(told, Rehearsing)
    assert isinstance(told, WithExtraLoss)
    before = network.arrivals(VIDEO_ROWS)
    network.videos.data += 5
    torch.testing.assert_close(network.arrivals(VIDEO_ROWS), before)
    network.features[4] += 1
    assert not torch.equal(network.arrivals(VIDEO_ROWS)[0], before[0])


@torch.no_grad()
def test_clc_rec_mixes_content_in_where_a_video_arrives() -> None:
    network = drawn(clc_rec)
    found = step_of(network, rehearsal=True).video_vectors
    torch.testing.assert_close(found[:3], network.arrivals(VIDEO_ROWS[:3]))
    torch.testing.assert_close(found[3], network.videos[0])


def test_clc_rec_tells_the_content_of_a_video_from_that_of_others() -> None:
    network = drawn(clc_rec)
    met = [4, 1]
    ids = double(network.videos)[met]
    contents = two_layers(network.content, double(JOINED) / JOINED.shape[1] ** 0.5)[met]
    losses = []
    for place in range(2):
        cosines = [
            ids[place] @ other / np.linalg.norm(ids[place]) / np.linalg.norm(other) / 0.2
            for other in contents
        ]
        losses.append(np.log(np.exp(cosines).sum()) - cosines[place])
    found = network.extra_loss(step_of(network)).item()
    assert found == pytest.approx(np.mean(losses), rel=1e-5)


@pytest.mark.parametrize("rehearsal", [False, True])
def test_dropout_net_is_taught_the_scores_with_ids_left_out(rehearsal: bool) -> None:
    network = drawn(dropout_net)
    users, ids = double(network.users), double(network.videos)
    shown = ids.copy()
    if rehearsal:
        shown[[4, 1, 5]] = 0
    taught_videos = two_layers(network.of_videos, np.hstack([shown, double(JOINED)]))
    taught_users = two_layers(network.of_users, users)
    pairs = [(3, 4), (0, 4), (0, 1), (3, 5), (0, 0), (0, 0)]
    missed = [users[u] @ ids[v] - taught_users[u] @ taught_videos[v] for u, v in pairs]
    loss = network.extra_loss(step_of(network, rehearsal=rehearsal))
    assert loss.item() == pytest.approx(np.mean(np.square(missed)), rel=1e-4)
    torch.autograd.backward(loss)
    assert network.users.grad is None
    assert network.videos.grad is None
    assert network.of_videos.first.weight.grad.any()


def test_inv_rl_penalises_how_gradients_of_its_map_vary_over_environments() -> None:
    network = drawn(inv).double()
    network.features = network.features.double()
    step = step_of(network)
    features = JOINED.double()
    positives, rivals = features[[4, 4, 1]], features[[5, 0, 0]]
    tastes = network.users.detach()[USER_ROWS][:, WIDTH:]
    by_environment = torch.einsum(
        "bd,edf,bf->be",
        tastes,
        network.environments.detach() * network.map.scale,
        positives - rivals,
    )
    owner = by_environment.argmax(1)
    kept = (network.mask.detach() + 0.5).clamp(0, 1)
    gradients = []
    for environment in range(inv_rl.ENVIRONMENTS):
        weight = network.map.matrix.detach().clone().requires_grad_()
        margins = (tastes * (((positives - rivals) * kept) @ weight.T)).sum(1)
        losses = torch.nn.functional.softplus(-margins)[owner == environment]
        if len(losses):
            gradients.append(torch.autograd.grad(losses.mean(), weight)[0])
        else:
            gradients.append(torch.zeros_like(weight))
    varied = torch.stack(gradients).var(dim=0, unbiased=False).sum(0)
    taught = torch.nn.functional.softplus(-by_environment.max(1).values).mean()
    expected = taught + (kept * varied).sum() ** 2 + 0.1 * network.mask.detach().square().sum()
    assert len(set(owner.tolist())) > 1
    assert network.extra_loss(step).item() == pytest.approx(expected.item(), rel=1e-9)


def test_inv_rl_lets_go_of_a_feature_whose_meaning_depends_on_where_it_is_met() -> None:
    """Feature 0 says what half of the users like and the other half dislike; feature 1 is plain."""
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.choice([-1.0, 1.0], size=(40, 2)).astype(np.float32))
    network = InvRl(features, Free(2, 40, 2))
    with torch.no_grad():
        # All users alike: what each of the two halves says of feature 0 is up to the environments.
        network.users.fill_(1.0)
        network.map.weight.fill_(0.5 / network.map.scale)
        apart = torch.tensor([[0.1, 0.1], [0.0, 0.1], [0.0, 0.1], [-0.1, 0.1]])
        network.environments.copy_(apart[:, None, :].expand_as(network.environments))
    optimiser = torch.optim.Adam([network.mask, network.environments], lr=0.02)
    for _ in range(200):
        users = torch.from_numpy(rng.integers(2, size=64))
        places = torch.from_numpy(rng.integers(40, size=(64, 2)))
        first, second = features[places[:, 0]], features[places[:, 1]]
        sign = torch.where(users == 0, 1.0, -1.0)
        liking = sign * (first[:, 0] - second[:, 0]) + (first[:, 1] - second[:, 1])
        places[liking < 0] = places[liking < 0].flip(1)
        rows = torch.arange(40)
        vectors = network(users, rows, None)
        step = Step(users, rows, places[:, 0], places[:, 1], None, *vectors)
        optimiser.zero_grad()
        torch.autograd.backward(100 * network.extra_loss(step))
        optimiser.step()
    with torch.no_grad():
        kept = (network.mask + 0.5).clamp(0, 1)
    assert kept[0] < kept[1] - 0.1
