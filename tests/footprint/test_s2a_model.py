"""S2A around real model classes: exactness, bytes, saving, bits per operation, refusals."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch import Tensor, nn  # noqa: E402

from mnemic.bench import baselines  # noqa: E402
from mnemic.errors import BudgetError, InputError, MnemicError  # noqa: E402
from mnemic.footprint.s2a import S2A, allocate_bits, cosine, gradients, structure  # noqa: E402
from mnemic.meter import saved_bytes, training_bytes  # noqa: E402
from mnemic.nets.inverted_residual import InvertedResidualNet, Stage, initialise  # noqa: E402

Make = Callable[[], Any]


def bert(kind: str = "BertModel", **options: Any) -> Any:
    torch.manual_seed(11)
    config = transformers.BertConfig(
        vocab_size=40, hidden_size=64, intermediate_size=256, num_hidden_layers=3, num_attention_heads=2,
        max_position_embeddings=64, num_labels=3, **options,
    )  # fmt: skip
    return getattr(transformers, kind)(config, **({"add_pooling_layer": False} if kind == "BertModel" else {}))


def vit() -> Any:
    torch.manual_seed(11)
    config = transformers.ViTConfig(image_size=28, patch_size=4, hidden_size=64, intermediate_size=256,
                                    num_hidden_layers=3, num_attention_heads=2)  # fmt: skip
    return transformers.ViTModel(config, add_pooling_layer=False)


def llama(kind: str = "LlamaModel") -> Any:
    torch.manual_seed(11)
    config = transformers.LlamaConfig(
        vocab_size=40, hidden_size=64, intermediate_size=128, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, num_labels=3, pad_token_id=0,
    )  # fmt: skip
    return getattr(transformers, kind)(config)


def net(act: Any = nn.ReLU6, se: bool = False) -> Any:
    stages = [Stage(1, 3, 1, 8, 1, act=act, se=se), Stage(2, 3, 2, 16, 4, act=act, se=se)]
    model = InvertedResidualNet(stages, stem=8, head=32, classes=None, act=act, eps=1e-3, momentum=0.01)
    initialise(model, 4)
    return model.eval()


def texts(seed: int = 0, n: int = 32) -> dict[str, Tensor]:
    own = torch.Generator().manual_seed(seed)
    ids, mask = torch.randint(1, 40, (8, n), generator=own), torch.ones(8, n, dtype=torch.long)
    mask[0, n // 2 :] = 0
    return {"input_ids": ids * mask, "attention_mask": mask, "labels": torch.randint(0, 3, (8,), generator=own)}


def pictures(size: int = 28, seed: int = 0) -> dict[str, Tensor]:
    own = torch.Generator().manual_seed(seed)
    pixels = torch.randn(8, 3, size, size, generator=own)
    return {"pixel_values": pixels, "labels": torch.randint(0, 3, (8,), generator=own)}


def stirred(model: S2A) -> S2A:
    """Branches and frames that do something: they start at zero."""
    torch.manual_seed(5)
    for name, parameter in model.named_parameters():
        if name.endswith((".up", ".frame")):
            nn.init.normal_(parameter, std=0.1)
    return model.train()


ENCODERS: dict[str, tuple[Make, dict[str, Tensor]]] = {
    "BERT": (bert, texts()),
    "ViT": (vit, pictures()),
    "Llama": (llama, texts()),
    "Llama, no mask": (llama, {name: each for name, each in texts().items() if name != "attention_mask"}),
    "ReLU6": (net, pictures(32)),
    "Hard-Swish, gates": (lambda: net(nn.Hardswish, se=True), pictures(32)),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_exact_gradients_are_those_of_plain_torch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 32 bits; the reference runs the same structure without the op list, attention by torch's own."""
    make, batch = ENCODERS[name]
    model = stirred(S2A(make(), classes=3, bits=32))
    mine = gradients(model, batch)
    monkeypatch.setattr("mnemic.footprint.s2a.ops._HANDLERS", {})
    monkeypatch.setattr("mnemic.footprint.s2a.ops._apply", lambda function, *args: plain(function, *args))
    true = gradients(model, batch)
    assert float((mine - true).norm() / true.norm()) < 1e-5


def plain(function: Any, *args: Any) -> Tensor:
    """Attention and the branches' matrices, the only operations that are not caught but called."""
    if function.__name__ == "TrainedLinear":
        return nn.functional.linear(args[0], args[1])
    q, k, v, call, _ = args
    mask = call.visible(q.shape[2] - call.prompts, k.shape[2] - call.prompts, q.device)
    out = nn.functional.scaled_dot_product_attention(
        q[:, :, call.prompts :], k, v, mask, scale=call.scale, enable_gqa=k.shape[1] != q.shape[1]
    )
    return nn.functional.pad(out, (0, 0, call.prompts, 0))


@pytest.mark.parametrize("name", ENCODERS)
def test_four_bits_point_the_same_way(name: str) -> None:
    make, batch = ENCODERS[name]
    assert cosine(stirred(S2A(make(), classes=3)), batch) > 0.98


@pytest.mark.parametrize("name", ENCODERS)
def test_nothing_wide_is_kept_and_nothing_escapes_the_meter(name: str) -> None:
    """Every float that backward keeps is small, and no node of the graph holds a tensor of its own besides."""
    make, batch = ENCODERS[name]
    model = S2A(make(), classes=3).train()
    own = {each.untyped_storage()._cdata for each in (*model.parameters(), *model.buffers())}
    floats = [0]

    def look(tensor: Tensor) -> Tensor:
        if tensor.is_floating_point() and tensor.untyped_storage()._cdata not in own:
            floats.append(tensor.untyped_storage().nbytes())
        return tensor

    hidden = {"pixel_values": 8 * 8 * 16 * 16 * 4}.get(next(iter(batch)), 8 * 32 * 64 * 4)
    with torch.autograd.graph.saved_tensors_hooks(look, lambda tensor: tensor):
        loss = model(**batch)["loss"]
    assert max(floats) < hidden / 8
    nodes, seen = [loss.grad_fn], set()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        nodes += [each for each, _ in node.next_functions]
        held = getattr(node, "__dict__", {})
        assert not any(map(has_tensor, held.values())), (node, held)
    assert any(type(node).__name__.startswith(("Attend", "FrozenConv")) for node in seen)
    assert not model.scope.once._entries


def has_tensor(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return any(map(has_tensor, value))
    kept = getattr(value, "keywords", {}) or {}
    return isinstance(value, Tensor) or any(map(has_tensor, kept.values()))


@pytest.mark.parametrize("name", ["BERT", "ViT"])
def test_a_seventh_of_bias_only(name: str) -> None:
    make, batch = ENCODERS[name]
    plain_bytes = training_bytes(baselines.bitfit(make(), 3), batch).parts["saved"]
    ours = training_bytes(S2A(make(), classes=3), batch).parts["saved"]
    assert ours < 0.165 * plain_bytes  # 0.15 with MiniLM's widths; here scores weigh more beside 64 channels


@pytest.mark.parametrize("name", ENCODERS)
def test_inference_is_exact(name: str) -> None:
    make, batch = ENCODERS[name]
    given, backbone = {name: each for name, each in batch.items() if name != "labels"}, make().eval()
    plain_one = copy.deepcopy(backbone)
    model = S2A(backbone, classes=3, prompt=0).eval()  # branches start at zero
    with torch.no_grad():
        found, mask = plain_one(**given), given.get("attention_mask")
        assert torch.allclose(model(**given)["logits"], model._classified(found, mask, None)["logits"], atol=1e-6)


def test_training_and_evaluation_see_the_same_forward() -> None:
    for make, batch in ENCODERS.values():
        model = stirred(S2A(make(), classes=3))
        trained = model(**batch)["logits"]
        with torch.no_grad():
            assert torch.allclose(trained, model.eval()(**batch)["logits"], atol=1e-5)


def test_what_is_trained_and_what_is_frozen() -> None:
    model = S2A(bert(), classes=3).train()
    model(**texts())["loss"].backward()
    assert {kind for kind, count in model.trained().items() if count} == {"bias", "prompt", "side", "head"}
    for name, parameter in model.backbone.named_parameters():
        assert (parameter.grad is not None) == name.endswith("bias"), name
    without = S2A(llama(), classes=3)
    assert without.trained()["bias"] == 0
    assert without.trained()["prompt"] == 3 * 8 * 64


SMALL: dict[str, Any] = {"vocab_size": 40, "num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 128}
OTHERS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "DistilBert": ("DistilBert", {"vocab_size": 40, "dim": 64, "n_layers": 2, "n_heads": 2, "hidden_dim": 128}, {}),
    "OPT": ("OPT", {**SMALL, "ffn_dim": 128, "num_attention_heads": 2, "word_embed_proj_dim": 64}, {}),
    "GPTNeoX": ("GPTNeoX", {**SMALL, "num_attention_heads": 2}, {}),
    "T5": ("T5", {"vocab_size": 40, "d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 2, "num_heads": 4},
           {"prompt": 0}),
    "ResNet": ("ResNet", {"embedding_size": 16, "hidden_sizes": [16, 32], "depths": [2, 2], "layer_type": "basic"}, {}),
    "ConvNext": ("ConvNext", {"hidden_sizes": [16, 32], "depths": [2, 2], "num_stages": 2}, {}),
    "Swin": ("Swin", {"image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 2],
                      "window_size": 4}, {"prompt": 0, "side": 0}),
}  # fmt: skip


def other(name: str) -> Any:
    torch.manual_seed(11)
    kind, config, _ = OTHERS[name]
    made = getattr(transformers, f"{kind}Config")(**config)
    return getattr(transformers, f"{kind}{'EncoderModel' if kind == 'T5' else 'Model'}")(made)


@pytest.mark.parametrize("name", OTHERS)
def test_other_classes_need_no_code_of_their_own(name: str) -> None:
    options = OTHERS[name][2]
    batch = pictures(32) if name in ("ResNet", "ConvNext", "Swin") else texts()
    model = S2A(other(name), classes=3, **options).train()
    assert cosine(model, batch) > 0.99
    packed = training_bytes(model, batch).parts["saved"]
    model.scope.bits = 32
    assert packed < 0.5 * training_bytes(model, batch).parts["saved"]  # ReLU keeps a bit in any case


def test_classes_that_prompts_cannot_join_say_so() -> None:
    with pytest.raises(InputError, match="SwinStage is a stage of several blocks: give prompt=0, side=0"):
        S2A(other("Swin"), classes=3)
    with pytest.raises(InputError, match="adds a bias by distance"):
        S2A(other("T5"), classes=3)(**texts())
    config = transformers.Gemma2Config(**SMALL, num_attention_heads=4, num_key_value_heads=2, head_dim=16)
    with pytest.raises(InputError, match="writes its attention out"):
        S2A(transformers.Gemma2Model(config), classes=3)
    model = S2A(transformers.Gemma2Model(config), classes=3, prompt=0).train()
    assert cosine(model, texts()) > 0.98


def test_padding_changes_nothing() -> None:
    model, batch = stirred(S2A(bert(), classes=3)), texts(n=16)
    wide = {name: nn.functional.pad(each, (0, 8)) if each.dim() == 2 else each for name, each in batch.items()}
    with torch.no_grad():
        assert torch.allclose(model(**batch)["logits"], model(**wide)["logits"], atol=1e-5)


def test_a_causal_branch_sees_no_later_token() -> None:
    torch.manual_seed(0)
    x, side = torch.randn(2, 11, 8), stirred_side()
    changed = x.clone()
    changed[:, 7:] += 1
    far = [structure.in_a_row(each, None, 4, side, causal=True) for each in (x, changed)]
    assert torch.equal(far[0][:, :8], far[1][:, :8])
    assert not torch.equal(far[0][:, 8:], far[1][:, 8:])


def stirred_side() -> structure.Side:
    side = structure.Side(8, 8, 2)
    nn.init.normal_(side.up)
    return side


def test_pooling_by_hand() -> None:
    x = torch.tensor([[[9.0], [1.0], [2.0], [3.0], [4.0]]])  # a class token, then patches 1 2 / 3 4
    assert structure.on_patches(x, (2, 2), 2, nn.Identity()).flatten().tolist() == [9, 2.5, 2.5, 2.5, 2.5]
    row, mask = torch.tensor([[[1.0], [3.0], [5.0]]]), torch.tensor([[1, 1, 0]])
    assert structure.in_a_row(row, mask, 2, nn.Identity(), causal=False).flatten().tolist() == [2, 2, 0]
    assert structure.in_a_row(row, None, 2, nn.Identity(), causal=True).flatten().tolist() == [0, 0, 2]


def test_frame_is_a_border() -> None:
    frame = torch.stack([torch.full((1, 2, 32), float(n)) for n in (1, 2, 4, 8)])
    drawn = structure.border(frame, 12, 16)[0]
    assert (drawn[0, 8], drawn[11, 8], drawn[6, 0], drawn[6, 15]) == (1, 2, 4, 8)
    assert not drawn[2:10, 2:14].any()
    assert (drawn != 0).sum() == 12 * 16 - 8 * 12


@pytest.mark.parametrize("kind", ["bert", "llama", "net"])
def test_saving_and_loading(kind: str, tmp_path: Path) -> None:
    make, batch = {"bert": (bert, texts()), "llama": (llama, texts()), "net": (net, pictures(32))}[kind]
    model = stirred(S2A(make(), classes=3, bits=2))
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model(**batch)["loss"].backward()
    optimizer.step()
    model.save(tmp_path / "part.safetensors")
    again = S2A.load(tmp_path / "part.safetensors", make())
    with torch.no_grad():
        assert torch.equal(model.eval()(**batch)["logits"], again.eval()(**batch)["logits"])
    with pytest.raises(InputError, match="another backbone"):
        S2A.load(tmp_path / "part.safetensors", stirred_backbone(make()))


def stirred_backbone(backbone: Any) -> Any:
    with torch.no_grad():
        next(iter(backbone.parameters())).add_(1)
    return backbone


def test_a_file_is_small(tmp_path: Path) -> None:
    """Below 1 % of the backbone at MiniLM's widths: 6 layers x 384."""
    config = transformers.BertConfig(vocab_size=30522, hidden_size=384, intermediate_size=1536, num_hidden_layers=6,
                                     num_attention_heads=12)  # fmt: skip
    model = S2A(transformers.BertModel(config, add_pooling_layer=False), classes=6)
    model.save(tmp_path / "part.safetensors")
    size = sum(p.numel() * 4 for p in model.backbone.parameters())
    assert (tmp_path / "part.safetensors").stat().st_size < 0.01 * size


HEADED = ["BertForSequenceClassification", "LlamaForSequenceClassification", "LlamaForCausalLM"]


@pytest.mark.parametrize("kind", HEADED)
def test_models_with_a_head_keep_it(kind: str) -> None:
    backbone = bert(kind) if kind.startswith("Bert") else llama(kind)
    batch = texts()
    if kind.endswith("LM"):
        batch["labels"] = batch["input_ids"]
    model = stirred(S2A(backbone))
    loss = model(**batch)["loss"]
    loss.backward()
    heads = ("classifier.weight", "score.weight", "lm_head.weight")
    found = [p for name, p in model.backbone.named_parameters() if name in heads]
    assert [p.grad is not None for p in found] == [not kind.endswith("LM")]
    assert cosine(model, batch) > 0.98


def test_bfloat16_backbone_with_float32_part() -> None:
    for make, batch in (ENCODERS["BERT"], ENCODERS["ReLU6"]):
        low = {name: each.bfloat16() if each.is_floating_point() else each for name, each in batch.items()}
        model = stirred(S2A(make().bfloat16(), classes=3))
        model(**low)["loss"].backward()
        trained = [p for p in model.parameters() if p.requires_grad]
        assert all(p.dtype == torch.float32 and p.grad is not None for p in trained)
        with torch.no_grad():
            assert torch.isfinite(model.eval()(**low)["logits"]).all()


def test_autocast() -> None:
    model = stirred(S2A(bert(), classes=3))
    trained, exact = [p for p in model.parameters() if p.requires_grad], gradients(model, texts())
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(**texts())["loss"]
    found = torch.cat([each.flatten() for each in torch.autograd.grad(loss, trained)])
    assert torch.cosine_similarity(found, exact, dim=0) > 0.98


def test_dropout_runs_when_asked() -> None:
    still, moving = (S2A(bert(), classes=3, dropout=on).train() for on in (False, True))
    assert torch.equal(still(**texts())["logits"], still(**texts())["logits"])
    assert not torch.equal(moving(**texts())["logits"], moving(**texts())["logits"])
    assert cosine(moving, texts()) > 0.9  # the same masks: random numbers differ where codes are rounded
    more = training_bytes(moving, texts()).parts["saved"] / training_bytes(still, texts()).parts["saved"]
    assert 1 < more < 1.5


def test_in_a_plain_loop_the_loss_falls() -> None:
    torch.manual_seed(0)
    model = S2A(bert(), classes=3).train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-3)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = model(**texts())["loss"]
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_in_a_trainer_with_bfloat16(tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    torch.manual_seed(0)
    batch, model = texts(), S2A(bert(), classes=3)
    rows = [{name: values[n] for name, values in batch.items()} for n in range(8)]
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path), num_train_epochs=25, per_device_train_batch_size=4, learning_rate=2e-2, use_cpu=True,
        bf16=True, report_to=[], save_strategy="no", remove_unused_columns=False, disable_tqdm=True,
    )  # fmt: skip
    with torch.no_grad():
        before = model.eval()(**batch)["loss"].item()
    transformers.Trainer(model=model, args=arguments, train_dataset=rows).train()
    with torch.no_grad():
        assert model.eval()(**batch)["loss"].item() < 0.5 * before


def test_calibration_fits_the_levels() -> None:
    torch.manual_seed(0)
    model = S2A(bert(initializer_range=0.5), classes=3, prompt=0, side=0, bits=2).train()
    names = activations(model)
    exact = {**dict.fromkeys(all_names(model), 32), **dict.fromkeys(names, 2)}
    model.scope.bits = exact
    before = cosine(model, texts())
    model.calibrate(texts())
    assert set(model.scope.weights) == set(names)
    assert cosine(model, texts()) > before


def all_names(model: S2A) -> list[str]:
    model(**texts())
    return list(model.scope.sizes)


def activations(model: S2A) -> list[str]:
    return [name for name in all_names(model) if name.endswith(".activation")]


def test_bits_are_given_where_they_help() -> None:
    torch.manual_seed(0)
    model = S2A(bert(), classes=3, prompt=0, side=0).train()
    names = all_names(model)
    sizes = {}
    for bits in (2, 4, 8):
        model.scope.bits = bits
        model(**texts())
        sizes[bits] = dict(model.scope.sizes)
    model.scope.bits = 4
    budget = sum(sizes[4].values())
    chosen = allocate_bits(model, texts(), f"{budget} B")
    assert set(chosen) == set(names)
    assert set(chosen.values()) <= {2, 4, 8}
    assert sum(sizes[bits][name] for name, bits in chosen.items()) <= budget
    assert model.scope.bits == 4
    even = cosine(model, texts())
    given = S2A(bert(), classes=3, prompt=0, side=0, bits=chosen).train()
    given.head.load_state_dict(model.head.state_dict())
    assert cosine(given, texts()) > even - 0.002
    assert sum(allocate_bits(model, texts(), "100 MB").values()) > sum(chosen.values())
    with pytest.raises(BudgetError, match="2 bits for every operation take"):
        allocate_bits(model, texts(), "1 kB")


def test_a_configuration_may_serve_two_models() -> None:
    backbone = bert()
    other = type(backbone)(backbone.config, add_pooling_layer=False)
    S2A(backbone, classes=3)
    assert other.config._attn_implementation != backbone.config._attn_implementation
    other(input_ids=texts()["input_ids"])


def test_copies_are_apart() -> None:
    model = stirred(S2A(bert(), classes=3))
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.beside.parameters():
            parameter.zero_()
        assert not torch.equal(model(**texts())["logits"], other(**texts())["logits"])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="neither a stack of transformer layers nor convolutions"):
        S2A(nn.Sequential(nn.Linear(4, 4)), classes=3)
    with pytest.raises(InputError, match="bits must be 1 to 8"):
        S2A(bert(), classes=3, bits=9)
    with pytest.raises(InputError, match="nothing to train"):
        S2A(llama("LlamaForCausalLM"), prompt=0, side=0)
    model = S2A(bert(), classes=3).train()
    with pytest.raises(MnemicError, match="call the S2A model"):
        model.backbone(input_ids=texts()["input_ids"])
    model.backbone.encoder.layer[0].output.dense.weight.requires_grad_(True)
    with pytest.raises(MnemicError, match="need a gradient"):
        model(**texts())


def test_the_meter_sees_uint8() -> None:
    model = S2A(bert(), classes=3).train()
    with saved_bytes(model) as saved:
        loss = model(**texts())["loss"]
    assert saved.peak == saved.now
    assert sum(model.scope.sizes.values()) > 0.9 * saved.peak  # what the operations say they packed is what is held
    del loss
    assert saved.now == 0
