"""LST: what a ladder computes, what it keeps, and how it is used in real model classes."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest

from mnemic.errors import InputError, MnemicError
from mnemic.meter import training_bytes

torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")
nn = torch.nn

from mnemic.footprint.lst import Ladder  # noqa: E402
from mnemic.footprint.lst.importance import dense  # noqa: E402
from mnemic.footprint.lst.side import Rung, _Cast  # noqa: E402

IDS = torch.tensor([[3, 4, 5, 6], [7, 8, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
PIXELS = torch.linspace(-1, 1, 2 * 3 * 16 * 16).reshape(2, 3, 16, 16)


def backbone(name: str) -> Any:
    """Small models of real classes, the same every time."""
    torch.manual_seed(0)
    t = transformers
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
    if name == "bert":
        return t.BertModel(t.BertConfig(vocab_size=20, **sizes), add_pooling_layer=False)
    if name == "classifier":
        return t.BertForSequenceClassification(t.BertConfig(vocab_size=20, num_labels=3, **sizes))
    if name == "llama":  # four heads, two of them share keys and values
        return t.LlamaForCausalLM(t.LlamaConfig(vocab_size=20, num_key_value_heads=2, **sizes))
    if name == "t5":
        config = t.T5Config(vocab_size=20, d_model=16, d_kv=4, d_ff=32, num_layers=3, num_heads=4,
                            decoder_start_token_id=0)  # fmt: skip
        return t.T5ForConditionalGeneration(config)
    return t.ViTModel(t.ViTConfig(image_size=16, patch_size=8, **sizes), add_pooling_layer=False)


def batch(name: str) -> dict[str, Any]:
    if name == "vit":
        return {"pixel_values": PIXELS, "labels": torch.tensor([0, 2])}
    labels = IDS if name in ("llama", "t5") else torch.tensor([0, 2])
    return {"input_ids": IDS, "attention_mask": MASK, "labels": labels}


def ladder(name: str, **options: Any) -> Ladder:
    model = backbone(name)
    torch.manual_seed(1)
    return Ladder(model, **{"reduction": 2} | ({"classes": 3} if name in ("bert", "vit") else {}) | options)


def answer(model: Ladder, name: str) -> Any:
    return model.eval()(**batch(name))["logits"]


# ---- what it computes


@pytest.mark.parametrize("kept", [[0, 1, 2], [1]])
@pytest.mark.parametrize("after", [False, True])
def test_it_is_the_equation(kept: list[int], after: bool) -> None:
    model = ladder("bert", layers=kept, ladder_after=after).eval()
    side = model.sides[0]
    with torch.no_grad():
        side.alpha.copy_(torch.tensor([0.05, -0.1, 0.2])[: len(kept)])
    states = model.backbone.embeddings(IDS), *_layer_outputs(model, IDS, MASK)
    mask = MASK[:, None, None, :].bool().expand(-1, 1, 4, -1)
    s = states[0] @ side.first.weight.T + side.first.bias
    for n, i in enumerate(kept):
        mu = 1 / (1 + math.exp(-side.alpha[n].item() / 0.1))
        rung = states[i + 1] @ side.ladders[n].weight.T + side.ladders[n].bias
        s = s if after else mu * s + (1 - mu) * rung
        s = side.layers[n](s, attention_mask=mask)
        s = mu * s + (1 - mu) * rung if after else s
    wide = model.up(side.norm(s))
    mean = (wide * MASK[..., None]).sum(1) / MASK.sum(1, keepdim=True)
    assert torch.allclose(answer(model, "bert"), model.head.linear(mean), atol=1e-5)


def _layer_outputs(model: Ladder, ids: Any, mask: Any) -> tuple[Any, ...]:
    plain = backbone("bert").eval()
    return plain(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states[1:]


def test_the_last_state_can_be_merged_in() -> None:
    model = ladder("bert", merge_last=True).eval()
    with torch.no_grad():
        model.merge.fill_(0.1 * math.log(3))  # the gate is 3/4
    model.up.weight.data.zero_()
    model.up.bias.data.fill_(2.0)
    last = _layer_outputs(model, IDS, MASK)[-1]
    mean = ((0.75 * 2.0 + 0.25 * last) * MASK[..., None]).sum(1) / MASK.sum(1, keepdim=True)
    assert torch.allclose(answer(model, "bert"), model.head.linear(mean), atol=1e-5)


def test_a_narrow_head_reads_the_side_network() -> None:
    model = ladder("bert", narrow_head=True)
    assert model.up is None
    assert model.head.linear.in_features == 8
    model.train()(**batch("bert"))["loss"].backward()
    assert model.sides[0].first.weight.grad.abs().sum() > 0


def test_the_side_decoder_reads_the_side_encoder() -> None:
    model = ladder("t5")
    before = answer(model, "t5")
    with torch.no_grad():
        model.sides[0].ladders[-1].bias += 1.0  # the side encoder's alone
    changed = answer(model, "t5")
    assert not torch.allclose(before, changed)
    for cross in (module for name, module in model.sides[1].named_modules() if name.endswith("EncDecAttention")):
        nn.init.zeros_(cross.o.weight)
    cut = answer(model, "t5")
    with torch.no_grad():
        model.sides[0].ladders[-1].bias -= 1.0
    assert torch.equal(answer(model, "t5"), cut)


def test_the_words_are_still_the_backbones() -> None:
    model = ladder("t5").eval()
    nn.init.zeros_(model.up.weight)
    nn.init.ones_(model.up.bias)
    scaled = torch.ones(16) * 16**-0.5  # T5's rescale before a tied output
    assert torch.allclose(answer(model, "t5")[0, 0], model.backbone.lm_head(scaled), atol=1e-6)


def test_distilled_from_the_backbone_by_hand() -> None:
    model = ladder("llama", distill=2.0)
    plain, distilled = ladder("llama"), model.train()(**batch("llama"))["loss"]
    own, told = answer(model, "llama").log_softmax(-1), backbone("llama").eval()(IDS, MASK).logits.log_softmax(-1)
    kl = (told.exp() * (told - own)).sum(-1)[MASK.bool()].mean()
    assert distilled.item() == pytest.approx((plain.train()(**batch("llama"))["loss"] + 2 * kl).item(), rel=1e-5)


# ---- what it keeps


@pytest.mark.parametrize("name", ["bert", "classifier", "llama", "t5", "vit"])
def test_nothing_is_saved_inside_the_frozen_stacks(name: str) -> None:
    model = ladder(name).train()
    used = model.used(batch(name))
    stacks = [frozen.stack.name for frozen in model._frozen]
    assert [used.under(f"backbone.{stack}")["saved"] for stack in stacks] == [0] * len(stacks)
    assert used.under("sides")["saved"] > 0


@pytest.mark.parametrize("name", ["bert", "classifier", "llama", "t5", "vit"])
def test_all_of_the_small_part_is_trained_and_nothing_else(name: str) -> None:
    model = ladder(name).train()
    model(**batch(name))["loss"].backward()
    trained = {key for key, parameter in model.named_parameters() if parameter.grad is not None}
    assert trained == set(model.small_part())
    assert {key for key in trained if key.startswith("backbone")} == (
        {"backbone.classifier.weight", "backbone.classifier.bias"} if name == "classifier" else set()
    )


def test_every_state_is_saved_once_and_in_the_backbones_precision() -> None:
    assert ladder("bert").used(batch("bert")).under("sides.0.ladders")["saved"] == 3 * 2 * 4 * 16 * 4
    half = Ladder(backbone("bert").to(torch.bfloat16), classes=3, reduction=2).train()
    used = half.used(batch("bert"))
    assert used.under("sides.0.ladders")["saved"] == 3 * 2 * 4 * 16 * 2
    assert used.under("sides.0.first")["saved"] == 2 * 4 * 16 * 2


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_attention_maps_are_not_kept(attention: str) -> None:
    torch.manual_seed(0)
    config = transformers.BertConfig(vocab_size=20, hidden_size=16, intermediate_size=32, num_hidden_layers=1,
                                     num_attention_heads=4, attn_implementation=attention)  # fmt: skip
    model = Ladder(transformers.BertModel(config, add_pooling_layer=False), classes=2, reduction=2).train()

    def saved(tokens: int) -> int:
        text = torch.ones(2, tokens, dtype=torch.long)
        return training_bytes(model, {"input_ids": text, "labels": torch.tensor([0, 1])}).parts["saved"]

    assert saved(256) <= 2.05 * saved(128)  # with maps of 4 heads it would be near four times


def test_half_of_the_layers_save_about_half() -> None:
    full, half = (ladder("bert", layers=kept).used(batch("bert")).parts["saved"] for kept in ("all", [2]))
    assert half < 0.5 * full


def test_a_state_in_another_precision_has_exact_gradients() -> None:
    state = torch.randn(2, 3, 4, dtype=torch.float32)
    weight, bias = (torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((5, 4), (5,)))
    assert torch.autograd.gradcheck(lambda w, b: _Cast.apply(state, w, b), (weight, bias))
    rung = Rung(4, 5)
    plain = nn.functional.linear(state.bfloat16().float(), rung.weight, rung.bias)
    assert torch.equal(rung(state.bfloat16()), plain)


SIZES = {"vocab_size": 20, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
OTHERS: dict[str, dict[str, Any]] = {
    "RobertaForSequenceClassification": SIZES,
    "DistilBertForSequenceClassification": {"vocab_size": 20, "dim": 16, "hidden_dim": 32, "n_layers": 2, "n_heads": 4},
    "Qwen3ForCausalLM": SIZES | {"num_key_value_heads": 2, "head_dim": 8},  # heads wider than their share, with norms
    "Gemma2ForCausalLM": SIZES | {"num_key_value_heads": 2, "head_dim": 4},
    "BartForConditionalGeneration": {
        "vocab_size": 20, "d_model": 16, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
        "decoder_attention_heads": 4, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "pad_token_id": 0,
        "decoder_start_token_id": 2,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("heads", [None, 2])
def test_other_classes_are_found_by_structure(name: str, heads: int | None) -> None:
    torch.manual_seed(0)
    kind = getattr(transformers, name)
    model = Ladder(kind(kind.config_class(**OTHERS[name])), reduction=2, heads=heads).train()
    used = model.used({"input_ids": IDS, "labels": torch.tensor([0, 1]) if "Sequence" in name else IDS})
    assert [used.under(f"backbone.{frozen.stack.name}")["saved"] for frozen in model._frozen] == [0] * len(model.sides)


def test_sizes_go_from_most_bytes_to_least() -> None:
    sizes = list(Ladder.sizes(backbone("bert")))
    assert sizes[0] == {"reduction": 2, "layers": "all"}
    assert sizes[-1] == {"reduction": 16, "layers": "last"}
    used = [ladder("bert", **size).used(batch("bert")).amount for size in sizes]
    assert used == sorted(used, reverse=True)


# ---- how it is used


@pytest.mark.parametrize("name", ["bert", "classifier", "llama", "t5", "vit"])
@pytest.mark.parametrize("init", ["random", "magnitude", "fisher"])
def test_saved_and_loaded_it_answers_the_same(name: str, init: str, tmp_path: Path) -> None:
    model = ladder(name, init=init, data=[batch(name)], samples=2, layers="half")
    model.save(tmp_path / "part.safetensors")
    again = Ladder.load(tmp_path / "part.safetensors", backbone(name))
    assert again.options == model.options
    assert torch.equal(answer(again, name), answer(model, name))
    assert torch.equal(answer(copy.deepcopy(model), name), answer(model, name))


def test_the_fisher_pass_says_what_it_took() -> None:
    model = ladder("bert", init="fisher", data=[batch("bert")], samples=2)
    assert model.fisher_used is not None
    parts = model.fisher_used.parts
    maps = 3 * (4 * 16 * 16 + 2 * 16 * 32)
    assert parts["importance"] == 4 * (maps + 20 * 16)
    assert parts["gradient"] == 4 * 16 * 32  # one at a time
    assert parts["saved"] > 0
    assert not any(parameter.requires_grad for parameter in model.backbone.parameters())
    assert all(parameter.grad is None for parameter in model.backbone.parameters())


def test_a_few_steps_lower_the_loss() -> None:
    model = ladder("classifier")
    before = model.eval()(**batch("classifier"))["loss"].item()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-2)
    for _ in range(15):
        optimizer.zero_grad()
        model.train()(**batch("classifier"))["loss"].backward()
        optimizer.step()
    assert model.eval()(**batch("classifier"))["loss"].item() < 0.7 * before


def test_it_trains_in_the_trainer(tmp_path: Path) -> None:
    pytest.importorskip("accelerate", reason="accelerate is not installed")
    row = {"input_ids": IDS[0], "attention_mask": MASK[0], "labels": torch.tensor(1)}
    model = ladder("bert")
    before = model.sides[0].first.weight.detach().clone()
    options = transformers.TrainingArguments(
        tmp_path, max_steps=2, per_device_train_batch_size=2, report_to=[], use_cpu=True, bf16=True,
        gradient_accumulation_steps=2, save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    trainer = transformers.Trainer(model, options, train_dataset=[row] * 8)
    done = trainer.train()
    assert not torch.equal(model.sides[0].first.weight, before)
    assert done.training_loss < 3
    assert trainer.predict([row] * 2).predictions.shape == (2, 3)


def test_half_precision_backbones_and_autocast() -> None:
    model = Ladder(backbone("llama").to(torch.bfloat16), reduction=2).train()
    assert {parameter.dtype for parameter in model.sides.parameters()} == {torch.float32}
    result = model(**batch("llama"))
    result["loss"].backward()
    assert result["logits"].dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        loss = ladder("llama").train()(**batch("llama"))["loss"]
    loss.backward()
    assert torch.isfinite(loss)


@pytest.mark.parametrize("bits", [8, 4])
def test_quantized_backbones(bits: int, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    model = Ladder(quantized(bits), reduction=2).train()
    stored = dense(model.backbone.model.layers[0].mlp.up_proj)
    assert (stored - large_llama().model.layers[0].mlp.up_proj.weight).abs().max() < 0.02
    copied = set(model.sides[0].layers[0].mlp.up_proj.weight.flatten().tolist())
    assert copied <= set(stored.flatten().tolist())
    used = model.used(batch("llama"))
    assert used.under("backbone.model")["saved"] == 0
    model.save(tmp_path / "part.safetensors")
    again = Ladder.load(tmp_path / "part.safetensors", model.backbone)  # a second part on the same backbone
    assert torch.allclose(answer(again, "llama"), answer(model, "llama"), atol=1e-2)
    assert not [name for name in model.small_part() if name.startswith("backbone")]
    with pytest.raises(InputError, match='use init="magnitude"'):
        Ladder(quantized(bits), reduction=2, init="fisher", data=[batch("llama")])


def large_llama() -> Any:
    torch.manual_seed(0)
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=20, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2))  # fmt: skip


def quantized(bits: int) -> Any:
    import bitsandbytes as bnb

    model = large_llama().eval()
    for name, linear in list(model.model.layers.named_modules()):
        if isinstance(linear, nn.Linear):
            weight = linear.weight.data
            if bits == 8:
                made = bnb.nn.Linear8bitLt(linear.in_features, linear.out_features, False, has_fp16_weights=False)
                made.weight = bnb.nn.Int8Params(weight, requires_grad=False, has_fp16_weights=False)
            else:
                made = bnb.nn.Linear4bit(linear.in_features, linear.out_features, False, quant_type="nf4")
                made.weight = bnb.nn.Params4bit(weight, requires_grad=False, quant_type="nf4")
            parent, _, last = name.rpartition(".")
            setattr(model.model.layers.get_submodule(parent), last, made.to("cpu"))
    return model


# ---- what it refuses


def test_a_backbone_that_is_trained_is_refused() -> None:
    model = ladder("bert").train()
    model.backbone.embeddings.word_embeddings.weight.requires_grad_(True)
    with pytest.raises(MnemicError, match=r"embeddings\.word_embeddings\.weight.*call requires_grad_"):
        model(**batch("bert"))


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("bert", {"reduction": 3}, "reduction 3 does not divide the width 16 of encoder.layer"),
        ("bert", {"layers": "some"}, 'layers is "some": use all, 3/4, half, last'),
        ("bert", {"layers": [3]}, "encoder.layer has layers 0 to 2"),
        ("bert", {"layers": []}, "give at least one"),
        ("bert", {"heads": 5}, "encoder.layer.0.attention.self has 4 heads: ask for 1 to 4"),
        ("llama", {"heads": 3}, "has 2 heads of keys"),
        ("bert", {"init": "zeros"}, 'init is "zeros": use fisher'),
        ("bert", {"init": "fisher"}, 'init="fisher" needs data'),
        ("bert", {"init": "fisher", "data": []}, "data has no batch"),
        ("bert", {"classes": None}, "BertModel has no head: give classes="),
        ("classifier", {"classes": 3}, "brings a head of its own"),
        ("classifier", {"narrow_head": True}, "narrow_head is for bare models"),
        ("bert", {"distill": 1.0}, "distill= learns from the backbone's words"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(name: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        ladder(name, **options)


def test_fused_queries_keys_and_values_are_refused() -> None:
    config = transformers.GPT2Config(vocab_size=20, n_embd=16, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=2)
    with pytest.raises(InputError, match=r"transformer.h.0.attn does not map to queries, keys and values one by one"):
        Ladder(transformers.GPT2LMHeadModel(config), reduction=2)
