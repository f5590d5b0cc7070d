"""VQT on other people's models, in files, loops and copies; fewer features, many tasks."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch")
pytest.importorskip("transformers")

import sample_vqt as sample  # noqa: E402
from torch import nn  # noqa: E402

from mnemic.errors import InputError, MnemicError  # noqa: E402
from mnemic.footprint.vqt import VQT, MultiTaskVQT, selection  # noqa: E402

KEPT, Batch = sample.KEPT, dict[str, Any]
SMALL, bert, timm, texts, images = sample.SMALL, sample.bert, sample.timm, sample.texts, sample.images
made, learned, far = sample.made, sample.learned, sample.far


# Backbones.


def test_the_backbone_is_left_alone() -> None:
    backbone, batch = bert(), texts()
    inputs = {key: value for key, value in batch.items() if key != "labels"}
    before = backbone(**inputs).last_hidden_state
    model = made(backbone)
    learned(model, batch)
    assert torch.equal(backbone(**inputs).last_hidden_state, before)
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in backbone.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in backbone.modules())


def test_gradients_are_on_again_after_an_error_in_the_backbone() -> None:
    model = made(bert())
    with pytest.raises(IndexError):
        model(input_ids=torch.tensor([[99]]))
    assert torch.is_grad_enabled()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.backbone.modules())


def test_a_parameter_that_needs_a_gradient_unasked_is_named() -> None:
    model = made(bert())
    model.backbone.embeddings.LayerNorm.weight.requires_grad_(True)
    with pytest.raises(MnemicError, match="LayerNorm"):
        model(**texts())


def test_a_model_with_a_classifier_keeps_it() -> None:
    from transformers import BertConfig, BertForSequenceClassification, ViTConfig, ViTForImageClassification

    for cls, config, batch in (
        (BertForSequenceClassification, BertConfig(vocab_size=40, num_labels=3, **SMALL), texts()),
        (ViTForImageClassification, ViTConfig(image_size=16, patch_size=4, num_labels=3, **SMALL), images()),
    ):
        torch.manual_seed(0)
        backbone = cls(config).eval()
        given = {key: value for key, value in batch.items() if key != "labels"}
        right = backbone(**given).logits
        model = made(backbone, classes=None)
        assert torch.allclose(model(**batch)["logits"], right, atol=1e-6)  # the queries' head starts at zero
        learned(model, batch)
        assert model.backbone.classifier.weight.grad is not None
        frozen = [p for n, p in backbone.named_parameters() if "classifier" not in n and "pooler" not in n]
        assert all(parameter.grad is None for parameter in frozen)
        assert model.head.linear.weight.grad.abs().sum() > 0
        with torch.no_grad():
            model.head.linear.weight.normal_()
        learned(model, batch)
        assert all(each.grad.abs().sum() > 0 for each in model.queries)


def test_what_does_not_fit_is_refused_in_a_sentence() -> None:
    from transformers import (
        BertForTokenClassification,
        LlamaConfig,
        LlamaForCausalLM,
        T5Config,
        T5EncoderModel,
        T5Model,
    )  # fmt: skip

    tiny = T5Config(vocab_size=40, d_model=32, d_ff=64, d_kv=8, num_layers=2, num_heads=4)
    with pytest.raises(InputError, match="several stacks"):
        VQT(T5Model(tiny), classes=3)
    with pytest.raises(InputError, match="position"):
        VQT(T5EncoderModel(tiny), classes=3)(**texts())
    with pytest.raises(InputError, match=r"LlamaForCausalLM has no classifier .* classes=\.$"):
        VQT(LlamaForCausalLM(LlamaConfig(vocab_size=40, **SMALL)))
    with pytest.raises(InputError, match=r"BertModel has no classifier"):
        VQT(bert())
    with pytest.raises(InputError, match="logits for every token"):
        VQT(BertForTokenClassification(bert().config))(**texts())
    with pytest.raises(InputError, match=r'BertLayer computes its attention by itself.*attn_implementation="sdpa"'):
        made(bert(attn_implementation="eager"))(**texts())
    headed = timm()
    headed.register_forward_hook(lambda module, args, output: output[:, :10])
    with pytest.raises(InputError, match="num_classes=0"):
        made(headed)(**images("x"))
    with pytest.raises(InputError, match="no stack of transformer layers"):
        VQT(nn.Sequential(nn.Linear(3, 3)), classes=3)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"queries": 0}, "above 0"),
        ({"queries": [1, 2]}, "one for each of 3"),
        ({"layers": [3]}, "between -3 and 2"),
        ({"layers": []}, "between -3 and 2"),
        ({"combine": "sum"}, "concat, mean, weighted"),
        ({"keep": "all"}, "graph, keys, jacobians, nothing"),
        ({"pool": "max"}, "first, last, mean, patches"),
        ({"half": True}, "nothing that half could shrink"),
        ({"adapted": True}, "everything needs a gradient"),
        ({"adapted": True, "keep": "keys"}, "needs its whole graph"),
    ],
)
def test_an_option_that_cannot_be_is_named(options: Batch, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        made(bert(), **options)


def test_a_bf16_backbone_has_queries_in_fp32() -> None:
    for keep in KEPT:
        model = made(bert().to(torch.bfloat16), keep=keep)
        _, gradients = learned(model, texts())
        assert {each.dtype for each in gradients} == {torch.float32}
        assert far(gradients, learned(made(bert(), keep=keep), texts())[1]) < 0.1


def test_under_autocast_the_second_pass_is_the_first() -> None:
    found = []
    for keep in ("graph", "nothing"):
        model = made(bert(), keep=keep)
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(**texts())["loss"]
        loss.backward()
        found.append([each.grad for each in model.queries])
    assert far(found[1], found[0]) < 1e-2


@pytest.mark.parametrize("bits", [8, 4])
def test_quantized_backbones_are_read(tmp_path: Path, bits: int) -> None:
    bnb = pytest.importorskip("bitsandbytes")

    def quantized() -> Any:
        backbone = bert(hidden_size=64, intermediate_size=128)
        for layer in backbone.encoder.layer:
            for module in list(layer.modules()):
                for name, child in list(module.named_children()):
                    if isinstance(child, nn.Linear):
                        setattr(module, name, packed(bnb, child, bits))
        return backbone

    found = [learned(made(quantized(), keep=keep), texts()) for keep in KEPT]
    exact = learned(made(bert(hidden_size=64, intermediate_size=128)), texts())
    assert abs(found[0][0] - exact[0]) < 0.3
    for _, gradients in found[1:]:
        assert far(gradients, found[0][1]) < 1e-3
    assert far(found[0][1], exact[1]) < 0.5

    model = made(quantized()).eval()
    assert model.backbone.encoder.layer[0].attention.self.key.weight.dtype in (torch.int8, torch.uint8)
    model.save(tmp_path / "task.safetensors")
    loaded = VQT.load(tmp_path / "task.safetensors", quantized()).eval()
    assert torch.allclose(loaded(**texts())["logits"], model(**texts())["logits"], atol=1e-5)


def packed(bnb: Any, linear: nn.Linear, bits: int) -> nn.Module:
    new = (bnb.nn.Linear8bitLt(linear.in_features, linear.out_features, has_fp16_weights=False) if bits == 8
           else bnb.nn.Linear4bit(linear.in_features, linear.out_features, compute_dtype=torch.float32))  # fmt: skip
    new.load_state_dict(linear.state_dict())
    return new.to("cpu")


# Together with an adapter.


def with_lora(backbone: Any) -> Any:
    peft = pytest.importorskip("peft")
    torch.manual_seed(2)
    config = peft.LoraConfig(r=2, target_modules=["query", "value"], init_lora_weights=False)
    return peft.get_peft_model(backbone, config)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # PEFT asks for it by its old name
def test_an_adapter_below_is_trained_along() -> None:
    model = made(with_lora(bert()), adapted=True)
    learned(model, texts())
    trained = {name: p for name, p in model.backbone.named_parameters() if p.requires_grad}
    assert all("lora" in name for name in trained)
    assert len(trained) == 3 * 2 * 2
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in trained.values())
    # the derivative along one number of the first layer's adapter, through queries and tokens alike
    name, weight = next((n, p) for n, p in trained.items() if "lora_A" in n)
    gradient, losses = weight.grad[0, 0].item(), []
    for step in (1e-2, -1e-2):
        with torch.no_grad():
            weight[0, 0] += step
            losses.append(model(**texts())["loss"].item())
            weight[0, 0] -= step
    assert (losses[0] - losses[1]) / 2e-2 == pytest.approx(gradient, rel=2e-2), name


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # PEFT asks for it by its old name
def test_an_adapted_model_is_loaded_onto_a_fresh_adapter(tmp_path: Path) -> None:
    model = made(with_lora(bert()), adapted=True).eval()
    with torch.no_grad():
        for parameter in model.backbone.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1)
    model.save(tmp_path / "task.safetensors")
    fresh = with_lora(bert())
    with torch.no_grad():
        for parameter in fresh.parameters():
            if parameter.requires_grad:
                parameter.mul_(3)
    loaded = VQT.load(tmp_path / "task.safetensors", fresh).eval()
    assert torch.equal(loaded(**texts())["logits"], model(**texts())["logits"])
    with pytest.raises(InputError, match="another backbone"):
        VQT.load(tmp_path / "task.safetensors", with_lora(bert(initializer_range=0.05)))


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # PEFT asks for it by its old name
def test_prompts_below_are_read_too() -> None:
    peft = pytest.importorskip("peft")
    config = peft.PromptTuningConfig(task_type="FEATURE_EXTRACTION", num_virtual_tokens=3)
    model = made(peft.get_peft_model(bert(), config), adapted=True, pool="mean")
    learned(model, texts())
    assert model.backbone.get_prompt_embedding_to_save("default") is not None
    assert next(p for n, p in model.backbone.named_parameters() if "prompt" in n).grad.abs().sum() > 0


# Files, training loops, copies.


@pytest.mark.parametrize(
    "options", [{}, {"queries": [1, 2, 3], "combine": "weighted"}, {"layers": [1], "queries": [4]}]
)
def test_a_file_holds_the_small_part_alone(tmp_path: Path, options: Batch) -> None:
    model = made(bert(), **options).eval()
    model.save(tmp_path / "task.safetensors")
    loaded = VQT.load(tmp_path / "task.safetensors", bert()).eval()
    assert loaded.options == model.options
    assert torch.equal(loaded(**texts())["logits"], model(**texts())["logits"])
    assert not any("encoder" in name for name in model.small_part())
    with pytest.raises(InputError, match="another backbone"):
        VQT.load(tmp_path / "task.safetensors", bert(initializer_range=0.05))


def test_a_copy_is_its_own() -> None:
    model = made(bert())
    other = copy.deepcopy(model)
    loss, gradients = learned(model, texts())
    assert learned(other, texts())[0] == loss
    with torch.no_grad():
        other.backbone.embeddings.word_embeddings.weight.zero_()
    assert far(learned(model, texts())[1], gradients) == 0


def test_it_trains_in_trainer_with_bf16(tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    from transformers import Trainer, TrainingArguments

    batch = texts(padding=0, rows=8)
    rows = [{name: values[n] for name, values in batch.items()} for n in range(8)]
    model = made(bert(), dropout=0.1)
    before = [each.detach().clone() for each in model.queries]
    arguments = TrainingArguments(
        output_dir=str(tmp_path), num_train_epochs=25, per_device_train_batch_size=4, learning_rate=0.05, use_cpu=True,
        bf16=True, report_to=[], save_strategy="no", remove_unused_columns=False, disable_tqdm=True,
    )  # fmt: skip
    trainer = Trainer(model=model, args=arguments, train_dataset=rows)
    with torch.no_grad():
        first = model.eval()(**batch)["loss"].item()
    trainer.train()
    assert model.eval()(**batch)["loss"].item() < 0.5 * first
    assert all(not torch.equal(each, was) for each, was in zip(model.queries, before, strict=True))


# Fewer features; many tasks.


def test_group_lasso_finds_the_features_that_decide() -> None:
    own = torch.Generator().manual_seed(0)
    phi = torch.randn(200, 20, generator=own)
    rows = [(phi[n : n + 50], (phi[n : n + 50, 3] > phi[n : n + 50, 7]).long()) for n in range(0, 200, 50)]
    plain, lasso = (selection.scores(selection.trained(rows, 2, group_lasso=weight, epochs=100, lr=0.05))
                    for weight in (0.0, 0.03))  # fmt: skip
    assert set(lasso.topk(2).indices.tolist()) == {3, 7}
    others = [n for n in range(20) if n not in (3, 7)]
    assert lasso[others].mean() < 0.2 * plain[others].mean()


def test_selection_reads_the_entries_that_it_kept() -> None:
    model, batch = made(bert()), texts()
    before = copy.deepcopy(model.state_dict())
    small = model.select_features([batch], keep=0.25, epochs=100, lr=0.02)
    given = {key: value for key, value in batch.items() if key != "labels"}
    assert small.head.linear.weight.shape == (3, 56)  # a quarter of 32 x (1 + 3 x 2)
    assert torch.equal(small.eval().phi(**given), model.eval().phi(**given)[:, small.head.kept])
    assert small(**batch)["logits"].argmax(-1).tolist() == batch["labels"].tolist()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_selection_is_saved_and_happens_once(tmp_path: Path) -> None:
    small = made(bert()).select_features([texts()], keep=0.5, epochs=2)
    small.save(tmp_path / "small.safetensors")
    loaded = VQT.load(tmp_path / "small.safetensors", bert()).eval()
    assert torch.equal(loaded.head.kept, small.head.kept)
    assert torch.equal(loaded(**texts())["logits"], small.eval()(**texts())["logits"])
    with pytest.raises(InputError, match="selected once"):
        small.select_features([texts()])
    with pytest.raises(InputError, match="between 0 and 1"):
        made(bert()).select_features([texts()], keep=0.0)
    with pytest.raises(InputError, match="no batches"):
        made(bert()).select_features([])


def test_many_tasks_on_one_pass_are_the_models_apart() -> None:
    backbone, batch = bert(), texts()
    inputs = {key: value for key, value in batch.items() if key != "labels"}
    tasks = {
        "topic": made(backbone, classes=3),
        "tone": made(backbone, classes=2, queries=[1, 4], layers=[0, 2], keep="keys"),
        "tongue": made(backbone, classes=5, combine="mean", pool="mean"),
    }
    passes: list[None] = []
    backbone.encoder.register_forward_hook(lambda *_: passes.append(None))
    together = MultiTaskVQT(tasks)(**inputs)
    assert len(passes) == 1
    for name, task in tasks.items():
        assert torch.allclose(together[name], task.eval()(**inputs)["logits"], atol=1e-5), name
    with pytest.raises(InputError, match="another backbone"):
        MultiTaskVQT({"one": made(bert()), "two": made(bert())})
    with pytest.raises(InputError, match="no task"):
        MultiTaskVQT({})
