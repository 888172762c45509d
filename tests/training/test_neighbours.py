"""Training on drawn neighbours stands for training on the whole graph, in less memory."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from models import propagation
from models.graph import InteractionGraph
from models.neighbourhood import NeighbourGraph
from models.recommender import MetaMMF
from tests.support.datasets import two_tastes
from tests.support.fitting import SEED, Cut, cut_after, fit_in, sample, small
from tests.support.source import ROOT
from training import build as building
from training.build import BUILDERS, build, moves_rows
from training.config import ALONG_GRAPH, ALONG_WHOLE_GRAPH, FitConfig, configure
from training.data.dataset import Interactions
from training.errors import InvalidConfig
from training.loop import Fitted, fit
from training.trainer import Trainer

by_graph_model = pytest.mark.parametrize("model", ALONG_GRAPH)
by_model_of_rows = pytest.mark.parametrize(
    "model", [model for model in BUILDERS if model not in ALONG_WHOLE_GRAPH]
)
# No node of the sample has more.
ENOUGH = [200, 200]
LIMITED: dict[str, Any] = {"neighbours": [4, 3], "optimiser": "rows"}


def same(first: Fitted, second: Fitted) -> bool:
    return np.array_equal(first.users, second.users) and np.array_equal(first.videos, second.videos)


def stepped(config: FitConfig, steps: int = 1) -> tuple[Any, list[float]]:
    """The network and the losses after so many steps with one seed."""
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        network = build(sample(), config)
        trainer = Trainer(network, sample(), config, np.random.default_rng(SEED))
        losses = [trainer.step(batch) for batch, _ in zip(trainer.batches(), range(steps))]  # noqa: B905 - the shorter one ends it
    return network, losses


@by_graph_model
@pytest.mark.parametrize("optimiser", ["dense", "rows"])
def test_with_room_for_all_neighbours_a_step_is_that_of_the_whole_graph(
    model: str, optimiser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Dropout draws for the rows there are, and of the whole graph there are more.
    monkeypatch.setattr(propagation, "HIDDEN_DROPOUT", 0.0)
    monkeypatch.setattr(propagation, "OUTPUT_DROPOUT", 0.0)
    plain: dict[str, Any] = {"feature_dropout": 0.0, "layers": 2, "batch_size": 256}
    whole, (expected,) = stepped(small(model, **plain))
    drawn, (loss,) = stepped(small(model, neighbours=ENOUGH, optimiser=optimiser, **plain))
    assert loss == pytest.approx(expected, abs=1e-6)
    for (name, one), other in zip(drawn.named_parameters(), whole.parameters(), strict=True):
        if one.grad is None:
            assert other.grad is None or not other.grad.any()
            continue
        found = one.grad.to_dense()
        torch.testing.assert_close(found, other.grad, rtol=1e-5, atol=1e-6, msg=name)


@by_graph_model
def test_fewer_neighbours_make_another_step_and_the_batch_stays(model: str) -> None:
    plain: dict[str, Any] = {"layers": 2, "batch_size": 256}
    whole, drawn = (small(model, **plain), small(model, neighbours=[2, 2], **plain))
    assert stepped(whole)[1] != stepped(drawn)[1]
    batches = []
    for config in (whole, drawn):
        rng = np.random.default_rng(SEED)
        trainer = Trainer(build(sample(), config), sample(), config, rng)
        batches.append(next(trainer.batches()))
    assert np.array_equal(batches[0].users, batches[1].users)
    assert np.array_equal(batches[0].negatives, batches[1].negatives)


def test_only_the_videos_around_a_step_are_fused() -> None:
    # Companions are fused beside them, in a pass of their own.
    config = small(
        "metammf-lightgcn", neighbours=[1, 1], batch_size=4, negatives=4, extra_weight=0.0
    )
    network, counts = build(sample(), config), []
    network.fusion.register_forward_hook(lambda _, inputs, __: counts.append(len(inputs[0])))
    trainer = Trainer(network, sample(), config, np.random.default_rng(SEED))
    trainer.step(next(trainer.batches()))
    # Eight are asked for; each of them and of four users brings one, and so does each of these.
    assert 8 <= max(counts) <= 40 < sample().videos


@pytest.mark.parametrize("model", list(BUILDERS))
def test_what_is_not_set_trains_bit_for_bit_as_plain_adam_over_the_whole_graph(model: str) -> None:
    config, data = small(model, arrival_share=0.0, batch_size=256), sample()
    network, _ = stepped(config, steps=3)
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        plain = build(data, config)
        if model in ALONG_GRAPH:
            assert type(plain.propagation.graph) is InteractionGraph
        decaying = {id(one) for one in plain.feature_parameters()}
        groups = [
            {"params": [p for p in plain.parameters() if (id(p) in decaying) is chosen]}
            for chosen in (False, True)
        ]
        groups[1]["weight_decay"] = cast("Any", config.fusion_decay)
        adam = torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=config.learning_rate,
            weight_decay=0.0,
            fused=True,
        )
        # A trainer makes the loss of a batch; it is moved by the Adam here.
        other = Trainer(plain, data, config, np.random.default_rng(SEED))
        other._move = adam.step  # type: ignore[method-assign] # taken over
        for batch, _ in zip(other.batches(), range(3)):  # noqa: B905 - the shorter one ends it
            other.step(batch)
    for one, expected in zip(network.parameters(), plain.parameters(), strict=True):
        assert torch.equal(one, expected)


@by_model_of_rows
def test_rows_move_alone_where_there_are_many_unless_the_whole_graph_is_used(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = sample()
    along = model in ALONG_GRAPH
    drawn: dict[str, Any] = {"neighbours": [4] * 2, "layers": 2} if along else {}
    assert not moves_rows(data, small(model, **drawn))
    assert moves_rows(data, small(model, **drawn, optimiser="rows"))
    monkeypatch.setattr(building, "MOST_DENSE", data.users + data.videos)
    assert not moves_rows(data, small(model, **drawn))
    monkeypatch.setattr(building, "MOST_DENSE", data.users + data.videos - 1)
    assert moves_rows(data, small(model, **drawn))
    assert not moves_rows(data, small(model, **drawn, optimiser="dense"))
    assert moves_rows(data, small(model)) is not along


@pytest.mark.parametrize("model", ALONG_WHOLE_GRAPH)
def test_what_needs_the_whole_graph_never_moves_rows_alone(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "MOST_DENSE", 0)
    assert not moves_rows(sample(), small(model))
    for setting in ({"optimiser": "rows"}, {"neighbours": [4]}):
        with pytest.raises(InvalidConfig, match=model):
            configure({"model": model, **setting})


@by_model_of_rows
def test_a_step_by_rows_leaves_the_rows_that_it_does_not_touch(model: str) -> None:
    along = {"neighbours": [1, 1], "layers": 2} if model in ALONG_GRAPH else {}
    config = small(model, optimiser="rows", batch_size=3, negatives=2, **along)
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        before = [table.detach().clone() for table in build(sample(), config).tables()]
    network, _ = stepped(config)
    assert len(before) == len(network.tables()) >= 2
    for table, was in zip(network.tables(), before, strict=True):
        moved = (table != was).any(dim=1)
        assert 0 < moved.sum() < 40 < len(moved)


@by_model_of_rows
def test_a_run_by_rows_that_is_cut_off_gives_the_same_bit_for_bit(
    model: str, tmp_path: Path
) -> None:
    drawn = {"neighbours": [4, 3], "layers": 2} if model in ALONG_GRAPH else {}
    config = small(model, optimiser="rows", max_epochs=5, **drawn)
    for epoch in range(1, 6):
        with pytest.raises(Cut):
            fit_in(tmp_path, config, report=cut_after(epoch))
    assert same(fit_in(tmp_path, config), fit(sample(), config, seed=SEED))


@pytest.mark.parametrize("model", ["metammf-gcn", "metammf-lightgcn"])
def test_two_planted_tastes_are_found_with_few_neighbours(model: str) -> None:
    data = two_tastes()
    sizes: dict[str, Any] = {"averaging": 0.9, "layers": 2, "max_epochs": 30, "batch_size": 128}
    config = small(model, **sizes, **LIMITED)
    nobody = Interactions(np.empty(0, np.int64), np.empty(0, np.int64))
    fitted = fit(replace(data, val=nobody), config, seed=SEED)
    scores = fitted.users @ fitted.videos.T
    mine = np.arange(data.users)[:, None] % 2 == np.arange(data.videos) % 2
    for user, liked in enumerate(mine):
        wanted, unwanted = scores[user, liked], scores[user, ~liked]
        assert (wanted[:, None] > unwanted).mean() > 0.9


def test_what_is_judged_and_exported_is_made_of_all_neighbours() -> None:
    config = small("metammf-lightgcn", max_epochs=1, neighbours=[1, 1])
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        network = build(sample(), config)
    assert isinstance(network, MetaMMF)
    assert isinstance(network.propagation, propagation.LightGcn)
    drawn = network.eval().all_vectors()
    assert isinstance(network.propagation.graph, NeighbourGraph)
    whole = build(sample(), small("metammf-lightgcn")).propagation
    network.propagation = whole
    for one, expected in zip(drawn, network.all_vectors(), strict=True):
        torch.testing.assert_close(one, expected, rtol=1e-5, atol=1e-6)


def peak(edges: int, *settings: str) -> int:
    command = [sys.executable, "-m", "tests.support.peaks", str(edges), *settings]
    done = subprocess.run(  # noqa: S603 - the command is written above
        command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    return int(done.stdout)


@pytest.mark.e2e
def test_memory_grows_by_what_lists_of_interactions_take_and_no_more() -> None:
    settings = ('model="metammf-lightgcn"', "vector_dim=16", "batch_size=256")
    few, many = 200_000, 2_000_000
    drawn = [peak(edges, *settings, "neighbours=[5, 3]") for edges in (few, many)]
    whole = [peak(edges, *settings) for edges in (few, many)]
    each = [(high - low) / (many - few) for low, high in (drawn, whole)]
    # Row numbers 16, the sampler 16, neighbours from both sides 8; the whole graph takes 32 alone.
    assert each[0] < 50
    assert each[1] > each[0] + 12
