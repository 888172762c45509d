"""A video is the direction of content plus id, a rehearsed one that of its content alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from models.fusion import MetaFusion
from models.graph import InteractionGraph
from models.propagation import GraphSage, LightGcn, Propagation
from models.recommender import MetaMMF, Rehearsal
from tests.support.memory import largest_allocation

USERS, VIDEOS, WIDTH = 5, 7, 8
BACKBONES = ("mf", "gcn", "lightgcn")
by_backbone = pytest.mark.parametrize("backbone", BACKBONES)
ALL_USERS, ALL_VIDEOS = torch.arange(USERS), torch.arange(VIDEOS)


def raw_features(videos: int = VIDEOS) -> tuple[Tensor, Tensor]:
    """Features of two modalities, of four columns and of three; row 0 lacks the second."""
    features = torch.randn(videos, 7, generator=torch.Generator().manual_seed(1)) * 5
    features[0, 4:] = 0
    present = torch.ones(videos, 2, dtype=torch.bool)
    present[0, 1] = False
    return features, present


def propagation_of(backbone: str, users: int, videos: int) -> Propagation | None:
    edges = torch.arange(max(users, videos))
    if backbone == "mf":
        return None
    scaling = "mean" if backbone == "gcn" else "symmetric"
    graph = InteractionGraph(
        edges % users,
        edges % videos,
        sizes=(users, videos),
        scaling=scaling,  # type: ignore[arg-type] # one of two
    )
    return GraphSage(graph, width=WIDTH) if backbone == "gcn" else LightGcn(graph, layers=2)


def meta_mmf(
    backbone: str = "mf", *, videos: int = VIDEOS, users: int = USERS, feature_dropout: float = 0.0
) -> MetaMMF:
    """A network in evaluation, whose learned stand-ins for missing modalities are not zero."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        fusion = MetaFusion(
            {"visual": 4, "textual": 3},
            hidden_dims=(6,),
            output_dim=WIDTH,
            signal_hidden_dim=4,
            signal_dim=3,
            rank=2,
        )
        nn.init.normal_(fusion.missing)
        network = MetaMMF(
            fusion,
            *raw_features(videos),
            users=users,
            propagation=propagation_of(backbone, users, videos),
            feature_dropout=feature_dropout,
        )
    return network.eval()


def rehearsal(*arriving: int, kept: Tensor | None = None) -> Rehearsal:
    """Of all videos the `arriving` rows are rehearsed, with the modalities `kept` or with all."""
    mask = torch.zeros(VIDEOS, dtype=torch.bool)
    mask[list(arriving)] = True
    return Rehearsal(mask, torch.ones(VIDEOS, 2, dtype=torch.bool) if kept is None else kept)


@contextmanager
def rows_fused(network: MetaMMF) -> Iterator[list[int]]:
    """Record how many videos each pass through the fusion network holds."""
    counts: list[int] = []
    hook = network.fusion.register_forward_hook(lambda _, inputs, __: counts.append(len(inputs[0])))
    yield counts
    hook.remove()


@by_backbone
@torch.no_grad()
def test_every_vector_has_unit_length(backbone: str) -> None:
    network = meta_mmf(backbone)
    sides = [
        *network(ALL_USERS, ALL_VIDEOS, None),
        *network(ALL_USERS, ALL_VIDEOS, rehearsal(1, 4)),
        *network.all_vectors(),
        network.arrivals(ALL_VIDEOS),
    ]
    for side in sides:
        assert side.shape[1] == WIDTH
        torch.testing.assert_close(side.norm(dim=1), torch.ones(len(side)))


@torch.no_grad()
def test_a_video_is_the_direction_of_content_plus_id_and_a_user_that_of_a_free_vector() -> None:
    network, rows = meta_mmf(), torch.tensor([3, 0, 3])
    content = network.fusion(network.standardised[rows], network.present[rows])
    users, videos = network(torch.tensor([4, 1]), rows, None)
    torch.testing.assert_close(videos, normalize(content + network.ids[rows], dim=1))
    torch.testing.assert_close(users, normalize(network.tastes[[4, 1]], dim=1))


@pytest.mark.parametrize("backbone", ["gcn", "lightgcn"])
@torch.no_grad()
def test_a_propagation_refines_what_would_be_scored_without_it(backbone: str) -> None:
    network = meta_mmf(backbone)
    assert network.propagation is not None
    content = network.fusion(network.standardised, network.present)
    users, videos = network.propagation(network.tastes, content + network.ids)
    found = network.all_vectors()
    torch.testing.assert_close(found[0], normalize(users, dim=1))
    torch.testing.assert_close(found[1], normalize(videos, dim=1))


@by_backbone
@torch.no_grad()
def test_a_step_scores_with_the_vectors_that_are_exported(backbone: str) -> None:
    network = meta_mmf(backbone)
    users, videos = torch.tensor([4, 0, 4]), torch.tensor([6, 2])
    all_users, all_videos = network.all_vectors()
    found = network(users, videos, None)
    torch.testing.assert_close(found[0], all_users[users])
    torch.testing.assert_close(found[1], all_videos[videos])


def test_without_a_propagation_only_the_videos_of_the_step_are_fused() -> None:
    network = meta_mmf(videos=500)
    with rows_fused(network) as counts:
        network(ALL_USERS, torch.tensor([499, 3, 77]), None)
    assert counts == [3]


@by_backbone
@torch.no_grad()
def test_a_rehearsed_video_is_what_it_would_be_on_arrival_and_the_others_are_not(
    backbone: str,
) -> None:
    network = meta_mmf(backbone)
    arrivals, plain = network.arrivals(ALL_VIDEOS), network(ALL_USERS, ALL_VIDEOS, None)[1]
    users, found = network(ALL_USERS, ALL_VIDEOS, rehearsal(0, 2, 5))
    torch.testing.assert_close(found[[0, 2, 5]], arrivals[[0, 2, 5]])
    others = [1, 3, 4, 6]
    torch.testing.assert_close(found[others], plain[others])
    assert (found[others] - arrivals[others]).abs().amax(1).min() > 1e-3
    torch.testing.assert_close(users, network.all_vectors()[0])


@by_backbone
@torch.no_grad()
def test_a_rehearsed_video_has_the_modalities_that_are_kept_and_no_more_than_it_has(
    backbone: str,
) -> None:
    network = meta_mmf(backbone)
    kept = torch.ones(VIDEOS, 2, dtype=torch.bool)
    kept[2, 0] = kept[3, 1] = kept[4, 0] = False
    # Video 0 has no second modality; what is kept of it cannot bring it back.
    _, found = network(ALL_USERS, ALL_VIDEOS, rehearsal(0, 2, 3, kept=kept))
    # As the service does: from raw features, in which an absent modality is all zero.
    features, _ = raw_features()
    features[2, :4] = features[3, 4:] = 0
    present = torch.stack([features[:, :4].any(1), features[:, 4:].any(1)], dim=1)
    fusion = network.fusion
    expected = normalize(fusion(fusion.standardise(features, present), present), dim=1)
    torch.testing.assert_close(found[[0, 2, 3]], expected[[0, 2, 3]])
    assert (found[[2, 3]] - network.arrivals(torch.tensor([2, 3]))).abs().amax(1).min() > 1e-3
    # Video 4 is not rehearsed: nothing of it is left out.
    torch.testing.assert_close(found[4], network.all_vectors()[1][4])


def test_the_stand_in_of_a_modality_is_learnt_where_a_rehearsal_leaves_it_out() -> None:
    network, rows = meta_mmf(), torch.arange(1, VIDEOS)  # all of them have all modalities
    everything = torch.ones(len(rows), 2, dtype=torch.bool)
    kept = everything.clone()
    kept[3, 0] = False
    for modalities, learnt in ((everything, [False, False]), (kept, [True, False])):
        network.zero_grad()
        plan = Rehearsal(torch.ones(len(rows), dtype=torch.bool), modalities)
        _, videos = network(ALL_USERS, rows, plan)
        torch.autograd.backward(videos[:, 0].sum())
        missing = network.fusion.missing
        gradient = torch.zeros_like(missing) if missing.grad is None else missing.grad
        assert [bool(block.any()) for block in torch.split(gradient, [4, 3])] == learnt


def test_a_rehearsed_video_teaches_content_and_leaves_its_id_alone() -> None:
    network = meta_mmf()
    _, videos = network(ALL_USERS, ALL_VIDEOS, rehearsal(2))
    torch.autograd.backward(videos[:, 0].sum())
    assert network.ids.grad is not None
    assert (network.ids.grad[2] == 0).all()
    assert (network.ids.grad[[0, 1, 3, 4, 5, 6]] != 0).any(dim=1).all()
    network.zero_grad()
    _, videos = network(ALL_USERS, ALL_VIDEOS, rehearsal(2))
    torch.autograd.backward(videos[2, 0])
    layer = next(network.fusion.layers.parameters())
    assert layer.grad is not None
    assert layer.grad.abs().max() > 0


@torch.no_grad()
def test_features_are_dropped_in_training_alone() -> None:
    network, certain = meta_mmf(feature_dropout=0.5), meta_mmf()
    expected = certain(ALL_USERS, ALL_VIDEOS, None)[1]
    assert torch.equal(network(ALL_USERS, ALL_VIDEOS, None)[1], expected)
    network.train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, second = (network(ALL_USERS, ALL_VIDEOS, None)[1] for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(network.arrivals(ALL_VIDEOS), certain.arrivals(ALL_VIDEOS))


@by_backbone
@torch.no_grad()
def test_the_size_of_a_block_makes_no_difference(
    backbone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = meta_mmf(backbone)
    whole = (*network.all_vectors(), network.arrivals(ALL_VIDEOS))
    monkeypatch.setattr("models.recommender.BLOCK", 2)
    with rows_fused(network) as counts:
        cut = (*network.all_vectors(), network.arrivals(ALL_VIDEOS))
    assert max(counts) == 2
    for one, other in zip(whole, cut, strict=True):
        torch.testing.assert_close(one, other)


@by_backbone
def test_a_step_never_holds_users_times_videos(backbone: str) -> None:
    users, videos = 3_000, 2_000
    network = meta_mmf(backbone, users=users, videos=videos)

    def work() -> None:
        found = network(torch.arange(50), torch.arange(60), None)
        torch.autograd.backward((found[0] @ found[1].T).sum())

    # The largest are all vectors, several of which one operation may stack.
    assert largest_allocation(work) <= 4 * 4 * users * WIDTH < 4 * users * videos / 10


@by_backbone
def test_every_parameter_takes_part_in_a_score(backbone: str) -> None:
    network = meta_mmf(backbone)
    users, videos = network(ALL_USERS, ALL_VIDEOS, None)
    weights = torch.randn(USERS, VIDEOS, generator=torch.Generator().manual_seed(0))
    torch.autograd.backward((users @ videos.T * weights).sum())
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_what_is_penalised_is_what_is_free() -> None:
    network, users, videos = meta_mmf(), torch.tensor([2, 2]), torch.tensor([6, 0, 1])
    free_users, free_videos = network.embeddings(users, videos)
    assert torch.equal(free_users, network.tastes[users])
    assert torch.equal(free_videos, network.ids[videos])


def test_the_catalog_is_no_part_of_the_weights() -> None:
    names = set(meta_mmf("gcn").state_dict())
    assert not {"present", "standardised"} & names
    assert not [name for name in names if "graph" in name]
