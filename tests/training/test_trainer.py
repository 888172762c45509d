"""A step minimises what the configuration says, of what the sampler drew, and decays features."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from models.recommender import Rehearsal
from tests.support.datasets import dataset_of, random_features
from training.build import BUILDERS, build
from training.config import FitConfig, configure
from training.data.dataset import Dataset
from training.data.sampling import Batch, Sampler
from training.trainer import Trainer

SEED = 3
by_every_model = pytest.mark.parametrize("model", list(BUILDERS))


def configured(model: str, **changes: Any) -> FitConfig:
    """One step an epoch, in which nothing is drawn at random but what the sampler draws.

    MetaMMF goes without its companions, which are drawn too (see `test_company`).
    """
    return configure(
        {
            "model": model, "vector_dim": 6, "hidden_dims": (5,), "signal_hidden_dim": 4,
            "signal_dim": 3, "rank": 2, "batch_size": 1000, "negatives": 7, "arrival_share": 0.0,
            "feature_dropout": 0.0, "regularisation": 0.0,
            **({"extra_weight": 0.0} if model.startswith("metammf") else {}), **changes,
        }
    )  # fmt: skip


def sample() -> Dataset:
    """Nine users and fifteen videos, the last two cold; video 1 lacks a modality."""
    features = random_features(15, {"visual": 4, "textual": 3})
    features["textual"][1] = 0
    train = [(user, (user * 3 + step) % 13) for user in range(9) for step in range(4)]
    return dataset_of(users=9, videos=15, train=train, features=features)


def network_of(config: FitConfig) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        return build(sample(), config)


def stepped(config: FitConfig) -> tuple[Any, float]:
    """The network after one step, with the gradients of that step, and the loss it had."""
    network = network_of(config)
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        loss = Trainer(network, sample(), config, np.random.default_rng(SEED)).run_epoch()
    return network, loss


def drawn(config: FitConfig) -> Batch:
    """The batch of that step."""
    sampler, rng = Sampler(sample().train, users=9, videos=15), np.random.default_rng(SEED)
    if config.objective == "bpr":
        return next(sampler.pairwise(config.batch_size, rng))
    return next(sampler.shared(config.batch_size, config.negatives, rng))


def reckoned(network: Any, config: FitConfig) -> float:
    """The mean loss of that batch from all vectors, one interaction after the other."""
    batch = drawn(config)
    users, videos = (side.double() for side in network.all_vectors())
    scores: Tensor = users @ videos.T / config.temperature
    rows = zip(batch.users.tolist(), batch.positives.tolist(), strict=True)
    if config.objective == "bpr":
        losses = [
            softplus(scores[user, negative] - scores[user, positive])
            for (user, positive), negative in zip(rows, batch.negatives.tolist(), strict=True)
        ]
    else:
        train = sample().train
        met = set(zip(train.users.tolist(), train.videos.tolist(), strict=True))
        losses = []
        for user, positive in rows:
            others = [n for n in batch.negatives.tolist() if (user, n) not in met]
            losses.append(scores[user, [positive, *others]].logsumexp(0) - scores[user, positive])
    return torch.stack(losses).mean().item()


# They drop out, blur, or judge with other vectors than those that are trained.
OTHERWISE = ("metammf-gcn", "graphsage", "invrl", "dropoutnet")


@pytest.mark.parametrize("model", [model for model in BUILDERS if model not in OTHERWISE])
@pytest.mark.parametrize("objective", ["softmax", "bpr"])
def test_the_loss_is_that_of_the_batch_under_the_objective_and_the_temperature(
    model: str, objective: str
) -> None:
    for temperature in (0.2, 1.0):
        config = configured(model, objective=objective, temperature=temperature)
        _, loss = stepped(config)
        with torch.no_grad():
            expected = reckoned(network_of(config), config)
        assert loss == pytest.approx(expected, rel=1e-4)


MAPPING = {
    "metammf": ("fusion.",), "vbpr": ("map.",), "graphsage": ("map.",), "gat": ("map.",),
    "ngcf": ("map.",), "mmgcn": ("maps.",), "grcn": ("routed.0.map.", "routed.1.map."),
    "lattice": ("maps.",), "invrl": ("map.", "environments"), "clcrec": ("content.",),
    "dropoutnet": ("of_videos.",),
}  # fmt: skip
REHEARSING = ("metammf-mf", "metammf-gcn", "metammf-lightgcn", "clcrec", "dropoutnet")


@by_every_model
def test_what_maps_features_decays_and_nothing_else_does(model: str) -> None:
    before = dict(network_of(configured(model)).named_parameters())
    rate = {"learning_rate": 0.01}
    free, _ = stepped(configured(model, fusion_decay=0.0, **rate))
    decayed, _ = stepped(configured(model, fusion_decay=5.0, **rate))
    features = MAPPING.get(model.partition("-")[0], ("none",))
    moved = dict(free.named_parameters())
    for name, parameter in decayed.named_parameters():
        share = 0.01 * 5.0 if name.startswith(features) else 0.0
        expected = moved[name] - share * before[name]
        torch.testing.assert_close(parameter, expected, msg=name, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("objective", ["softmax", "bpr"])
def test_regularisation_pulls_what_is_free_by_how_often_it_was_drawn(objective: str) -> None:
    chosen = {"objective": objective}
    start = network_of(configured("metammf-mf", **chosen))
    plain, _ = stepped(configured("metammf-mf", **chosen))
    pulled, _ = stepped(configured("metammf-mf", regularisation=0.5, **chosen))
    batch = drawn(configured("metammf-mf", **chosen))
    users = np.bincount(batch.users, minlength=9)
    videos = np.bincount(batch.positives, minlength=15)
    if objective == "bpr":
        videos = videos + np.bincount(batch.negatives, minlength=15)
    for name, counts in (("tastes", users), ("ids", videos)):
        pull = getattr(pulled, name).grad - getattr(plain, name).grad
        often = torch.from_numpy(counts)[:, None]
        expected = 2 * 0.5 * often * getattr(start, name).detach() / len(batch.users)
        torch.testing.assert_close(pull, expected, rtol=1e-4, atol=1e-6)
    for one, other in zip(plain.fusion.parameters(), pulled.fusion.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_a_step_fuses_each_of_its_videos_once_and_no_other() -> None:
    config = configured("metammf-mf", negatives=4)
    network, counts = network_of(config), []
    network.fusion.register_forward_hook(lambda _, inputs, __: counts.append(len(inputs[0])))
    Trainer(network, sample(), config, np.random.default_rng(SEED)).run_epoch()
    batch = drawn(config)
    assert counts == [len({*batch.positives.tolist(), *batch.negatives.tolist()})]


def rehearsed(config: FitConfig, *, epochs: int = 200) -> list[tuple[Tensor, Rehearsal | None]]:
    """The videos of each step, and which of them were represented as on arrival."""
    network, steps = network_of(config), []
    network.register_forward_pre_hook(lambda _, inputs: steps.append((inputs[1], inputs[2])))
    trainer = Trainer(network, sample(), config, np.random.default_rng(SEED))
    for _ in range(epochs):
        trainer.run_epoch()
    return steps


def test_so_many_videos_arrive_in_a_step_and_miss_so_many_modalities() -> None:
    steps = rehearsed(configured("metammf-mf", arrival_share=0.3, modality_dropout=0.2))
    plans = [plan for _, plan in steps if plan is not None]
    assert len(plans) == len(steps)
    assert all(len(videos) == len(plan.arriving) for videos, plan in steps if plan is not None)
    arriving = torch.cat([plan.arriving for plan in plans])
    kept = torch.cat([plan.kept for plan in plans])
    assert arriving.float().mean().item() == pytest.approx(0.3, abs=0.03)
    # Who would be left without any modality keeps both: 0.2 of each, less 0.04 of both.
    assert (~kept).float().mean(0).tolist() == pytest.approx([0.16, 0.16], abs=0.03)
    assert kept.any(dim=1).all()


def test_other_videos_arrive_in_every_step() -> None:
    steps = rehearsed(configured("metammf-mf", arrival_share=0.3), epochs=20)
    who = {tuple(videos[plan.arriving].tolist()) for videos, plan in steps if plan is not None}
    assert len(who) > 10
    assert {video for some in who for video in some} == set(range(13))


@by_every_model
def test_without_a_share_nobody_arrives_and_where_all_are_known_never(model: str) -> None:
    plans = [plan for _, plan in rehearsed(configured(model), epochs=2)]
    assert plans == [None, None]
    asked = [plan for _, plan in rehearsed(configured(model, arrival_share=0.5), epochs=2)]
    assert all((plan is not None) == (model in REHEARSING) for plan in asked)


@by_every_model
def test_the_network_of_a_name_is_built_of_the_sizes_asked_for(model: str) -> None:
    network = network_of(configured(model, layers=1))
    users, videos = network.all_vectors()
    width = {"bpr-mf": 7, "vbpr": 13, "invrl": 13, "ngcf": 12, "grcn": 18}.get(model, 6)
    assert (users.shape, videos.shape) == ((9, width), (15, width))


def test_the_graph_holds_the_training_interactions_and_no_others() -> None:
    held_out = dataset_of(users=2, videos=3, train=[(0, 0), (1, 1)], val=[(0, 1)], test=[(1, 2)])
    network = build(held_out, configured("metammf-lightgcn"))
    found, _ = network.propagation.graph(torch.zeros(2, 3), torch.eye(3))
    assert torch.equal(found, torch.tensor([[1.0, 0, 0], [0, 1, 0]]))


def test_who_lacks_a_modality_never_arrives_without_the_other() -> None:
    gapped = sample()
    half = {m: matrix.copy() for m, matrix in gapped.features.items()}
    first, second = half
    half[first][::2], half[second][1::2] = 0, 0
    gapped = dataclasses.replace(gapped, features=half)
    config = configured("metammf-mf", arrival_share=1.0, modality_dropout=0.9)
    network, plans = build(gapped, config), []
    network.register_forward_pre_hook(lambda _, inputs: plans.append(inputs[1:3]))
    Trainer(network, gapped, config, np.random.default_rng(SEED)).run_epoch()
    present = torch.from_numpy(gapped.present)
    assert plans
    for videos, plan in plans:
        assert (plan.kept & present[videos]).any(dim=1).all()
