"""S2A's parts: packing, levels of derivatives, and every operation's backward."""

from __future__ import annotations

import math
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from mnemic.errors import InputError  # noqa: E402
from mnemic.footprint.s2a import derivative_table  # noqa: E402
from mnemic.footprint.s2a import functions as fn  # noqa: E402
from mnemic.footprint.s2a.attention import Attend, Call  # noqa: E402
from mnemic.footprint.s2a.ops import Scope  # noqa: E402
from mnemic.footprint.s2a.packing import EXACT, GROUP, Once, in_groups, in_rows, pack, unpack  # noqa: E402
from mnemic.footprint.s2a.tables import histogram  # noqa: E402
from mnemic.meter import saved_bytes  # noqa: E402

# ---- packing


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("count", [1, 2, 7, 64, 129])
def test_unpack_gives_the_codes_back(bits: int, count: int) -> None:
    codes = torch.randint(0, 2**bits, (count,), dtype=torch.uint8)
    assert torch.equal(unpack(pack(codes, bits), bits, count), codes)


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 1001])
def test_four_bits_take_half_a_byte_each_and_four_bytes_per_group(count: int) -> None:
    kept = in_groups(torch.randn(count), 4)
    assert kept.nbytes == math.ceil(count / 2) + 4 * math.ceil(count / GROUP)
    assert [tensor.dtype for tensor in kept.tensors] == [torch.uint8, torch.float16, torch.float16]


def test_codes_by_hand() -> None:
    # two codes per byte, the first one in the low half: 1 + 2*16, 15 + 0*16
    assert pack(torch.tensor([1, 2, 15], dtype=torch.uint8), 4).tolist() == [33, 15]
    assert pack(torch.tensor([1, 0, 1, 1], dtype=torch.uint8), 1).tolist() == [13]


def test_rounding_is_unbiased() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, GROUP) * torch.tensor([[0.1], [5.0]])
    mean = torch.stack([in_groups(x, 4).value() for _ in range(1000)]).mean(0)
    step = (x.amax(1, keepdim=True) - x.amin(1, keepdim=True)) / 15
    z = (mean - x) / (step / 2 / 1000**0.5)  # no draw deviates by more than half a step; rounding to the nearest: 31
    assert z.abs().max() < 4.5


def test_equal_values_and_huge_ones_come_back() -> None:
    assert torch.allclose(in_groups(torch.full((70,), 3.0), 4).value(), torch.full((70,), 3.0), atol=0.01)
    assert torch.isfinite(in_groups(torch.tensor([-3.0e38, 1.0]), 4).value()).all()


def test_probabilities_keep_their_zeros_and_their_largest() -> None:
    p = torch.tensor([[0.5, 0.3, 0.2, 0.0], [1.0, 0.0, 0.0, 0.0]])
    back = in_rows(p, 4).value()
    assert torch.equal(back == 0, p == 0)
    assert torch.allclose(back, p, atol=0.5 / 15 / 2 + 1e-3)


def test_a_tensor_is_packed_once_until_it_changes() -> None:
    once, x, made = Once(), torch.randn(4, 8), []

    def form() -> int:
        made.append(1)
        return len(made)

    assert [once.get(x, ("a",), form), once.get(x.view_as(x), ("a",), form), once.get(x, ("b",), form)] == [1, 1, 2]
    x.add_(1)
    assert once.get(x, ("a",), form) == 3
    assert once.get(x[1:], ("a",), form) == 4


# ---- levels

SHEET = {1: 0.141, 2: 0.0393, 3: 0.0119, 4: 0.0031}  # squared error of GELU over [-8, 8]


@pytest.mark.parametrize("bits", SHEET)
def test_error_of_gelu(bits: int) -> None:
    table = derivative_table(F.gelu, bits)
    assert table.error == pytest.approx(SHEET[bits], rel=0.02)
    assert (len(table.borders), len(table.levels)) == (2**bits - 1, 2**bits)


def test_four_bits_of_gelu() -> None:
    table = derivative_table(F.gelu, 4)
    half = [0.16, 0.32, 0.493, 0.693, 0.933, 2.053, 2.68]
    borders = [*(-b for b in reversed(half)), 0.0, *half]
    levels = [-0.002, -0.05, -0.109, -0.023, 0.079, 0.193, 0.313, 0.436,
              0.564, 0.687, 0.807, 0.921, 1.023, 1.109, 1.05, 1.002]  # fmt: skip
    assert torch.allclose(table.borders, torch.tensor(borders, dtype=torch.float64), atol=1e-3)
    assert torch.allclose(table.levels, torch.tensor(levels, dtype=torch.float64), atol=1e-3)


def error_of(name: str, f: Any, borders: np.ndarray, levels: np.ndarray) -> float:
    """Squared error over [-8, 8] of any table, by a sum over 160,000 places."""
    x = torch.linspace(-8, 8, 160_001, dtype=torch.float64)[:-1] + 5e-5
    slope = torch.autograd.grad(f(x.requires_grad_()).sum(), x)[0].detach()
    cuts, values = (torch.tensor(each, dtype=torch.float64) for each in (borders, levels))
    found = values[torch.bucketize(x.detach(), cuts)]
    return float(((slope - found) ** 2).sum() * 1e-4)


@pytest.mark.parametrize("name", ["gelu", "silu", "hardswish", "tanh", "sigmoid", "elu"])
def test_no_published_table_is_better(name: str) -> None:
    """fewbit's tables (BSD-3) were solved for another range; over ours the dynamic program must not lose to them."""
    file = Path(os.environ.get("MNEMIC_DATA", "../shared/data")) / "fewbit" / "builtin.npz"
    if not file.is_file():
        pytest.skip("there is no fewbit/builtin.npz (skolai/fewbit, fewbit/data/) in the folder MNEMIC_DATA")
    theirs = np.load(file)
    f = getattr(F, name)
    for bits in (1, 2, 3, 4):
        key = f"{name}{bits:02d}"
        other = error_of(name, f, theirs[f"{key}-borders"][1:-1], theirs[f"{key}-levels"])
        own = derivative_table(f, bits)
        mine = error_of(name, f, own.borders.numpy(), own.levels.numpy())
        assert mine <= other * 1.001 + 1e-4
        assert mine == pytest.approx(own.error, rel=0.02, abs=1e-4)


def test_two_slopes_take_one_bit_exactly() -> None:
    table = derivative_table(F.leaky_relu, 1)
    assert (table.borders.tolist(), table.error) == ([0.0], pytest.approx(0, abs=1e-12))
    assert table.levels.tolist() == pytest.approx([0.01, 1.0])


def test_levels_follow_the_inputs() -> None:
    x = torch.randn(20_000) * 0.3 + 1.2
    plain, fitted = derivative_table(F.gelu, 2), derivative_table(F.gelu, 2, weight=histogram(x))
    slope = torch.autograd.grad(F.gelu(x.requires_grad_()).sum(), x)[0]
    levels = [t.levels.float()[torch.bucketize(x.detach(), t.borders.float())] for t in (plain, fitted)]
    assert (slope - levels[1]).pow(2).mean() < (slope - levels[0]).pow(2).mean() / 3


def test_a_derivative_that_does_not_settle_is_refused() -> None:
    with pytest.raises(InputError, match="still changes"):
        derivative_table(torch.square, 4)
    with pytest.raises(InputError, match="1 to 8 bits"):
        derivative_table(F.gelu, 9)


# ---- operations


def doubles(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


OP = fn.Op(EXACT)


@pytest.mark.parametrize("skip", [0, 2])
def test_exact_backward_is_autograds(skip: int) -> None:
    """gradcheck in double, nothing packed; skipped tokens have no gradient, as their outputs are cut off."""
    torch.manual_seed(0)
    op = fn.Op(EXACT, skip, 5)
    scale, weight = torch.rand(4, dtype=torch.float64) + 0.5, torch.randn(3, 4, dtype=torch.float64)
    x, u, shift = doubles(2, 5, 4), doubles(2, 5, 4), doubles(4)

    def cut(y: Tensor) -> Tensor:
        return y[:, skip:]

    check = torch.autograd.gradcheck
    assert check(lambda x, s: cut(fn.ShiftLayerNorm.apply(x, scale, s, 1e-5, op)), (x, shift))
    assert check(lambda x: cut(fn.ShiftLayerNorm.apply(x, None, None, 1e-5, op)), (x,))
    assert check(lambda x: cut(fn.LevelActivation.apply(x, F.gelu, None, op)), (x,))
    assert check(lambda x: cut(fn.ClampActivation.apply(x, 0.0, 6.0, op)), (x,))
    assert check(lambda x, u: cut(fn.Product.apply(x, u, op)), (x, u))
    assert check(lambda x, u: cut(fn.Product.apply(x, u, op)), (x, doubles(2, 5, 1)))
    assert check(lambda x: cut(fn.Power.apply(x, 3.0, op)), (x,))
    assert check(lambda x, b: fn.FrozenLinear.apply(x, weight, b, op), (x, doubles(3)))
    assert check(lambda x, w: fn.TrainedLinear.apply(x, w, op), (x, doubles(3, 4)))
    assert check(lambda x: fn.Softmax.apply(x, op), (x,))
    assert check(lambda a, b: fn.MatMul.apply(a, b, op), (doubles(2, 3, 4), doubles(2, 4, 2)))


@pytest.mark.parametrize("groups", [1, 2])
def test_exact_backward_of_maps(groups: int) -> None:
    torch.manual_seed(0)
    x, bias, a = doubles(2, 4, 7, 6), doubles(4), torch.rand(4, dtype=torch.float64)
    kernel = torch.randn(4, 4 // groups, 3, 3, dtype=torch.float64)
    how = ([2, 1], [1, 0], [1, 1])
    check = torch.autograd.gradcheck
    assert check(lambda x, b: fn.FrozenConv.apply(x, kernel, b, how, groups, OP), (x, bias))
    assert check(lambda x, b: fn.ShiftBatchNorm.apply(x, a, b, OP), (x, bias))
    assert check(lambda x: fn.ShapeOnly.apply(x, lambda z: F.avg_pool2d(z, 2), OP), (x,))


@pytest.mark.parametrize("window", [(2, 2, 0, 1), (3, 2, 1, 1), (3, 1, 1, 2), (5, 3, 2, 1)])
def test_max_pool_is_exact_in_a_few_bits(window: tuple[int, ...]) -> None:
    """Kernel, stride, padding, dilation."""
    x, pairs = torch.randn(2, 3, 11, 9, requires_grad=True), [(each, each) for each in window]
    y, true = fn.MaxPool.apply(x, *pairs, False, fn.Op()), F.max_pool2d(x, *window)
    dy = torch.randn_like(y)
    assert torch.equal(y, true)
    assert torch.equal(torch.autograd.grad(y, x, dy)[0], torch.autograd.grad(true, x, dy)[0])


_DRAWN = torch.Generator().manual_seed(0)  # not the shared one, which whoever was imported before has moved on
CALLS = {
    "all": Call(None, 0.5),
    "causal": Call(None, 0.5, causal=True),
    "mask": Call(torch.rand(2, 1, 5, 5, generator=_DRAWN) > 0.3, 0.5),
    "added": Call(torch.randn(2, 1, 5, 5, generator=_DRAWN), 0.5),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("prompts", [0, 2])
@pytest.mark.parametrize("chunk", [1 << 24, 1])
def test_exact_attention_is_autograds(name: str, prompts: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shared keys, masks, prompts whose queries ask nothing, one chunk or several: against attention written out.

    In float64: the two sum in another order, and what float32 loses by that differs from machine to machine.
    """
    monkeypatch.setattr("mnemic.footprint.s2a.attention._CHUNK", chunk)
    torch.manual_seed(0)
    call, n = CALLS[name], 5 + prompts
    call = Call(call.mask, call.scale, call.causal, prompts)
    drawn = partial(torch.randn, dtype=torch.float64, requires_grad=True)
    q, own, first = drawn(2, 4, n, 3), drawn(2, 2, 5, 3), drawn(1, 2, prompts, 3)
    k = torch.cat([first.expand(2, -1, -1, -1), own], 2)  # [b g n e]; prompts are the same for the whole batch
    mine = Attend.apply(q, k, k * 2, call, fn.Op(EXACT))[:, :, prompts:]
    scores = q[:, :, prompts:] @ k.repeat_interleave(2, 1).mT * 0.5
    mask = call.visible(5, 5, "cpu")
    if mask is not None:
        scores = scores.masked_fill(~mask, -1e30) if mask.dtype == torch.bool else scores + mask
    true = scores.softmax(-1) @ (k * 2).repeat_interleave(2, 1)
    assert torch.allclose(mine, true)
    dy = torch.randn_like(true)
    grads = [torch.autograd.grad(y, (q, own, first), dy, allow_unused=True) for y in (mine, true)]
    for a, b in zip(*grads, strict=True):
        assert torch.allclose(a, b)


def test_gelu_backward_is_the_level() -> None:
    """At ten thousand places."""
    x, table = torch.linspace(-9, 9, 10_000, requires_grad=True), derivative_table(F.gelu, 4)
    y = fn.LevelActivation.apply(x, F.gelu, table, fn.Op(4))
    (dx,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(y, F.gelu(x))
    assert torch.equal(dx, table.levels.float()[torch.bucketize(x.detach(), table.borders.float())])


def test_masks_of_relu6_and_dropout_are_exact_bits() -> None:
    x = torch.randn(3, 40).mul(5).requires_grad_()
    with saved_bytes(nn.Identity()) as saved:
        y = fn.ClampActivation.apply(x, 0.0, 6.0, fn.Op())
    assert saved.peak == 120 / 8
    dy = torch.randn(3, 40)
    assert torch.equal(torch.autograd.grad(y, x, dy)[0], torch.autograd.grad(F.relu6(x), x, dy)[0])
    dropped = fn.Dropout.apply(x, 0.5, fn.Op())
    assert torch.equal(torch.autograd.grad(dropped, x, torch.ones(3, 40))[0] != 0, dropped != 0)


@pytest.mark.parametrize(("bits", "least"), [(8, 0.9999), (4, 0.98), (2, 0.7)])
def test_packed_backward_points_the_same_way(bits: int, least: float) -> None:
    torch.manual_seed(0)
    x, q = torch.randn(8, 32, 64, requires_grad=True), torch.randn(4, 2, 32, 32, requires_grad=True)
    scale, shift = torch.rand(64) + 0.5, torch.zeros(64, requires_grad=True)
    table = derivative_table(F.gelu, bits)
    for run, at in (
        (lambda op: fn.ShiftLayerNorm.apply(x, scale, shift, 1e-5, op), x),
        (lambda op: fn.LevelActivation.apply(x, F.gelu, table if op.bits < EXACT else None, op), x),
        (lambda op: Attend.apply(q, q * 0.9, q * 1.1, Call(None, 0.3), op), q),
        (lambda op: fn.Product.apply(x, x * 2, op), x),
    ):
        dy = torch.randn(run(OP).shape)
        packed, exact = (torch.autograd.grad(run(fn.Op(b)), at, dy)[0].flatten() for b in (bits, EXACT))
        assert torch.cosine_similarity(packed, exact, dim=0) > least


# ---- the op list


class Everything(nn.Module):
    """Functions, methods and modules; attention written out, with one tensor saved by two operations."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(64, 64)
        self.norm, self.rms = nn.LayerNorm(64), nn.RMSNorm(64)

    def forward(self, x: Tensor) -> Tensor:
        x = self.rms(self.norm(self.inner(x)))
        p = torch.softmax(x @ x.mT / 8, -1)
        x = F.dropout(p, 0.1, self.training) @ x
        x = F.silu(x) * torch.sigmoid(x) + x.pow(2) * x.tanh()
        return F.hardswish(F.relu(x, inplace=True)) + F.group_norm(x.mT, 4).mT


def test_functions_are_caught_where_they_are_called() -> None:
    torch.manual_seed(0)
    net, x = Everything().eval(), torch.randn(4, 32, 64)
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(name.endswith("bias"))
    biases = [p for p in net.parameters() if p.requires_grad]
    with saved_bytes(net) as plain:
        true = net(x)
    grads = torch.autograd.grad(true.square().mean(), biases)
    found = {}
    for bits in (EXACT, 4):
        scope = Scope(bits)
        with saved_bytes(net) as saved, scope.over(net, None):
            y = net(x)
        assert torch.allclose(y, true, atol=1e-6)
        found[bits] = saved.peak, torch.autograd.grad(y.square().mean(), biases)
        assert bits == EXACT or {"norm.layer_norm", "softmax", "matmul", "product"} <= set(scope.sizes)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found[EXACT][1], grads, strict=True))
    assert found[4][0] < 0.2 * plain.peak


def test_p_is_shared_by_softmax_and_the_product_behind_it() -> None:
    x = torch.randn(2, 16, 64, requires_grad=True)
    scope, net = Scope(4), nn.Identity()
    with scope.over(net, None):
        p = torch.softmax(x @ x.mT, -1)
        alone = dict(scope.sizes)
        torch.matmul(p, x)
    assert scope.sizes == alone  # x was packed by the first product, p by the softmax


def test_linear_and_conv_keep_nothing_where_torchs_conv_keeps_its_input() -> None:
    linear, conv, norm = nn.Linear(8, 8), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8).eval()
    net = nn.ModuleList([linear, conv, norm])
    for module in net:
        module.weight.requires_grad_(False)
    x, maps = torch.randn(4, 8, requires_grad=True), torch.randn(2, 8, 9, 9, requires_grad=True)
    with saved_bytes(net) as plain:
        kept = conv(maps)
    with saved_bytes(net) as packed, Scope().over(net, None):
        ours = [linear(x), conv(maps), norm(maps)]
    assert (plain.peak, packed.peak) == (maps.nbytes, 8 * 4)  # the 8 factors of the norm
    assert torch.allclose(kept, ours[1], atol=1e-6)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")  # torch pads a copy: as it should
@pytest.mark.parametrize("padding", ["same", "valid", 2])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_convolutions_of_any_dimension(dims: int, padding: Any) -> None:
    torch.manual_seed(0)
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1](4, 6, (4, 3, 2)[:dims], padding=padding, groups=2).double()
    conv.weight.requires_grad_(False)
    x = torch.randn(2, 4, *(6, 7, 5)[:dims], dtype=torch.float64, requires_grad=True)
    true = conv(x)
    with Scope().over(conv, None):
        mine = conv(x)
    assert torch.allclose(mine, true)
    dy = torch.randn_like(true)
    for a, b in zip(*(torch.autograd.grad(y, (x, conv.bias), dy) for y in (mine, true)), strict=True):
        assert torch.allclose(a, b)


def test_without_gradients_everything_is_torchs_own() -> None:
    net, x = Everything().eval(), torch.randn(2, 8, 64)
    with torch.no_grad():
        true = net(x)
        with Scope().over(net, None):
            assert torch.equal(net(x), true)
