"""Each form is the layer it stands for: a weight matrix of its own for every video, never made."""

from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from models.form import FusionForm
from models.meta_layer import (
    FullMetaLayer,
    GateMetaLayer,
    LowRankMetaLayer,
    StaticLayer,
    meta_layer,
)

SIZES = st.integers(1, 12)
FORMS: tuple[FusionForm, ...] = get_args(FusionForm)
by_form = pytest.mark.parametrize("form", FORMS)
by_dynamic_form = pytest.mark.parametrize("form", [form for form in FORMS if form != "static"])


def layer_of(
    form: FusionForm, fan_in: int, fan_out: int, signal_dim: int, rank: int, *, seed: int
) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return meta_layer(form, fan_in, fan_out, signal_dim=signal_dim, rank=rank).double()


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def meta_tensor(layer: nn.Module) -> Tensor:
    """The T[k, a, o] that a layer stands for, written out: (S, I, O)."""
    match layer:
        case GateMetaLayer():
            product = layer.input_factor @ layer.output_factor
            return layer.signal_factor[:, None, None] * product
        case LowRankMetaLayer():
            return torch.einsum(
                "rk,ar,ro->kao", layer.signal_factor, layer.input_factor, layer.output_factor
            )
        case FullMetaLayer():
            return layer.tensor.transpose(0, 1)
        case _:
            raise TypeError(f"{type(layer).__name__} has no meta tensor")


def base_of(layer: nn.Module) -> Tensor:
    base = layer.base
    assert isinstance(base, Tensor)
    return base


def by_explicit_weights(layer: nn.Module, inputs: Tensor, signal: Tensor) -> Tensor:
    """Build W_i of every video and multiply, one video after the other."""
    rows = []
    for x, s in zip(inputs, signal, strict=True):
        weights = base_of(layer)
        if not isinstance(layer, StaticLayer):
            for k, strength in enumerate(s):
                weights = weights + strength * meta_tensor(layer)[k]
        rows.append(x @ weights)
    return torch.stack(rows)


def by_the_published_code(
    layer: GateMetaLayer | LowRankMetaLayer, mixing: Tensor, inputs: Tensor, signal: Tensor
) -> Tensor:
    """The weights as hanliu95/MetaMMF builds them from A, B, W and `mixing: (R * S, 1)`.

    A and B are multiplied first; the outer product of `mixing` and all entries of A B is cut into R
    tensors of (S, I * O), whose sum is weighted by the signal.
    """
    rank, signal_dim = layer.input_factor.shape[1], signal.shape[1]
    product = layer.input_factor @ layer.output_factor
    stacked = (mixing @ product.reshape(1, -1)).reshape(rank, signal_dim, -1)
    dynamic = (signal @ stacked.sum(0)).reshape(-1, *product.shape)
    return torch.bmm(inputs[:, None, :], dynamic + layer.base)[:, 0]


def rank_in_the_meta_mode(tensor: Tensor) -> int:
    return int(torch.linalg.matrix_rank(tensor.reshape(len(tensor), -1)))


@by_form
@settings(max_examples=40, deadline=None)
@given(sizes=st.tuples(SIZES, SIZES, SIZES, SIZES, SIZES), seed=st.integers(0, 99))
def test_a_layer_and_its_gradients_equal_those_of_the_explicit_weights_of_each_video(
    form: FusionForm, sizes: tuple[int, int, int, int, int], seed: int
) -> None:
    videos, fan_in, fan_out, signal_dim, rank = sizes
    layer = layer_of(form, fan_in, fan_out, signal_dim, rank, seed=seed)
    inputs = drawn(videos, fan_in, seed=seed + 1).requires_grad_()
    signal = drawn(videos, signal_dim, seed=seed + 2).requires_grad_()
    found, expected = layer(inputs, signal), by_explicit_weights(layer, inputs, signal)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    upstream = drawn(videos, fan_out, seed=seed + 3)
    leaves = [inputs, signal, *layer.parameters()]
    for mine, theirs in zip(
        torch.autograd.grad(found, leaves, upstream, materialize_grads=True, allow_unused=True),
        torch.autograd.grad(expected, leaves, upstream, materialize_grads=True, allow_unused=True),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(sizes=st.tuples(SIZES, SIZES, SIZES, SIZES, SIZES), seed=st.integers(0, 99))
@torch.no_grad()
def test_the_gate_form_is_what_the_published_code_computes(
    sizes: tuple[int, int, int, int, int], seed: int
) -> None:
    videos, fan_in, fan_out, signal_dim, rank = sizes
    layer = layer_of("gate", fan_in, fan_out, signal_dim, rank, seed=seed)
    assert isinstance(layer, GateMetaLayer)
    mixing = drawn(rank * signal_dim, 1, seed=seed + 1)
    layer.signal_factor.copy_(mixing.reshape(rank, signal_dim).sum(0))
    inputs, signal = drawn(videos, fan_in, seed=seed + 2), drawn(videos, signal_dim, seed=seed + 3)
    expected = by_the_published_code(layer, mixing, inputs, signal)
    torch.testing.assert_close(layer(inputs, signal), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("seed", range(5))
@torch.no_grad()
def test_the_cpd_form_is_not_what_the_published_code_computes(seed: int) -> None:
    layer = layer_of("cpd", 9, 7, 5, 4, seed=seed)
    assert isinstance(layer, LowRankMetaLayer)
    inputs, signal = drawn(6, 9, seed=seed), drawn(6, 5, seed=seed + 1)
    mixing = layer.signal_factor.reshape(-1, 1)
    published = by_the_published_code(layer, mixing, inputs, signal)
    assert (layer(inputs, signal) - published).abs().max().item() > 0.1


@torch.no_grad()
def test_with_rank_one_cpd_and_gate_are_the_same() -> None:
    cpd, gate = layer_of("cpd", 9, 7, 5, 1, seed=0), layer_of("gate", 9, 7, 5, 1, seed=1)
    gate.load_state_dict(
        {**cpd.state_dict(), "signal_factor": cpd.state_dict()["signal_factor"][0]}
    )
    inputs, signal = drawn(6, 9, seed=2), drawn(6, 5, seed=3)
    torch.testing.assert_close(cpd(inputs, signal), gate(inputs, signal), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("signal_dim", "rank"), [(5, 3), (3, 5), (4, 4), (8, 1)])
@torch.no_grad()
def test_the_meta_mode_has_the_rank_that_the_form_allows(signal_dim: int, rank: int) -> None:
    expected: dict[FusionForm, int] = {"gate": 1, "cpd": min(signal_dim, rank), "full": signal_dim}
    for form, meta_rank in expected.items():
        layer = layer_of(form, 9, 7, signal_dim, rank, seed=signal_dim)
        assert rank_in_the_meta_mode(meta_tensor(layer)) == meta_rank, form


@torch.no_grad()
def test_a_static_layer_ignores_the_signal() -> None:
    layer, inputs = layer_of("static", 6, 5, 4, 3, seed=0), drawn(8, 6, seed=1)
    expected = inputs @ base_of(layer)
    for width in (0, 1, 4):
        assert torch.equal(layer(inputs, drawn(8, width, seed=2)), expected)


@by_dynamic_form
@torch.no_grad()
def test_the_signal_of_a_video_steers_that_video_alone(form: FusionForm) -> None:
    layer, inputs, signal = (
        layer_of(form, 6, 5, 4, 3, seed=0),
        drawn(8, 6, seed=1),
        drawn(8, 4, seed=2),
    )
    before = layer(inputs, signal)
    signal[3] += 1
    changed = (layer(inputs, signal) - before).abs().amax(1)
    assert changed[3] > 0.1
    assert changed[[0, 1, 2, 4, 5, 6, 7]].max() < 1e-12


def variances(form: FusionForm, sizes: tuple[int, int, int, int]) -> tuple[float, float]:
    """Mean square of the static and of the dynamic part of new layers, over 40 draws."""
    static, dynamic = [], []
    for seed in range(40):
        layer = layer_of(form, *sizes, seed=seed)
        inputs, signal = drawn(64, sizes[0], seed=seed), drawn(64, sizes[2], seed=seed + 99)
        base = inputs @ base_of(layer)
        static.append(base.square().mean())
        dynamic.append((layer(inputs, signal) - base).square().mean())
    return torch.stack(static).mean().item(), torch.stack(dynamic).mean().item()


SHAPES = [(256, 64, 8, 8), (64, 65, 8, 8), (512, 32, 4, 16), (32, 256, 16, 4)]


@by_dynamic_form
@pytest.mark.parametrize("sizes", SHAPES)
@torch.no_grad()
def test_both_paths_start_with_half_of_a_unit_variance(
    form: FusionForm, sizes: tuple[int, int, int, int]
) -> None:
    static, dynamic = variances(form, sizes)
    assert static == pytest.approx(0.5, rel=0.15)
    assert dynamic == pytest.approx(0.5, rel=0.25)


@pytest.mark.parametrize("sizes", SHAPES)
@torch.no_grad()
def test_a_static_layer_starts_with_unit_variance(sizes: tuple[int, int, int, int]) -> None:
    static, dynamic = variances("static", sizes)
    assert static == pytest.approx(1, rel=0.15)
    assert dynamic == 0


@by_form
def test_every_parameter_is_learnt(form: FusionForm) -> None:
    layer = layer_of(form, 6, 5, 4, 3, seed=0)
    layer(drawn(8, 6, seed=1), drawn(8, 4, seed=2)).square().sum().backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None, name
        assert (parameter.grad != 0).all(), name


class LargestTensor(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch leaves it untyped
    """Keeps the size in bytes of the largest tensor that any operation makes, forward or back."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch leaves it untyped
        self.bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else [made]:
            if isinstance(tensor, Tensor):
                self.bytes = max(self.bytes, tensor.untyped_storage().nbytes())
        return made


@by_form
def test_no_weights_per_video_are_made_in_either_direction(form: FusionForm) -> None:
    videos, fan_in, fan_out, signal_dim, rank = 96, 40, 32, 3, 4
    layer = layer_of(form, fan_in, fan_out, signal_dim, rank, seed=0)
    inputs = drawn(videos, fan_in, seed=1).requires_grad_()
    signal = drawn(videos, signal_dim, seed=2).requires_grad_()
    with LargestTensor() as largest:
        layer(inputs, signal).square().sum().backward()
    # The most any form needs: the S maps of every video, or T itself.
    allowed = signal_dim * max(videos * fan_out, fan_in * fan_out, videos * fan_in)
    assert 0 < largest.bytes <= 8 * allowed < 8 * videos * fan_in * fan_out / 10


def test_forming_the_weights_would_be_noticed() -> None:
    layer = layer_of("gate", 40, 32, 3, 4, seed=0)
    assert isinstance(layer, GateMetaLayer)
    with LargestTensor() as largest:
        by_the_published_code(
            layer, drawn(12, 1, seed=1), drawn(96, 40, seed=2), drawn(96, 3, seed=3)
        )
    assert largest.bytes == 8 * 96 * 40 * 32
