"""Greenformers: factors against singular values, units against the layers they replace, the planner, costs."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from mnemic.errors import BudgetError, InputError  # noqa: E402
from mnemic.footprint.greenformers import (  # noqa: E402
    CED,
    LED,
    Greenformer,
    LinformerAttention,
    auto_fact,
    break_even,
    covariances,
    crossover,
    dense_macs,
    linformer_macs,
    lrt_macs,
    plan,
    report,
    sweep,
)  # fmt: skip
from mnemic.footprint.greenformers.solvers import factors  # noqa: E402


@pytest.mark.parametrize(
    ("layer", "rank"),
    [(nn.Linear(768, 768), 384), (nn.Linear(768, 3072), 614), (nn.Linear(3, 5), 1),
     (nn.Conv2d(8, 16, 3), 8 * 9 * 16 // (72 + 16)), (nn.Conv2d(8, 8, 3, groups=8), 7)],
)  # fmt: skip
def test_break_even_by_hand(layer, rank):
    assert break_even(layer) == rank


def test_break_even_of_the_reference_leaves_the_kernel_out():
    assert break_even(nn.Conv2d(8, 16, 3), kernel=False) == 5  # 8*16/24


@pytest.mark.parametrize("solver", ["svd", "balanced"])
def test_svd_misses_the_tail_of_the_singular_values(solver):
    weight = torch.randn(12, 20)
    decoder, encoder = factors(weight, 5, solver)
    tail = torch.linalg.svdvals(weight)[5:].square().sum()
    assert torch.allclose((weight - decoder @ encoder).square().sum(), tail, rtol=1e-4)


def test_balanced_factors_are_equally_large():
    decoder, encoder = factors(torch.randn(12, 20), 5, "balanced")
    assert torch.allclose(decoder.norm(dim=0), encoder.norm(dim=1), rtol=1e-4)


def test_a_sketch_of_a_large_matrix_is_seeded(monkeypatch):
    monkeypatch.setattr("mnemic.footprint.greenformers.solvers._FULL", 8)
    weight = torch.randn(30, 40)
    first, again = factors(weight, 4, seed=3), factors(weight, 4, seed=3)
    tail = torch.linalg.svdvals(weight)[4:].square().sum()
    assert torch.equal(first[0], again[0])
    assert torch.allclose((weight - first[0] @ first[1]).square().sum(), tail, rtol=1e-2)


def test_whitening_has_less_error_on_the_inputs():
    torch.manual_seed(0)
    weight, x = torch.randn(16, 16), torch.randn(500, 16) * torch.logspace(0, -3, 16)
    plain, seen = factors(weight, 4), factors(weight, 4, covariance=x.T @ x / 500)
    miss = [float((x @ (weight - d @ e).T).norm()) for d, e in (plain, seen)]
    assert miss[1] < 0.7 * miss[0]


def test_nmf_keeps_signs_where_it_promises():
    weight = torch.rand(10, 3) @ torch.rand(3, 12)
    decoder, encoder = factors(weight, 3, "nmf", num_iter=300)
    assert min(float(decoder.min()), float(encoder.min())) >= 0
    assert float((weight - decoder @ encoder).norm() / weight.norm()) < 0.05
    mixed = torch.randn(10, 12)
    errors = []
    for iterations in (1, 200):
        decoder, encoder = factors(mixed, 6, "snmf", num_iter=iterations)
        assert bool((decoder >= 0).all())
        errors.append(float((mixed - decoder @ encoder).norm()))
    assert errors[1] < errors[0]
    with pytest.raises(InputError, match="use snmf"):
        factors(mixed, 3, "nmf")


def near(mine: Tensor, right: Tensor) -> bool:
    """Equal but for the rounding of float32, which goes with what is summed: a sum may be as small as it likes."""
    return bool((mine - right).abs().max() <= 1e-5 * right.abs().max())


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(nn.Conv1d(6, 8, 3, padding=1, stride=2), (2, 6, 9)), (nn.Conv2d(6, 8, 3, padding="same", dilation=2),
     (2, 6, 9, 9)),
     (nn.Conv2d(8, 12, 3, groups=2, bias=False), (2, 8, 7, 7)), (nn.Conv3d(4, 6, 2), (1, 4, 4, 4, 4))],
)  # fmt: skip
def test_convolutions_of_low_rank_are_factorised_exactly(layer, shape):
    groups, out = layer.groups, layer.out_channels // layer.groups
    with torch.no_grad():  # rank 2 in each group
        low = torch.randn(groups, out, 2) @ torch.randn(groups, 2, layer.weight[0].numel())
        layer.weight.copy_(low.reshape(layer.weight.shape))
    unit, x = auto_fact(layer, 2 * groups), torch.randn(shape)
    assert isinstance(unit, CED)
    assert near(unit(x), layer(x))


def test_conv1d_of_transformers_is_transposed():
    from transformers.pytorch_utils import Conv1D

    layer = Conv1D(10, 6)  # [in 6, out 10]
    with torch.no_grad():
        layer.weight.copy_(torch.randn(6, 2) @ torch.randn(2, 10))
    x = torch.randn(3, 4, 6).transpose(0, 1)  # not contiguous: the layer itself refuses that
    assert near(auto_fact(layer, 2)(x), layer(x.contiguous()))


def test_parameters_are_those_of_the_formula():
    model = nn.Sequential(nn.Linear(40, 40), nn.Linear(40, 160), nn.LayerNorm(160))
    small = auto_fact(model, 8, deepcopy=True)
    left = 40 + 160 + 2 * 160
    assert sum(p.numel() for p in small.parameters()) == 8 * (40 + 40) + 8 * (40 + 160) + left
    assert [type(each[0]) for each in (model, small)] == [nn.Linear, LED]


def test_a_rank_that_does_not_pay_leaves_the_layer():
    layer = nn.Linear(10, 10)
    assert [auto_fact(layer, rank) for rank in (5, 0.1)] == [layer, layer]
    with pytest.raises(InputError, match="share between 0 and 1"):
        auto_fact(layer, 1.5)


def test_only_named_submodules_and_existing_units_stay():
    model = nn.Sequential(nn.Linear(20, 20), nn.Sequential(nn.Linear(20, 20)))
    small = auto_fact(model, 4, submodules=[model[1]], deepcopy=True)
    assert [type(small[0]), type(small[1][0])] == [nn.Linear, LED]
    assert auto_fact(small[1], 2)[0].rank == 4
    assert auto_fact(small[1], 2, fact_led_unit=True)[0].rank == 2


def test_shared_and_reparametrized_layers_stay():
    model = nn.ModuleDict({"embed": nn.Embedding(30, 20), "head": nn.Linear(20, 30),
                           "normed": torch.nn.utils.parametrizations.weight_norm(nn.Linear(20, 20))})  # fmt: skip
    model["head"].weight = model["embed"].weight
    with pytest.warns(UserWarning, match="head share"):
        small = auto_fact(model, 2)
    assert not any(isinstance(module, LED) for module in small.modules())


def test_type_follows_the_layer():
    unit = auto_fact(nn.Linear(20, 20).bfloat16(), 4)
    assert {parameter.dtype for parameter in unit.parameters()} == {torch.bfloat16}


@pytest.mark.parametrize("batch_first", [True, False])
def test_attention_with_one_matrix_for_all_is_taken_apart(batch_first):
    layer = nn.MultiheadAttention(16, 4, batch_first=batch_first).eval()
    with torch.no_grad():
        for part in layer.in_proj_weight.chunk(3):
            part.copy_(torch.randn(16, 3) @ torch.randn(3, 16) / 8)
        layer.out_proj.weight.copy_(torch.randn(16, 3) @ torch.randn(3, 16) / 8)
    x, small = torch.randn(5, 5, 16), auto_fact(layer, 3, deepcopy=True)
    hidden = torch.zeros(5, 5, dtype=torch.bool)
    hidden[:, 3:] = True
    for options in ({}, {"key_padding_mask": hidden}, {"attn_mask": torch.ones(5, 5, dtype=torch.bool).triu(1)}):
        for mine, right in zip(small(x, x, x, **options), layer(x, x, x, **options), strict=True):
            assert near(mine, right)


def test_torchs_own_encoder_runs_factorised():
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2).eval()
    x = torch.randn(2, 4, 16)
    with torch.no_grad():
        assert auto_fact(model, 4)(x).shape == x.shape


def test_planner_gives_ranks_to_the_layer_with_spread_energy():
    flat, steep = nn.Linear(24, 24), nn.Linear(24, 24)
    with torch.no_grad():
        flat.weight.copy_(torch.linalg.qr(torch.randn(24, 24))[0])
        steep.weight.copy_(torch.randn(24, 1) @ torch.randn(1, 24))
    model = nn.Sequential(flat, steep)
    ranks = plan(model, 0.3)
    assert ranks["0"] > ranks["1"]
    weights = sum(rank * 48 for rank in ranks.values())
    assert weights <= 0.3 * 2 * 24 * 24 < weights + 48
    assert auto_fact(copy.deepcopy(model), ranks)[0].rank == ranks["0"]
    with pytest.raises(BudgetError, match="raise it"):
        plan(model, 0.01)


def test_planner_counts_multiply_adds_where_a_layer_runs_often():
    model = nn.Sequential(nn.Conv2d(8, 16, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 16))
    x = torch.randn(1, 8, 10, 10)
    small = auto_fact(model, plan(model, 0.5, unit="macs", example=x), deepcopy=True)
    assert report(model, small, x, runs=1).macs[1] <= 0.5 * report(model, small, x, runs=1).macs[0]
    assert list(covariances(model, [x])) == ["3"]


def test_costs_by_hand():
    assert dense_macs(1, 2, 8) == 16 + 32 + 4
    assert lrt_macs(1, 2, 8, 1) == 16 + 20 + 4
    assert linformer_macs(1, 2, 8, 1) == 16 + 32 + 8
    n = crossover(768, 3072, 128, 128)
    assert linformer_macs(n, 768, 3072, 128) < lrt_macs(n, 768, 3072, 128)
    assert linformer_macs(n - 1, 768, 3072, 128) >= lrt_macs(n - 1, 768, 3072, 128)


@pytest.mark.parametrize("options", [{}, {"per_head": True}, {"share": True}, {"materialise": True}])
def test_linformer_with_the_identity_is_attention(options):
    attention = LinformerAttention(8, 2, 5, 5, **options)
    with torch.no_grad():
        for projection in {attention.project_k, attention.project_v}:
            projection.copy_(torch.eye(5).expand_as(projection))
    x = torch.randn(2, 5, 8)
    q, k, v = (each(x).view(2, 5, 2, 4).transpose(1, 2) for each in (attention.q, attention.k, attention.v))
    right = attention.out(((q @ k.mT / 2).softmax(-1) @ v).transpose(1, 2).flatten(2))
    assert near(attention(x), right)
    with pytest.raises(InputError, match="cannot be causal"):
        attention(x, is_causal=True)
    with pytest.raises(InputError, match="max_length"):
        attention(torch.randn(1, 6, 8))


def test_sweep_measures_all_kinds():
    rows = sweep(n=(8, 64), d=16, heads=2, r=4, k=8, tokens=64, materialise=True, times=False)
    assert [row["n"] for row in rows] == [8, 64]
    assert rows[1]["linformer saved"] < rows[1]["lrt saved"]


# ---- the wrapper


def bert(kind="BertModel"):
    import transformers

    torch.manual_seed(3)
    config = transformers.BertConfig(vocab_size=40, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                                     num_attention_heads=2, num_labels=3)  # fmt: skip
    return getattr(transformers, kind)(config)


BATCH = {"input_ids": torch.arange(1, 13).view(2, 6), "labels": torch.tensor([0, 2])}


def test_own_layers_of_the_given_model_stay():
    backbone = bert()
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    model = Greenformer(backbone, classes=3, rank=4)
    torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1).zero_grad()
    model.train()(**BATCH)["loss"].backward()
    after = backbone.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert all(p.grad is not None for n, p in model.named_parameters() if p.requires_grad and "pooler" not in n)


@pytest.mark.parametrize("options", [{}, {"train_backbone": True}, {"submodules": ["bert.encoder.layer.1"]}])
def test_saved_and_loaded_with_its_own_head(options, tmp_path):
    model = Greenformer(bert("BertForSequenceClassification"), rank=0.5, data=None, **options)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.01)
    model.save(tmp_path / "part.safetensors")
    again = Greenformer.load(tmp_path / "part.safetensors", bert("BertForSequenceClassification"))
    assert torch.equal(model.eval()(**BATCH).logits, again.eval()(**BATCH).logits)
    assert isinstance(model.backbone.classifier, nn.Linear)


@pytest.mark.parametrize("kind", ["GPT2LMHeadModel", "LlamaForCausalLM", "T5ForConditionalGeneration"])
def test_language_models_are_factorised(kind):
    import transformers

    small = {"GPT2LMHeadModel": {"n_embd": 32, "n_layer": 2, "n_head": 2}, "LlamaForCausalLM": {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2},
        "T5ForConditionalGeneration": {"d_model": 32, "d_ff": 64, "d_kv": 16, "num_layers": 2,
        "num_heads": 2, "decoder_start_token_id": 0}}[kind]  # fmt: skip
    backbone = getattr(transformers, kind)(getattr(transformers, kind).config_class(vocab_size=40, **small))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = Greenformer(backbone, rank=4).train()
    ids = torch.arange(1, 13).view(2, 6)
    loss = model(input_ids=ids, labels=ids)["loss"]
    loss.backward()
    assert torch.isfinite(loss)


@pytest.mark.parametrize("whole", [True, False])
def test_running_statistics_follow_the_new_layers_when_the_backbone_is_trained(whole):
    pooled = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4)
    network = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), *pooled)
    model = Greenformer(network, rank=2, train_backbone=whole).train()
    before = model.backbone[1].running_mean.clone()
    model(pixel_values=torch.randn(8, 3, 8, 8) + 1, labels=torch.zeros(8, dtype=torch.long))
    assert torch.equal(model.backbone[1].running_mean, before) is not whole
    assert model.eval().backbone[1].training is False


def test_convolutional_networks_are_factorised():
    network = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4))
    model = Greenformer(network, rank=2).train()
    assert model(pixel_values=torch.randn(2, 3, 8, 8), labels=torch.tensor([0, 3]))["loss"].isfinite()


def test_data_and_ranks_that_do_not_fit():
    model = Greenformer(bert(), classes=3, rank=4, data=[{"input_ids": BATCH["input_ids"]}])
    assert model(**BATCH)["logits"].shape == (2, 3)
    with pytest.raises(InputError, match="lower the rank"):
        Greenformer(bert(), classes=3, rank=500)
    with pytest.raises(InputError, match="no layer that can be factorised"):
        auto_fact(bert(), {"nothing": 3})


def test_each_rank_goes_where_it_keeps_most() -> None:
    # shares of energy .5 .3 .1 .1 and .4 .35 .15 .1: one rank each, then .35 to b, .3 to a, .15 to b
    model = nn.ModuleDict({"a": nn.Linear(10, 10, bias=False), "b": nn.Linear(10, 10, bias=False)})
    for name, shares in (("a", [0.5, 0.3, 0.1, 0.1]), ("b", [0.4, 0.35, 0.15, 0.1])):
        model[name].weight.data = torch.diag(torch.tensor(shares + [0.0] * 6).sqrt())
    rank = 20 * 4  # bytes of one: (10 + 10) numbers
    assert plan(model, f"{3 * rank} bytes") == {"a": 1, "b": 2}
    assert plan(model, f"{4 * rank} bytes") == {"a": 2, "b": 2}
    assert plan(model, f"{5 * rank} bytes") == {"a": 2, "b": 3}


@pytest.mark.parametrize("materialise", [False, True])
def test_padding_does_not_reach_linformer(materialise: bool) -> None:
    torch.manual_seed(0)
    attention = LinformerAttention(16, 2, max_length=8, k=3, materialise=materialise)
    x, mask = torch.randn(2, 8, 16), torch.ones(2, 8)
    mask[1, 5:] = 0
    other = x.clone()
    other[1, 5:] = 9.0
    ours, theirs = attention(x, mask), attention(other, mask)
    assert torch.allclose(ours[0], theirs[0])
    assert torch.allclose(ours[1, :5], theirs[1, :5], atol=1e-6)
    assert not torch.allclose(attention(x)[1, :5], attention(other)[1, :5])


@pytest.mark.parametrize(
    "source",
    [nn.Conv1d(6, 8, 3), nn.Conv2d(8, 12, 3, groups=2), nn.Conv3d(4, 6, 2), nn.Conv2d(6, 8, (3, 1), stride=2)],
)
def test_a_pair_looks_like_the_convolution_it_stands_for(source: nn.Module) -> None:
    unit = auto_fact(source, break_even(source) - 2, "svd")
    for name in ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups"):
        assert getattr(unit, name) == getattr(source, name)
    x = torch.randn(2, unit.in_channels, *[7] * len(unit.kernel_size))
    plain = getattr(nn.functional, f"conv{len(unit.kernel_size)}d")
    own = plain(x, unit.weight, unit.decoder.bias, unit.stride, unit.padding, unit.dilation, unit.groups)
    assert near(unit(x), own)


@pytest.mark.parametrize("kind", ["ViTForImageClassification", "MobileNetV2ForImageClassification",
                                  "ResNetForImageClassification", "ConvNextForImageClassification"])  # fmt: skip
def test_networks_of_images_run_and_train(kind: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    small: dict[str, dict[str, Any]] = {
        "ViT": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
                "image_size": 32, "patch_size": 8},
        "MobileNetV2": {"image_size": 32, "depth_multiplier": 0.35},
        "ResNet": {"embedding_size": 16, "hidden_sizes": [16, 32], "depths": [1, 1], "layer_type": "basic"},
        "ConvNext": {"hidden_sizes": [16, 32], "depths": [1, 1], "num_stages": 2},
    }  # fmt: skip
    name = kind.removesuffix("ForImageClassification")
    config = getattr(transformers, f"{name}Config")(**small[name])
    torch.manual_seed(0)
    backbone = getattr(transformers, kind)(config).eval()
    batch = {"pixel_values": torch.randn(2, 3, 32, 32), "labels": torch.tensor([0, 1])}
    model = Greenformer(copy.deepcopy(backbone), rank=0.5)
    assert any(isinstance(module, CED) for module in model.modules())
    model.train()(**batch)["loss"].backward()
    model.save(tmp_path / "part.safetensors")
    again = Greenformer.load(tmp_path / "part.safetensors", backbone)
    assert torch.equal(again.eval()(**batch)["logits"], model.eval()(**batch)["logits"])
