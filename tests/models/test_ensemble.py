"""What the members of an ensemble say of an arrival is one vector."""

import pytest
import torch
from torch.nn.functional import normalize

from models.arrival import arrival_vectors
from models.ensemble import FusionEnsemble
from models.fusion import MetaFusion

FEATURES = torch.randn(20, 5, generator=torch.Generator().manual_seed(0)) * 3 + 1
PRESENT = torch.ones(20, 1, dtype=torch.bool)


def ensemble(count: int = 3) -> FusionEnsemble:
    """Make members that differ, of which no two weigh alike."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        members = [
            MetaFusion(
                {"visual": 5},
                hidden_dims=(6,),
                output_dim=4,
                signal_hidden_dim=4,
                signal_dim=3,
                rank=2,
            )
            for _ in range(count)
        ]
        found = FusionEnsemble(members)
        for member in members:
            member.learn_scaling(FEATURES, PRESENT)
            member.common.copy_(0.1 * torch.randn(4))
        found.projection.copy_(torch.randn(count, 4, 4))
    return found


def test_an_arrival_is_the_sum_of_what_members_say_each_on_its_own_axes() -> None:
    network = ensemble()
    standardised = network.standardise(FEATURES, PRESENT)
    found = arrival_vectors(network, standardised, PRESENT)
    expected = torch.zeros(20, 4)
    for member, axes in zip(network.members, network.projection, strict=True):
        with torch.no_grad():
            content = normalize(member(standardised, PRESENT), dim=1) - member.common
        expected += normalize(content, dim=1) @ axes
    torch.testing.assert_close(found, normalize(expected, dim=1))
    assert not found.requires_grad


def test_one_member_on_its_own_axes_is_itself() -> None:
    network = ensemble(1)
    network.projection.copy_(torch.eye(4)[None])
    standardised = network.standardise(FEATURES, PRESENT)
    alone = arrival_vectors(network.members[0], standardised, PRESENT)
    torch.testing.assert_close(arrival_vectors(network, standardised, PRESENT), alone)


def test_features_are_standardised_as_each_member_does() -> None:
    network = ensemble()
    for member in network.members:
        torch.testing.assert_close(
            network.standardise(FEATURES, PRESENT), member.standardise(FEATURES, PRESENT)
        )
        torch.testing.assert_close((network.mean, network.scale), (member.mean, member.scale))


def test_it_is_whole_in_its_state() -> None:
    network, other = ensemble(), FusionEnsemble(ensemble().members)
    assert not other.projection.any()
    other.load_state_dict(network.state_dict())
    standardised = network.standardise(FEATURES, PRESENT)
    assert torch.equal(
        arrival_vectors(network, standardised, PRESENT),
        arrival_vectors(other, standardised, PRESENT),
    )
    with pytest.raises(RuntimeError, match="projection"):
        other.load_state_dict(ensemble(2).state_dict())
