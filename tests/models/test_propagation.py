"""LightGCN and GraphSAGE compute what their papers write, node by node."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.graph import InteractionGraph
from models.propagation import HIDDEN_DROPOUT, OUTPUT_DROPOUT, GraphSage, LightGcn

USERS, VIDEOS, WIDTH = 5, 6, 4
# User 4 and video 5 have no edge.
EDGES = [(0, 0), (0, 1), (0, 2), (1, 1), (2, 1), (2, 3), (3, 4)]


def graph(scaling: str) -> InteractionGraph:
    users, videos = torch.tensor(EDGES).T.contiguous()
    return InteractionGraph(users, videos, sizes=(USERS, VIDEOS), scaling=scaling)  # type: ignore[arg-type] # from a test


def drawn() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(n, WIDTH, generator=generator) for n in (USERS, VIDEOS))  # type: ignore[return-value] # two


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_light_gcn_is_the_mean_over_powers_of_the_normalised_adjacency(layers: int) -> None:
    users, videos = drawn()
    nodes = USERS + VIDEOS
    adjacency = np.zeros((nodes, nodes))
    for user, video in EDGES:
        adjacency[user, USERS + video] = adjacency[USERS + video, user] = 1
    degree = adjacency.sum(1)
    root = np.diag([value**-0.5 if value else 0.0 for value in degree])
    step, power = root @ adjacency @ root, np.eye(nodes)
    start = torch.cat([users, videos]).double().numpy()
    total = start.copy()
    for _ in range(layers):
        power = step @ power
        total += power @ start
    expected = torch.from_numpy(total / (layers + 1)).float()
    found = torch.cat(LightGcn(graph("symmetric"), layers=layers)(users, videos))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def sage() -> GraphSage:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return GraphSage(graph("mean"), width=WIDTH)


def convolved(network: GraphSage, depth: int, nodes: dict[str, Tensor]) -> dict[str, Tensor]:
    """x' = W_n mean(neighbours) + W_r x + b, one node after the other."""
    near: dict[str, list[str]] = {name: [] for name in nodes}
    for user, video in EDGES:
        near[f"u{user}"].append(f"v{video}")
        near[f"v{video}"].append(f"u{user}")
    neighbours, root = network.neighbours[depth], network.roots[depth]
    assert isinstance(neighbours, nn.Linear)
    assert isinstance(root, nn.Linear)
    found = {}
    for name, own in nodes.items():
        around = [nodes[other] for other in near[name]]
        mean = torch.stack(around).mean(0) if around else torch.zeros(WIDTH)
        found[name] = neighbours.weight @ mean + neighbours.bias + root.weight @ own
    return found


@torch.no_grad()
def test_graph_sage_is_two_convolutions_over_explicit_means() -> None:
    network, (users, videos) = sage().eval(), drawn()
    nodes = {f"u{row}": vector for row, vector in enumerate(users)}
    nodes |= {f"v{row}": vector for row, vector in enumerate(videos)}
    hidden = convolved(network, 0, nodes)
    hidden = {name: torch.where(x > 0, x, 0.01 * x) for name, x in hidden.items()}
    out = convolved(network, 1, hidden)
    found_users, found_videos = network(users, videos)
    for side, found in (("u", found_users), ("v", found_videos)):
        expected = torch.stack([out[f"{side}{row}"] for row in range(len(found))])
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_in_training_a_share_of_the_output_is_dropped_and_otherwise_nothing() -> None:
    network, (users, videos) = sage(), drawn()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        outputs = [torch.cat(network.train()(users, videos)) for _ in range(200)]
    dropped = torch.stack([output == 0 for output in outputs]).float().mean().item()
    assert dropped == pytest.approx(OUTPUT_DROPOUT, abs=0.03)
    # What the output keeps still varies: hidden numbers were dropped before.
    kept = torch.stack(outputs)[:, 0, 0]
    assert len(set(kept[kept != 0].tolist())) > 4
    assert HIDDEN_DROPOUT > 0
    network.eval()
    assert torch.equal(torch.cat(network(users, videos)), torch.cat(network(users, videos)))


def test_every_parameter_of_graph_sage_takes_part() -> None:
    network = sage()
    torch.autograd.backward(torch.cat(network.eval()(*drawn())).square().sum())
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
