"""MobileNetV3-style networks: structure and the parts they share with EfficientNet-Lite."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch")
nn = torch.nn

from mnemic.nets.inverted_residual import SameConv2d, SqueezeExcite  # noqa: E402
from mnemic.nets.mobilenet import mobilenet_v3  # noqa: E402


@pytest.mark.parametrize(("width", "se"), [(1.0, True), (0.35, True), (0.35, False)])
def test_shapes_and_parts(width: float, se: bool) -> None:
    net = mobilenet_v3(5, width=width, se=se)
    assert net(torch.zeros(2, 3, 64, 64)).shape == (2, 5)
    assert sum(isinstance(m, SqueezeExcite) for m in net.modules()) == (9 if se else 0)
    assert sum(isinstance(m, nn.Hardswish) for m in net.modules()) == 17 + 1  # 8 blocks of two, stem, head


def test_parameters_of_the_small_network() -> None:
    """The paper's V3-small has 2.54 M parameters, of them 1.6 M in the two layers behind the pooled map."""
    assert abs(sum(p.numel() for p in mobilenet_v3().parameters()) / 1e6 - 0.927) < 0.01


def test_same_seed_same_net() -> None:
    one, two, other = (mobilenet_v3(width=0.35, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.head[0].weight, two.head[0].weight)
    assert not torch.equal(one.head[0].weight, other.head[0].weight)


def test_padding_by_hand() -> None:
    # size 4, kernel 3, stride 2: two outputs, (2-1)*2+3-4 = 1 to pad, all of it at the end.
    conv = SameConv2d(1, 1, 3, 2, bias=False)
    nn.init.ones_(conv.weight)
    image = torch.arange(16.0).view(1, 1, 4, 4)
    assert conv(image).flatten().tolist() == [45.0, 39.0, 66.0, 50.0]


def test_squeeze_excite_by_hand() -> None:
    # both means are 2; reduce sums to 4; expand gives 4 and 0; hard sigmoid: 1 and 1/2
    se = SqueezeExcite(2, 1)
    for parameter, values in zip(se.parameters(), ([[1.0, 1.0]], [0.0], [[1.0], [0.0]], [0.0, 0.0]), strict=True):
        parameter.data.copy_(torch.tensor(values).view_as(parameter))
    assert se(torch.full((1, 2, 1, 2), 2.0)).flatten().tolist() == [2.0, 2.0, 1.0, 1.0]
