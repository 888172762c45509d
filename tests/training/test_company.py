"""Content learns which videos go together, and a user is moved towards what they met."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from models.recommender import WithContent
from tests.support.datasets import dataset_of, interactions
from training.build import build
from training.company import PULL, companion_loss, pulled
from training.config import configure
from training.data.companions import Companions
from training.data.dataset import Dataset
from training.team import ALONE, Team
from training.trainer import Trainer


class Given(nn.Module):
    """A network whose contents are given."""

    def __init__(self, vectors: Tensor) -> None:
        super().__init__()
        self.vectors = nn.Parameter(normalize(vectors, dim=1))

    def contents(self, videos: Tensor) -> Tensor:
        return self.vectors[videos]

    def arrivals(self, videos: Tensor) -> Tensor:
        return self.vectors[videos].detach()


def test_the_loss_is_that_of_its_formula() -> None:
    train = interactions([(user, (user * 5 + step) % 17) for user in range(9) for step in range(4)])
    source = Companions(train, users=9)
    generator = torch.Generator().manual_seed(0)
    network: Any = Given(torch.randn(17, 5, generator=generator, dtype=torch.float64))
    loss = companion_loss(
        network, source, np.random.default_rng(3), temperature=0.4, device=torch.device("cpu")
    )
    batch = source.draw(np.random.default_rng(3))
    vectors, total = network.vectors.detach(), 0.0
    for place, wanted in enumerate(batch.wanted):
        told = normalize(vectors[batch.others[batch.owners == place]].sum(0), dim=0)
        rivals = batch.wanted[batch.wanted != wanted].tolist()
        scores = vectors[[wanted, *rivals]] @ told / 0.4
        total += float(scores.logsumexp(0) - scores[0])
    assert loss.item() == pytest.approx(total / len(batch.wanted), rel=1e-9)


def test_the_shares_of_a_team_are_the_whole() -> None:
    train = interactions([(user, (user * 5 + step) % 17) for user in range(9) for step in range(4)])
    source = Companions(train, users=9)
    generator = torch.Generator().manual_seed(0)
    network: Any = Given(torch.randn(17, 5, generator=generator, dtype=torch.float64))

    def gradient(team: Team) -> Tensor:
        rng = np.random.default_rng(3)
        device = torch.device("cpu")
        loss = companion_loss(network, source, rng, temperature=0.4, device=device, team=team)
        (found,) = torch.autograd.grad(loss, [network.vectors])
        return found

    shares = [gradient(Team(rank=rank, size=3)) for rank in range(3)]
    torch.testing.assert_close(torch.stack(shares).mean(0), gradient(ALONE))
    assert not torch.allclose(shares[0], shares[1])


def test_users_are_moved_by_the_mean_content_of_what_they_met_and_others_stay() -> None:
    train = interactions([(0, 0), (0, 2), (2, 1)])
    source = Companions(train, users=4)
    generator = torch.Generator().manual_seed(1)
    users = normalize(torch.randn(4, 6, generator=generator), dim=1)
    contents = normalize(torch.randn(3, 6, generator=generator), dim=1)
    found = pulled(users, contents, source)
    first = normalize(users[0] + PULL * normalize(contents[0] + contents[2], dim=0), dim=0)
    third = normalize(users[2] + PULL * contents[1], dim=0)
    expected = torch.stack([first, users[1], third, users[3]])
    torch.testing.assert_close(found, expected)


def test_users_are_moved_alike_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    train = interactions([(user, (user + step) % 7) for user in range(11) for step in range(3)])
    source = Companions(train, users=12)
    users, contents = normalize(torch.eye(12, 5), dim=1), normalize(torch.ones(7, 5), dim=1)
    whole = pulled(users, contents, source)
    monkeypatch.setattr("training.company.USERS_AT_ONCE", 5)
    torch.testing.assert_close(pulled(users, contents, source), whole)


def planted() -> Dataset:
    """Users who each keep to one of four kinds; features tell the kind through much noise.

    Every video of a user is met by this user alone: ids tell nothing of what goes together.
    """
    rng = np.random.default_rng(0)
    kinds = np.arange(240) % 4
    features = rng.standard_normal((240, 24)).astype(np.float32)
    features[np.arange(240), kinds] += 2.0
    train = [(video % 4 + 4 * (video // 4 % 15), video) for video in range(240)]
    return dataset_of(users=60, videos=240, train=train, features={"visual": features})


def gap(extra_weight: float) -> float:
    """How much nearer contents of one kind are than those of two, after training."""
    data = planted()
    config = configure(
        {
            "vector_dim": 8, "hidden_dims": (16,), "batch_size": 240, "negatives": 60,
            "extra_weight": extra_weight, "arrival_share": 0.0, "fusion_decay": 0.0,
        }
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build(data, config)
        trainer = Trainer(network, data, config, np.random.default_rng(0))
        for _ in range(60):
            trainer.run_epoch()
    assert isinstance(network, WithContent)
    contents = network.arrivals(torch.arange(240)).numpy()
    alike = contents @ contents.T
    same = np.arange(240)[:, None] % 4 == np.arange(240) % 4
    return float(alike[same].mean() - alike[~same].mean())


def test_content_learns_what_goes_together_by_companions() -> None:
    assert gap(0.3) > 2 * gap(0.0) > 0
