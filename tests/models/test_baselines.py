"""The baselines compute what their papers write, in a step as in what is judged."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from models.baselines.bpr_mf import BprMf
from models.baselines.clc_rec import ClcRec
from models.baselines.cosine_mf import CosineMf
from models.baselines.free_vectors import Free
from models.baselines.gat import Gat, GatPropagation
from models.baselines.graph_sage import GraphSageBaseline
from models.baselines.grcn import Grcn
from models.baselines.inv_rl import InvRl
from models.baselines.lattice import Lattice
from models.baselines.light_gcn import LightGcnBaseline
from models.baselines.mmgcn import Mmgcn
from models.baselines.ngcf import Ngcf, NgcfPropagation
from models.baselines.vbpr import Vbpr
from models.propagation import GraphSage, LightGcn
from tests.support.small_world import (
    COLD,
    JOINED,
    USERS,
    VIDEOS,
    WIDTH,
    WIDTHS,
    Doubles,
    double,
    drawn,
    edges,
    features,
    graph,
    leaky,
    met,
    scores,
    unit,
)

FREE = Free(USERS, VIDEOS, WIDTH)
KNOWN = Free(USERS, VIDEOS, WIDTH, cold=COLD)


def bpr_mf() -> BprMf:
    return BprMf(FREE)


def cosine_mf() -> CosineMf:
    return CosineMf(FREE)


def vbpr() -> Vbpr:
    return Vbpr(JOINED, FREE)


def inv_rl() -> InvRl:
    return InvRl(JOINED, FREE)


def clc_rec() -> ClcRec:
    return ClcRec(JOINED, FREE)


def light_gcn() -> LightGcnBaseline:
    return LightGcnBaseline(LightGcn(graph("symmetric"), layers=1), FREE)


def graph_sage() -> GraphSageBaseline:
    sage = GraphSage(graph("mean"), width=WIDTH)
    return GraphSageBaseline(sage, FREE, features=JOINED).eval()


def ngcf() -> Ngcf:
    propagation = NgcfPropagation(graph("symmetric"), layers=2, width=WIDTH)
    return Ngcf(propagation, FREE, features=JOINED)


def gat() -> Gat:
    return Gat(GatPropagation(edges(), layers=2, width=WIDTH), FREE, features=JOINED)


def mmgcn() -> Mmgcn:
    return Mmgcn(graph("mean"), features(), KNOWN, layers=2)


def grcn() -> Grcn:
    return Grcn(edges(), features(), KNOWN)


def lattice() -> Lattice:
    return Lattice(LightGcn(graph("symmetric"), layers=2), features(), KNOWN)


ALL = [
    bpr_mf, cosine_mf, vbpr, light_gcn, graph_sage, ngcf, gat, mmgcn, grcn, lattice, inv_rl,
    clc_rec,
]  # fmt: skip


@pytest.mark.parametrize("build", ALL)
@torch.no_grad()
def test_a_step_scores_with_the_vectors_that_are_judged(build: Callable[[], Any]) -> None:
    network = drawn(build).eval()
    users, videos = torch.tensor([3, 0, 3]), torch.tensor([5, 2])
    all_users, all_videos = network.all_vectors()
    found = network(users, videos, None)
    assert torch.equal(found[0], all_users[users])
    torch.testing.assert_close(found[1], all_videos[videos])


# The maps that the contrast of CLCRec alone teaches, and the environments of InvRL.
APART = {clc_rec: "content", inv_rl: "environments"}


@pytest.mark.parametrize("build", ALL)
def test_every_parameter_takes_part_in_a_score(build: Callable[[], Any]) -> None:
    network = drawn(build)
    users, videos = network(torch.arange(USERS), torch.arange(VIDEOS), None)
    torch.autograd.backward((users @ videos.T).square().sum())
    for name, parameter in network.named_parameters():
        if name.startswith(APART.get(build, "none")):
            continue
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


@torch.no_grad()
def test_matrix_factorisation_scores_by_inner_product_and_a_bias_of_the_video() -> None:
    network = drawn(bpr_mf)
    expected = network.users @ network.videos.T + network.bias.T
    np.testing.assert_allclose(scores(network), expected, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_cosine_factorisation_scores_by_the_cosine() -> None:
    network = drawn(cosine_mf)
    for user in range(USERS):
        for video in range(VIDEOS):
            a, b = network.users[user], network.videos[video]
            expected = (a @ b / (a.norm() * b.norm())).item()
            assert scores(network)[user, video] == pytest.approx(expected, abs=1e-6)
    for side in network.all_vectors():
        torch.testing.assert_close(side, normalize(side, dim=1))


@torch.no_grad()
def test_vbpr_scores_by_ids_by_mapped_features_and_by_a_bias() -> None:
    network = drawn(vbpr)
    by_id, by_content = network.users[:, :WIDTH], network.users[:, WIDTH:]
    mapped = JOINED @ network.map.matrix.T
    expected = by_id @ network.videos.T + by_content @ mapped.T + network.bias.T
    np.testing.assert_allclose(scores(network), expected, rtol=1e-5, atol=1e-5)


def symmetric() -> Doubles:
    """D_u^-1/2 R D_v^-1/2."""
    table = met()
    by_user, by_video = np.maximum(table.sum(1), 1), np.maximum(table.sum(0), 1)
    return table / np.sqrt(np.outer(by_user, by_video))


def means() -> tuple[Doubles, Doubles]:
    """The interactions as means over the videos of a user, and over the users of a video."""
    table = met()
    return (
        table / np.maximum(table.sum(1, keepdims=True), 1),
        table.T / np.maximum(table.T.sum(1, keepdims=True), 1),
    )


def starts_of(network: Any) -> tuple[Doubles, Doubles]:
    """Ids of users; ids and mapped features of videos."""
    content = double(JOINED) @ double(network.map.matrix).T
    return double(network.users), double(network.videos) + content


def assert_scores(network: Any, users: Doubles, videos: Doubles) -> None:
    np.testing.assert_allclose(scores(network), users @ videos.T, rtol=1e-4, atol=1e-4)


def test_light_gcn_scores_by_the_mean_of_itself_and_its_neighbours() -> None:
    network = drawn(light_gcn)
    users, videos = double(network.users), double(network.videos)
    weighed = symmetric()
    assert_scores(network, (users + weighed @ videos) / 2, (videos + weighed.T @ users) / 2)


def test_graph_sage_adds_the_mean_of_neighbours_twice() -> None:
    network = drawn(graph_sage)
    users, videos = starts_of(network)
    for depth in range(2):
        near, root = network.propagation.neighbours[depth], network.propagation.roots[depth]
        of = [double(near.weight).T, double(root.weight).T]
        to_users, to_videos = means()[0] @ videos, means()[1] @ users
        users = to_users @ of[0] + double(near.bias) + users @ of[1]
        videos = to_videos @ of[0] + double(near.bias) + videos @ of[1]
        if depth == 0:
            users, videos = leaky(users, 0.01), leaky(videos, 0.01)
    assert_scores(network, users, videos)


def test_ngcf_lets_neighbours_interact_edge_by_edge() -> None:
    network = drawn(ngcf)
    sides = list(starts_of(network))
    weighed = symmetric()
    layers = [[side] for side in sides]
    for depth in range(2):
        alone, pairs = network.propagation.sums[depth], network.propagation.products[depth]
        fresh = []
        for own, other, weights in (
            (sides[0], sides[1], weighed),
            (sides[1], sides[0], weighed.T),
        ):
            rows = np.zeros_like(own)
            for node in range(len(own)):
                total = own[node] @ double(alone.weight).T + double(alone.bias)
                total = total + double(pairs.bias)
                for neighbour in range(len(other)):
                    message = other[neighbour] @ double(alone.weight).T
                    message = message + (other[neighbour] * own[node]) @ double(pairs.weight).T
                    total = total + weights[node, neighbour] * message
                rows[node] = total
            fresh.append(leaky(rows, 0.2))
        sides = fresh
        for side, found in zip(layers, sides, strict=True):
            side.append(unit(found))
    assert_scores(network, np.hstack(layers[0]), np.hstack(layers[1]))


def test_gat_attends_to_neighbours_and_itself() -> None:
    network = drawn(gat)
    sides = list(starts_of(network))
    for depth in range(2):
        if depth:
            sides = [leaky(side, 0.01) for side in sides]
        mapped = [side @ double(network.propagation.maps[depth].weight).T for side in sides]
        reads = double(network.propagation.attention[depth])
        fresh = []
        for place, table in ((0, met()), (1, met().T)):
            own, other = mapped[place], mapped[1 - place]
            rows = np.zeros_like(own)
            for node in range(len(own)):
                near = [own[node], *(other[n] for n in np.flatnonzero(table[node]))]
                raw = leaky(np.array([own[node] @ reads[0] + x @ reads[1] for x in near]), 0.2)
                attention = np.exp(raw) / np.exp(raw).sum()
                rows[node] = attention @ np.stack(near)
            fresh.append(rows)
        sides = fresh
    assert_scores(network, *sides)


def blocks() -> list[Doubles]:
    """The features of each modality."""
    return np.split(double(JOINED), np.cumsum(WIDTHS)[:-1], axis=1)


def test_mmgcn_convolves_each_modality_and_takes_the_mean_of_what_there_is() -> None:
    network = drawn(mmgcn)
    to_users, to_videos = means()
    found: list[list[Doubles]] = []
    for place, block in enumerate(blocks()):
        sides = [
            unit(double(network.preferences[place])),
            unit(block @ double(network.maps[place].weight).T),
        ]
        for layer in network.convolutions[2 * place : 2 * place + 2]:
            arrived = [to_users @ sides[1], to_videos @ sides[0]]
            ids = [double(network.users), double(network.videos)]
            for side in range(2):
                near = leaky(arrived[side] @ double(layer.near.weight).T, 0.01)
                own = sides[side] @ double(layer.own.weight).T + double(layer.own.bias)
                both = np.hstack([near, leaky(own, 0.01) + ids[side]])
                joined = both @ double(layer.both.weight).T + double(layer.both.bias)
                sides[side] = leaky(joined, 0.01)
        found.append(sides)
    users = np.mean([sides[0] for sides in found], axis=0)
    videos = np.mean([sides[1] for sides in found], axis=0)
    videos[1], videos[3] = found[0][1][1], found[1][1][3]
    assert_scores(network, users, videos)


def test_mmgcn_draws_ids_short_beside_preferences_and_content() -> None:
    torch.manual_seed(0)
    free = Free(users=500, videos=len(JOINED), width=16)
    network = Mmgcn(graph("mean"), features(), free, layers=2)
    assert 0.009 < network.users.detach().std() < 0.011
    assert network.preferences.detach().std() > 0.05


def softmax(values: Doubles) -> Doubles:
    grown = np.exp(values)
    share: Doubles = grown / grown.sum()
    return share


def attended(table: Doubles, own: Doubles, other: Doubles) -> Doubles:
    """The softmax of inner products over the neighbours of each of `own`; 0 elsewhere."""
    weights = np.zeros(table.shape)
    for node in range(len(own)):
        near = np.flatnonzero(table[node])
        if len(near):
            weights[node, near] = softmax(other[near] @ own[node])
    return weights


def test_grcn_routes_and_passes_ids_along_the_strongest_trusted_edges() -> None:
    network = drawn(grcn)
    table = met()
    per_modality, contents = [], []
    for module, block in zip(network.routed, blocks(), strict=True):
        videos = unit(block @ double(module.map.weight).T)
        users = unit(double(module.preferences))
        for _ in range(3):
            users = unit(users + attended(table, users, videos) @ videos)
        weights = attended(table, users, videos), attended(table.T, videos, users)
        contents.append(
            (users + leaky(weights[0] @ videos, 0.01), videos + leaky(weights[1] @ users, 0.01))
        )
        per_modality.append(weights)
    known = features().present.numpy()
    user_trust, video_trust = double(network.user_trust), double(network.video_trust)
    to_users, to_videos = np.zeros(table.shape), np.zeros(table.T.shape)
    for user, video in zip(*np.nonzero(table), strict=True):
        into = [per_modality[m][0][user, video] * video_trust[video, m] for m in range(2)]
        out = [per_modality[m][1][video, user] * user_trust[user, m] for m in range(2)]
        to_users[user, video] = max(0, *(x * known[video, m] for m, x in enumerate(into)))
        to_videos[video, user] = max(0, *(x * known[video, m] for m, x in enumerate(out)))
    sides = [unit(double(network.users)), unit(double(network.videos))]
    sums = [side.copy() for side in sides]
    for _ in range(2):
        sides = [to_users @ sides[1], to_videos @ sides[0]]
        sums = [total + side for total, side in zip(sums, sides, strict=True)]
    assert_scores(
        network,
        np.hstack([sums[0], *(content[0] for content in contents)]),
        np.hstack([sums[1], *(content[1] for content in contents)]),
    )


def alike(vectors: Doubles, known: Doubles) -> Doubles:
    """Cosines of like videos, scaled by their sums on either side. All six are among the ten."""
    cosines = np.clip(unit(vectors) @ unit(vectors).T, 0, None) * np.outer(known, known)
    degree = np.maximum(cosines.sum(1), 1e-12)
    return cosines / np.sqrt(np.outer(degree, degree))


def test_lattice_adds_the_direction_that_like_videos_point_to() -> None:
    network = drawn(lattice)
    users, videos = double(network.users), double(network.videos)
    weighed, shares = symmetric(), softmax(double(network.importance))
    near = np.zeros_like(videos)
    for place, block in enumerate(blocks()):
        known = double(features().present[:, place])
        mapped = block @ double(network.maps[place].weight).T
        near += shares[place] * (0.9 * alike(block, known) + 0.1 * alike(mapped, known)) @ videos
    sums = [users.copy(), videos.copy()]
    for_users, for_videos = users, videos
    for _ in range(2):
        for_users, for_videos = weighed @ for_videos, weighed.T @ for_users
        sums = [sums[0] + for_users, sums[1] + for_videos]
    assert_scores(network, sums[0] / 3, sums[1] / 3 + unit(near))


@pytest.mark.parametrize("build", [bpr_mf, vbpr, inv_rl])
@torch.no_grad()
def test_ids_and_biases_are_penalised(build: Callable[[], Any]) -> None:
    network, videos = drawn(build), torch.tensor([5, 0])
    free = torch.cat([network.videos, network.bias], dim=1)[videos]
    assert torch.equal(network.embeddings(torch.tensor([1]), videos)[1], free)


@pytest.mark.parametrize("build", [build for build in ALL if build not in (bpr_mf, vbpr, inv_rl)])
@torch.no_grad()
def test_what_is_learnt_is_penalised_and_not_what_is_made_of_it(build: Callable[[], Any]) -> None:
    network, users, videos = drawn(build), torch.tensor([1, 1]), torch.tensor([5, 0])
    free_users, free_videos = network.embeddings(users, videos)
    assert torch.equal(free_users, network.users[users])
    assert torch.equal(free_videos, network.videos[videos])


@pytest.mark.parametrize("build", [mmgcn, grcn, lattice])
def test_nothing_is_known_of_the_id_of_a_cold_video(build: Callable[[], Any]) -> None:
    ids = build().videos
    assert not ids[COLD].any()
    assert ids[~COLD].all()
