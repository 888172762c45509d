"""An arrival is the direction of its content."""

import torch

from models.arrival import arrival_vectors
from models.fusion import MetaFusion

PRESENT = torch.ones(20, 1, dtype=torch.bool)
FEATURES = torch.randn(20, 5, generator=torch.Generator().manual_seed(0)) * torch.linspace(
    0.1, 6, 20
).unsqueeze(1)


def fusion() -> MetaFusion:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MetaFusion(
            {"visual": 5}, hidden_dims=(6,), output_dim=4, signal_hidden_dim=4, signal_dim=3, rank=2
        )


def test_features_that_say_nothing_make_a_unit_vector_too() -> None:
    network = fusion()
    with torch.no_grad():
        assert not network(torch.zeros(1, 5), PRESENT[:1]).any()
    found = arrival_vectors(network, torch.zeros(1, 5), PRESENT[:1])
    torch.testing.assert_close(found.norm(dim=1), torch.ones(1))


def test_an_arrival_points_where_its_content_points_and_has_unit_length() -> None:
    network = fusion()
    with torch.no_grad():
        content = network(FEATURES, PRESENT)
    vectors = arrival_vectors(network, FEATURES, PRESENT)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(20))
    # However long or short the content is.
    lengths = content.norm(dim=1, keepdim=True)
    assert lengths.max() > 10 * lengths.min()
    torch.testing.assert_close(vectors * lengths, content)


def test_it_loses_what_all_contents_have_in_common() -> None:
    network = fusion()
    plain = arrival_vectors(network, FEATURES, PRESENT)
    network.common.copy_(0.5 * plain.mean(dim=0))
    vectors = arrival_vectors(network, FEATURES, PRESENT)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(20))
    rest = plain - 0.5 * plain.mean(dim=0)
    torch.testing.assert_close(vectors * rest.norm(dim=1, keepdim=True), rest)
    assert vectors.mean(dim=0).norm() < 0.9 * plain.mean(dim=0).norm()


def test_arrivals_carry_no_gradient() -> None:
    assert not arrival_vectors(fusion(), FEATURES, PRESENT).requires_grad
