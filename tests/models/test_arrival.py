"""An arrival is its content, held to the length of what was trained."""

import pytest
import torch

from models.arrival import arrival_vectors
from models.fusion import MetaFusion


def fusion() -> MetaFusion:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MetaFusion(
            {"visual": 5}, hidden_dims=(6,), output_dim=4, signal_hidden_dim=4, signal_dim=3, rank=2
        )


PRESENT = torch.ones(20, 1, dtype=torch.bool)
FEATURES = torch.randn(20, 5, generator=torch.Generator().manual_seed(0)) * torch.linspace(
    0.1, 6, 20
).unsqueeze(1)


def test_no_arrival_is_longer_than_the_longest_trained_vector() -> None:
    network = fusion()
    with torch.no_grad():
        content = network(FEATURES, PRESENT)
    lengths = content[:, :-1].norm(dim=1)
    cap = lengths.median().item()
    vectors = arrival_vectors(network, FEATURES, PRESENT, vector_dim=4, gain=1.0, max_norm=cap)
    held = vectors[:, :-1].norm(dim=1)
    assert held.max().item() <= cap * (1 + 1e-6)
    torch.testing.assert_close(held, lengths.clamp(max=cap))
    cosine = torch.nn.functional.cosine_similarity(vectors[:, :-1], content[:, :-1])
    torch.testing.assert_close(cosine, torch.ones(20))


def test_the_bias_is_left_as_it_is() -> None:
    network = fusion()
    with torch.no_grad():
        content = network(FEATURES, PRESENT)
    vectors = arrival_vectors(network, FEATURES, PRESENT, vector_dim=4, gain=1.0, max_norm=1e-3)
    assert torch.equal(vectors[:, -1], content[:, -1])


def test_an_arrival_is_stretched_by_the_gain_and_its_bias_is_not() -> None:
    network = fusion()
    with torch.no_grad():
        content = network(FEATURES, PRESENT)
    vectors = arrival_vectors(network, FEATURES, PRESENT, vector_dim=4, gain=3.0, max_norm=1e6)
    torch.testing.assert_close(vectors[:, :-1], content[:, :-1] * 3)
    assert torch.equal(vectors[:, -1], content[:, -1])


def test_a_short_arrival_is_not_stretched_to_the_longest() -> None:
    network = fusion()
    with torch.no_grad():
        content = network(FEATURES, PRESENT)
    assert torch.equal(
        arrival_vectors(network, FEATURES, PRESENT, vector_dim=4, gain=1.0, max_norm=1e6), content
    )


@pytest.mark.parametrize("cap", [1e-3, 1.0])
def test_arrivals_carry_no_gradient(cap: float) -> None:
    assert not arrival_vectors(
        fusion(), FEATURES, PRESENT, vector_dim=4, gain=1.0, max_norm=cap
    ).requires_grad
