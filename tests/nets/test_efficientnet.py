"""EfficientNet-Lite0 against the package that published its weights."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch")

from mnemic import data  # noqa: E402
from mnemic.errors import DataMissing  # noqa: E402
from mnemic.nets.efficientnet import efficientnet_lite0  # noqa: E402


def weights_or_skip() -> str:
    try:
        return str(data.path("efficientnet_lite0", "weights"))
    except DataMissing as error:
        pytest.skip(str(error))


def test_equals_the_published_network() -> None:
    reference = pytest.importorskip("efficientnet_lite_pytorch")
    path = weights_or_skip()
    theirs = reference.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    ours = efficientnet_lite0(1000)
    for size in (224, 96):  # odd paddings at both; the reference pads for 224
        images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(size))
        with torch.no_grad():
            assert torch.allclose(ours(images), theirs(images), atol=1e-5, rtol=1e-5)


def test_without_classifier_it_gives_pooled_features() -> None:
    net = efficientnet_lite0(trained=False)
    with torch.no_grad():
        assert net(torch.zeros(2, 3, 64, 64)).shape == (2, 1280)


def test_parameters_as_published() -> None:
    """4,652,008 with ImageNet's classifier (1,281,000): what the file of the weights holds."""
    assert sum(p.numel() for p in efficientnet_lite0(1000, trained=False).parameters()) == 4_652_008


def test_maps_of_the_stages() -> None:
    net = efficientnet_lite0(trained=False)
    with torch.no_grad():
        maps = net.features(torch.zeros(1, 3, 96, 96))
    assert [tuple(each.shape[1:]) for each in maps] == [
        (16, 48, 48), (24, 24, 24), (40, 12, 12), (80, 6, 6), (112, 6, 6), (192, 3, 3), (320, 3, 3),
    ]  # fmt: skip


def test_new_classifier_on_the_trained_network() -> None:
    weights_or_skip()
    net, with_all = efficientnet_lite0(10), efficientnet_lite0(1000)
    assert torch.equal(net.blocks[3].pw1.weight, with_all.blocks[3].pw1.weight)
    assert net.classifier.weight.shape == (10, 1280)
