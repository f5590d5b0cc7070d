"""MobileTL as a whole: what is trained, what is kept, what is saved, on networks of several libraries' making."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnemic.errors import InputError, MnemicError

torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch")
nn = torch.nn

import sample_mobiletl as sample  # noqa: E402

from mnemic.footprint.mobiletl import MobileTL, ShiftNorm, SignAct, memory_report, plan  # noqa: E402
from mnemic.nets.efficientnet import efficientnet_lite0  # noqa: E402
from mnemic.nets.mobilenet import mobilenet_v3  # noqa: E402

tiny, batch = sample.tiny, sample.batch

ORDINARY: dict[str, Any] = {"inner_norm": "full", "act_backward": "exact"}  # blocks as torch tunes them


def step(model: Any, item: dict[str, Any] | None = None) -> None:
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model.train()
    model(**(item or batch()))["loss"].backward()
    optimizer.step()
    optimizer.zero_grad()


def logits(model: Any, item: dict[str, Any] | None = None) -> Any:
    with torch.no_grad():
        found = model.eval()((item or batch())["pixel_values"])
    return found if torch.is_tensor(found) else found["logits"]


# ---- networks of several makes


def conv_norm(c: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1, act: Any = None) -> Any:
    parts = [nn.Conv2d(c, out, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(out)]
    return nn.Sequential(*parts, act()) if act else nn.Sequential(*parts)


class Sequenced(nn.Module):
    """A block that is one nn.Sequential of nn.Sequentials, as torchvision writes it."""

    def __init__(self, c: int, hidden: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.skips = stride == 1 and c == out
        self.conv = nn.Sequential(
            conv_norm(c, hidden, act=nn.ReLU6), conv_norm(hidden, hidden, 3, stride, hidden, nn.ReLU6),
            nn.Conv2d(hidden, out, 1, bias=False), nn.BatchNorm2d(out),
        )  # fmt: skip

    def forward(self, x: Any) -> Any:
        return x + self.conv(x) if self.skips else self.conv(x)


class NormAct(nn.BatchNorm2d):
    """A norm that carries its activation, as timm writes it."""

    def __init__(self, channels: int, act: Any = nn.SiLU) -> None:
        super().__init__(channels)
        self.drop, self.act = nn.Identity(), act()

    def forward(self, x: Any) -> Any:
        return self.act(self.drop(super().forward(x)))


class Attributes(nn.Module):
    """A block of attributes with squeeze-and-excitation, as timm writes it."""

    def __init__(self, c: int, hidden: int) -> None:
        super().__init__()
        self.conv_pw, self.bn1 = nn.Conv2d(c, hidden, 1, bias=False), NormAct(hidden)
        self.conv_dw, self.bn2 = nn.Conv2d(hidden, hidden, 3, 1, 1, groups=hidden, bias=False), NormAct(hidden)
        self.se = Squeeze(hidden)
        self.conv_pwl, self.bn3 = nn.Conv2d(hidden, c, 1, bias=False), NormAct(c, nn.Identity)

    def forward(self, x: Any) -> Any:
        return x + self.bn3(self.conv_pwl(self.se(self.bn2(self.conv_dw(self.bn1(self.conv_pw(x)))))))


class Squeeze(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.reduce, self.act, self.expand, self.gate = nn.Conv2d(c, 4, 1), nn.SiLU(), nn.Conv2d(4, c, 1), nn.Sigmoid()

    def forward(self, x: Any) -> Any:
        return x * self.gate(self.expand(self.act(self.reduce(x.mean((2, 3), keepdim=True)))))


def sequenced() -> Any:
    torch.manual_seed(0)
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(24, 3)]
    blocks = [Sequenced(8, 32, 12, 2), Sequenced(12, 48, 12)]
    return nn.Sequential(conv_norm(3, 8, 3, 2, act=nn.ReLU6), *blocks, conv_norm(12, 24, act=nn.ReLU6), *pool)


def attributes() -> Any:
    torch.manual_seed(0)
    blocks = [Attributes(8, 24), Attributes(8, 24)]
    return nn.Sequential(conv_norm(3, 8, 3, 2, act=nn.SiLU), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(8, 3))  # fmt: skip


def hf_mobilenet() -> Any:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.MobileNetV2Config(depth_multiplier=0.25, tf_padding=False, num_labels=3)
    return transformers.MobileNetV2ForImageClassification(config)


def hf_efficientnet() -> Any:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    small = {"width_coefficient": 0.25, "depth_coefficient": 0.1, "hidden_dim": 320}
    return transformers.EfficientNetForImageClassification(transformers.EfficientNetConfig(num_labels=3, **small))


MAKES = {
    "ours": (lambda: tiny(3), 3), "torchvision": (sequenced, 2), "timm": (attributes, 2),
    "transformers MobileNetV2": (hf_mobilenet, 17), "transformers EfficientNet": (hf_efficientnet, 7),
}  # fmt: skip


@pytest.mark.parametrize("make", MAKES)
def test_blocks_are_found_trained_and_exported(make: str, tmp_path: Path) -> None:
    build, count = MAKES[make]
    item = batch() | {"pixel_values": torch.randn(4, 3, 96, 96, generator=torch.Generator().manual_seed(1))}
    net = build().eval()
    before = logits(net, item)
    model = MobileTL(net, top_blocks=2)
    assert len(model.plan.blocks) == count
    torch.testing.assert_close(logits(model, item), before, rtol=1e-3, atol=1e-4)  # the rewrite changes no number
    ordinary = MobileTL(build().eval(), top_blocks=2, **ORDINARY)
    assert memory_report(model, item).blocks < 0.6 * memory_report(ordinary, item).blocks
    step(model, item)
    assert not torch.equal(logits(model, item), before)
    plain = model.export()
    assert not any(isinstance(module, ShiftNorm | SignAct) for module in plain.modules())
    assert [type(module) for module in plain.modules()] == [type(module) for module in build().modules()]
    torch.testing.assert_close(logits(plain, item), logits(model, item), rtol=1e-3, atol=1e-4)
    model.save(tmp_path / "part.safetensors")
    again = MobileTL.load(tmp_path / "part.safetensors", build().eval())
    assert torch.equal(logits(again, item), logits(model, item))


def test_lite0_has_sixteen_blocks_and_the_first_does_not_expand() -> None:
    found = plan(efficientnet_lite0(trained=False))
    assert [len(block.convs) for block in found.blocks] == [2] + [3] * 15
    assert found.blocks[-1].convs == ("blocks.15.pw1", "blocks.15.dw", "blocks.15.pw2")
    assert [event.name for event in found.neck] == ["head.0", "head.1", "head.2"]
    assert found.width == 1280


def test_looking_changes_nothing() -> None:
    net = tiny().train()
    net.blocks[0].eval()
    before = [(module.training, len(module._forward_pre_hooks)) for module in net.modules()]
    statistics = net.stem[1].running_mean.clone()
    plan(net)
    assert [(module.training, len(module._forward_pre_hooks)) for module in net.modules()] == before
    assert torch.equal(net.stem[1].running_mean, statistics)


def test_the_published_class_shares_one_activation() -> None:
    reference = pytest.importorskip("efficientnet_lite_pytorch")
    net = reference.EfficientNet.from_name("efficientnet-lite0").eval()
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before = net(images)
        model = MobileTL(net, top_blocks=1)
        torch.testing.assert_close(model.eval()(images)["logits"], before, rtol=1e-3, atol=1e-4)
    assert len(model.plan.blocks) == 16


def test_padding_that_asks_the_convolution_still_can() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.MobileNetV2Config(depth_multiplier=0.25, tf_padding=True, num_labels=3)
    model = MobileTL(transformers.MobileNetV2ForImageClassification(config), top_blocks=2, convs=False)
    step(model)
    assert memory_report(model, batch()).per_block[0].measured < 10_000


def test_squeeze_and_excitation_is_found_in_mobilenet_v3() -> None:
    found = plan(mobilenet_v3(width=0.35))
    assert len(found.blocks) == 11
    assert [block.se for block in found.blocks[:4]] == ["blocks.0.se", "", "", "blocks.3.se"]


# ---- what does not fit


class Functional(Sequenced):
    """Activations by function calls: nothing to put another backward in."""

    def forward(self, x: Any) -> Any:
        (a, b, _), (c, d, _), e, f = self.conv
        relu6 = nn.functional.relu6
        return f(e(relu6(d(c(relu6(b(a(x))))))))


def test_networks_without_such_blocks_are_refused() -> None:
    separable = nn.Sequential(conv_norm(3, 8, 3), conv_norm(8, 8, 3, 1, 8, nn.ReLU6), conv_norm(8, 8, act=nn.ReLU6))
    functional = nn.Sequential(conv_norm(3, 8, 3), Functional(8, 32, 8))
    for net in (separable, functional, nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())):
        with pytest.raises(InputError, match="no inverted residual block"):
            MobileTL(net, classes=3)
    with pytest.raises(InputError, match="no convolution"):
        MobileTL(nn.Linear(3, 4), classes=3)


def test_a_vision_transformer_is_refused_whatever_size_it_takes() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
                                    image_size=16, patch_size=8)  # fmt: skip
    vit = transformers.ViTModel(config)
    with pytest.raises(InputError, match="ViTModel cannot be run on one image of 128 x 128"):
        MobileTL(vit, classes=3)


def test_only_blocks_above_a_gap_count() -> None:
    net = nn.Sequential(Sequenced(3, 8, 8), Sequenced(8, 16, 8), conv_norm(8, 8, 3, act=nn.ReLU6), Sequenced(8, 16, 8))
    assert [block.name for block in plan(net).blocks] == ["3.conv"]
    with pytest.raises(InputError, match="set top_blocks from 0 to 1"):
        MobileTL(net, top_blocks=2, classes=3)


def test_a_converted_network_is_not_converted_again() -> None:
    model = MobileTL(tiny(), top_blocks=1, classes=3)
    with pytest.raises(InputError, match=r"\"blocks\.2\.dw\" runs behind the last"):
        MobileTL(model.backbone, top_blocks=1, classes=3)
    MobileTL(model.export().backbone, top_blocks=1, classes=3)  # a plain network again


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"top_blocks": 4}, "has 3 inverted residual blocks at its top"), ({"top_blocks": -1}, "give 0"),
        ({"inner_norm": "none"}, "use shift or fixed or full"), ({"classes": None}, "classes=10"),
    ],
)  # fmt: skip
def test_wrong_options_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        MobileTL(tiny(), **{"classes": 3, **options})


def test_a_second_classifier_is_refused() -> None:
    with pytest.raises(InputError, match=r"brings a classifier \(classifier\)"):
        MobileTL(tiny(1000), classes=3)


def test_open_squeeze_and_excitation_cannot_be_frozen() -> None:
    class Open(Attributes):
        def forward(self, x: Any) -> Any:
            inner = self.bn2(self.conv_dw(self.bn1(self.conv_pw(x))))
            se = self.se
            inner = inner * se.gate(se.expand(se.act(se.reduce(inner.mean((2, 3), keepdim=True)))))
            return x + self.bn3(self.conv_pwl(inner))

    def flat() -> Any:
        block = Open(8, 24)
        block.reduce, block.expand = block.se.reduce, block.se.expand  # found first: open in the block
        del block._modules["se"]
        object.__setattr__(block, "se", Squeeze(24))
        block.se.reduce, block.se.expand = block.reduce, block.expand
        return nn.Sequential(conv_norm(3, 8, 3, 2, act=nn.SiLU), block)

    assert MobileTL(flat(), top_blocks=1, classes=3).blocks[0].pooled == ("1.reduce", "1.expand")
    with pytest.raises(InputError, match="no module of its own"):
        MobileTL(flat(), top_blocks=1, classes=3, se="frozen")


# ---- what is trained


def test_what_is_trained_by_name() -> None:
    model = MobileTL(tiny(), top_blocks=1, classes=3)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained == {
        "backbone.blocks.2.pw1.weight", "backbone.blocks.2.bn1.b", "backbone.blocks.2.dw.weight",
        "backbone.blocks.2.bn2.b", "backbone.blocks.2.pw2.weight", "backbone.blocks.2.bn3.weight",
        "backbone.blocks.2.bn3.bias", "backbone.head.0.weight", "backbone.head.1.b", "head.weight", "head.bias",
    }  # fmt: skip
    assert set(model.small_part()) == trained | {
        f"backbone.blocks.2.bn3.{which}" for which in ("running_mean", "running_var", "num_batches_tracked")
    }


def test_only_the_last_norms_of_tuned_blocks_move() -> None:
    net = tiny()
    model = MobileTL(net, top_blocks=1, classes=3)
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    step(model)
    moved = {name for name, buffer in net.named_buffers() if not torch.equal(buffer, before[name])}
    assert moved == {f"blocks.2.bn3.{which}" for which in ("running_mean", "running_var", "num_batches_tracked")}
    model.eval()
    assert not any(module.training for module in model.modules())


def test_one_image_leaves_the_statistics_alone() -> None:
    model = MobileTL(tiny(), top_blocks=1, classes=3)
    before = model.backbone.blocks[2].bn3.running_mean.clone()
    step(model, batch(images=1))
    assert torch.equal(model.backbone.blocks[2].bn3.running_mean, before)


def test_no_blocks_is_a_linear_probe() -> None:
    model = MobileTL(tiny(), top_blocks=0, classes=3)
    assert set(model.small_part()) == {"head.weight", "head.bias"}
    assert model.used(batch()).parts["saved"] < 1000  # pooled features and probabilities


def test_gradients_are_those_of_fixed_norms() -> None:
    """With ReLU6 nothing is approximated: every gradient is autograd's through batch norms in evaluation."""
    torch.manual_seed(0)
    mine = MobileTL(tiny(), top_blocks=2, classes=3)
    theirs = MobileTL(tiny(), top_blocks=2, classes=3, inner_norm="fixed", act_backward="exact")
    theirs.head.load_state_dict(mine.head.state_dict())
    for model in (mine, theirs):
        model(**batch())["loss"].backward()
    wanted = {name: parameter.grad for name, parameter in theirs.named_parameters() if parameter.grad is not None}
    for name, parameter in mine.named_parameters():
        if parameter.grad is not None:
            twin = wanted[name + "ias" if name.endswith(".b") else name]  # the shift b is the bias of the norm
            torch.testing.assert_close(parameter.grad.flatten(), twin.flatten(), rtol=1e-4, atol=1e-6)


def test_a_gradient_that_was_not_asked_for_is_noticed() -> None:
    model = MobileTL(tiny(), top_blocks=1, classes=3)
    model.backbone.blocks[0].dw.weight.requires_grad_(True)
    with pytest.raises(MnemicError, match=r"blocks\.0\.dw\.weight"):
        model(**batch())


@pytest.mark.parametrize("se", ["train", "frozen"])
def test_squeeze_and_excitation_is_trained_or_kept(se: Any) -> None:
    model = MobileTL(tiny(act=nn.Hardswish, se=True), top_blocks=2, classes=3, se=se)
    weight = model.backbone.get_parameter(f"blocks.2.se.{'' if se == 'train' else 'se.'}reduce.weight")
    before = weight.clone()
    step(model)
    assert torch.equal(weight, before) is (se == "frozen")


def test_frozen_gates_save_the_map() -> None:
    reports = [memory_report(MobileTL(tiny(act=nn.Hardswish, se=True), classes=3, top_blocks=2, se=se), batch())
               for se in ("train", "frozen")]  # fmt: skip
    assert reports[1].blocks < 0.85 * reports[0].blocks


def test_half_precision_backbone_is_tuned_in_float32() -> None:
    model = MobileTL(tiny().to(torch.bfloat16), top_blocks=2, classes=3)
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    assert model.backbone.stem[0].weight.dtype == torch.bfloat16
    before = logits(model)
    step(model)
    assert not torch.equal(logits(model), before)
    probe = MobileTL(tiny(3).to(torch.bfloat16), top_blocks=0)
    step(probe)


def test_autocast_trains() -> None:
    model = MobileTL(tiny(), top_blocks=2, classes=3)
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(**batch())["loss"]
    loss.backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


# ---- maps computed once (as the claim does)


def test_tuning_the_upper_part_on_cached_maps_is_tuning_the_network() -> None:
    from mnemic.bench.transfer import Task
    from mnemic.claims.mobiletl import Upper, cached

    net, images = tiny(), list(np.random.default_rng(0).integers(0, 255, (8, 16, 16, 3), np.uint8))
    labels = np.arange(8) % 3
    task = Task("digits", 3, (images, labels), (images, labels))
    maps = cached(net, task, {2})[2]
    torch.manual_seed(0)
    upper = MobileTL(Upper(net, 2), top_blocks=2, classes=3)
    whole = MobileTL(net, top_blocks=2, classes=3)
    whole.head.load_state_dict(upper.head.state_dict())
    for model, items in ((upper, maps), (whole, task)):
        step(model, items.batch(*items.train, range(8)))
    after = [logits(model, items.batch(*items.test, range(8))) for model, items in ((upper, maps), (whole, task))]
    torch.testing.assert_close(*after, rtol=1e-4, atol=1e-5)


# ---- files, training loops


def test_another_backbone_is_refused(tmp_path: Path) -> None:
    model = MobileTL(tiny(), top_blocks=1, classes=3)
    model.save(tmp_path / "part.safetensors")
    other = tiny()
    with torch.no_grad():
        other.stem[0].weight += 1
    with pytest.raises(InputError, match="another backbone"):
        MobileTL.load(tmp_path / "part.safetensors", other)


def test_a_copy_is_its_own() -> None:
    model = MobileTL(tiny(), top_blocks=1, classes=3)
    twin = copy.deepcopy(model)
    before = logits(model)
    step(twin)
    assert torch.equal(logits(model), before)
    assert not torch.equal(logits(twin), before)


def test_exported_classifier_is_a_plain_network() -> None:
    model = MobileTL(tiny(), top_blocks=2, classes=3, convs=False)
    step(model)
    plain = model.export()
    torch.testing.assert_close(logits(plain), logits(model), rtol=1e-4, atol=1e-5)
    assert {type(module).__module__.split(".")[0] for module in plain.backbone.modules()} <= {"torch", "mnemic"}
    assert not any(isinstance(module, ShiftNorm | SignAct) for module in plain.modules())


def test_trainer_trains_it(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    model = MobileTL(tiny(), top_blocks=2, classes=3)
    rows = [
        {"pixel_values": image, "labels": label}
        for n in range(4)
        for image, label in zip(*batch(n).values(), strict=True)
    ]
    arguments = transformers.TrainingArguments(
        str(tmp_path), max_steps=6, per_device_train_batch_size=4, learning_rate=1e-2, report_to=[], save_strategy="no",
        use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    before = logits(model)
    transformers.Trainer(model, arguments, train_dataset=rows).train()
    assert not torch.equal(logits(model), before)
