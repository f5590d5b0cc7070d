"""MobileTL's parts against hand-computed values, torch's autograd and the bytes that the graph really holds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mnemic.meter import saved_bytes

torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch")
nn = torch.nn

from mnemic.footprint.mobiletl import FixedGate, FrozenConv, ShiftNorm, SignAct, pack, unpack  # noqa: E402
from mnemic.nets.inverted_residual import SameConv2d, SqueezeExcite  # noqa: E402


def normal(*shape: int, seed: int = 0, dtype: Any = None) -> Any:
    made = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return made.requires_grad_(True)


def saved(module: Any, x: Any) -> int:
    with saved_bytes(module) as kept:
        output = module(x)
    assert output.requires_grad
    return kept.peak


def norm_with_history(channels: int) -> Any:
    """A batch norm that has seen something: no statistic and no weight is 0 or 1."""
    norm, own = nn.BatchNorm2d(channels, eps=1e-3), torch.Generator().manual_seed(3)
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            tensor.copy_(torch.rand(channels, generator=own) + 0.5)
    return norm.eval()


# ---- bits


def test_pack_by_hand() -> None:
    # the first element is the lowest bit: 1 + 4 = 5; the ninth opens a second byte
    assert pack(torch.tensor([True, False, True, *[False] * 5, True])).tolist() == [5, 1]


@pytest.mark.parametrize("shape", [(1,), (8,), (3, 5), (2, 3, 7, 7)])
def test_pack_is_numpys_and_comes_back(shape: tuple[int, ...]) -> None:
    bits = torch.rand(shape, generator=torch.Generator().manual_seed(1)) > 0.5
    packed = pack(bits)
    assert packed.tolist() == np.packbits(bits.numpy(), bitorder="little").tolist()
    assert packed.numel() == math.ceil(bits.numel() / 8)
    assert torch.equal(unpack(packed, bits.shape), bits)


# ---- activations


@pytest.mark.parametrize("act", [nn.ReLU6(), nn.ReLU6(inplace=True), nn.ReLU(), nn.Hardtanh(-1.0, 2.0)])
def test_gates_are_bit_exact(act: Any) -> None:
    values = torch.cat([torch.tensor([-1.0, 0.0, 2.0, 6.0, 5.999]), 4 * torch.randn(500)])  # the edges too
    mine, theirs = values.clone().requires_grad_(True), values.clone().requires_grad_(True)
    grad = torch.randn(505)
    ours, plain = SignAct(act)(mine), act(theirs.clone())
    ours.backward(grad)
    plain.backward(grad)
    assert torch.equal(ours, plain)
    assert torch.equal(mine.grad, theirs.grad)


def test_gates_pass_gradcheck() -> None:
    x = torch.tensor([-3.0, -0.5, 0.5, 3.0, 5.5, 7.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(SignAct(nn.ReLU6()), (x,))


def test_hard_swish_by_hand() -> None:
    # forward x * relu6(x+3) / 6; the bit is 1[x > 0]: the gradient passes whole or not at all
    x = torch.tensor([-4.0, -1.0, 0.0, 1.0, 4.0], requires_grad=True)
    y = SignAct(nn.Hardswish(inplace=True))(x)
    y.backward(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert y.tolist() == pytest.approx([0.0, -1 / 3, 0.0, 2 / 3, 4.0])
    assert x.grad.tolist() == [0.0, 0.0, 0.0, 4.0, 5.0]


def test_threshold_moves_the_bit() -> None:
    x = torch.tensor([-1.0, -0.4, 0.4], requires_grad=True)
    SignAct(nn.SiLU(), threshold=-0.5)(x).sum().backward()
    assert x.grad.tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize(("threshold", "by_hand"), [(0.0, 0.901), (-0.5, 0.927)])
def test_hard_swish_against_its_derivative(threshold: float, by_hand: float) -> None:
    """On N(0, 1): E[h' b] / sqrt(E[h'^2] E[b]), with h' = (2x+3)/6. At 0: (2 phi(0) + 3/2)/6 / sqrt(13/36 * 1/2)."""
    x, mine = normal(400_000), normal(400_000)
    nn.functional.hardswish(x).sum().backward()
    SignAct(nn.Hardswish(), threshold)(mine).sum().backward()
    assert nn.functional.cosine_similarity(x.grad, mine.grad, dim=0).item() == pytest.approx(by_hand, abs=0.003)


def test_an_activation_keeps_a_bit_per_element() -> None:
    x = normal(2, 8, 4, 4)
    assert saved(SignAct(nn.ReLU6()), x) == 2 * 8 * 4 * 4 // 8
    assert saved(nn.ReLU6(), x) == 2 * 8 * 4 * 4 * 4


# ---- norms


def test_shift_norm_is_batch_norm_with_fixed_statistics() -> None:
    norm, x = norm_with_history(3), normal(4, 3, 5, 5)
    twin, grad = x.detach().clone().requires_grad_(True), normal(4, 3, 5, 5, seed=9).detach()
    shift = ShiftNorm(norm)
    y, plain = shift(x), norm(twin)
    y.backward(grad)
    plain.backward(grad)
    torch.testing.assert_close(y, plain)
    torch.testing.assert_close(x.grad, twin.grad)
    torch.testing.assert_close(shift.b.grad.flatten(), norm.bias.grad)


def test_shift_norm_by_hand() -> None:
    # a = 2 / sqrt(3 + 1) = 1, b = 5 - 4*1 = 1
    norm = nn.BatchNorm2d(1, eps=1.0)
    for tensor, value in ((norm.weight, 2.0), (norm.bias, 5.0), (norm.running_mean, 4.0), (norm.running_var, 3.0)):
        tensor.data.fill_(value)
    shift = ShiftNorm(norm)
    assert (shift.a.item(), shift.b.item()) == (1.0, 1.0)
    assert shift(torch.full((1, 1, 1, 1), 7.0)).item() == 8.0


def test_shift_norm_keeps_nothing_and_a_frozen_batch_norm_all() -> None:
    norm, x = norm_with_history(3), normal(4, 3, 5, 5)
    assert saved(ShiftNorm(norm), x) == 0
    assert saved(norm.requires_grad_(False), x) >= 4 * x.numel()  # what a frozen gamma does not save


def test_exported_norm_has_the_shift_in_its_bias() -> None:
    norm, x = norm_with_history(3), normal(4, 3, 5, 5)
    shift = ShiftNorm(norm)
    with torch.no_grad():
        shift.b += 0.3
    plain = shift.exported()
    assert type(plain) is nn.BatchNorm2d
    torch.testing.assert_close(plain.bias, norm.bias + 0.3)
    torch.testing.assert_close(plain(x), shift(x))


# ---- frozen modules


@pytest.mark.parametrize(
    "conv", [nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, padding=1, groups=4), SameConv2d(3, 4, 3, 2, bias=False)]
)
def test_frozen_conv_has_the_gradient_and_keeps_nothing(conv: Any) -> None:
    conv = conv.requires_grad_(False)
    x = normal(2, conv.in_channels, 6, 6)
    twin, frozen = x.detach().clone().requires_grad_(True), FrozenConv(conv)
    frozen(x).square().sum().backward()
    conv(twin).square().sum().backward()
    torch.testing.assert_close(x.grad, twin.grad)
    assert saved(frozen, x) == 0
    assert saved(conv, x) >= 4 * x.numel()  # torch keeps the input of a frozen convolution
    assert frozen.stride == conv.stride


def test_frozen_conv_passes_gradcheck() -> None:
    conv = SameConv2d(2, 3, 3, 2).double().requires_grad_(False)
    assert torch.autograd.gradcheck(FrozenConv(conv), (normal(1, 2, 4, 4, dtype=torch.float64),))


def test_fixed_gate_counts_gates_as_constants() -> None:
    se, x = SqueezeExcite(4, 8), normal(2, 4, 3, 3)
    y = FixedGate(se)(x)
    gates = se(torch.ones_like(x) * x.detach().mean((2, 3), keepdim=True)) / x.detach().mean((2, 3), keepdim=True)
    y.backward(torch.ones_like(y))
    torch.testing.assert_close(y, se(x))
    torch.testing.assert_close(x.grad, gates.detach(), rtol=1e-4, atol=1e-5)
    assert saved(FixedGate(se), x) == 2 * 4 * 4  # one gate per image and channel
