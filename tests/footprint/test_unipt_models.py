"""UniPT beside real model classes: transformers of every shape, convolutional networks, frozen in 8 or 4 bits."""

from __future__ import annotations

import copy
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from mnemic.errors import BudgetError, InputError, MnemicError

torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")
nn = torch.nn

from mnemic.footprint.unipt import UniPT, states  # noqa: E402
from mnemic.footprint.unipt.listening import places  # noqa: E402
from mnemic.nets.efficientnet import efficientnet_lite0  # noqa: E402

IDS = torch.tensor([[3, 4, 5, 6], [7, 8, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
TEXTS = {"input_ids": IDS, "attention_mask": MASK}
CLASSES = torch.tensor([0, 1])
SMALL = {"vocab_size": 20, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2}


def bert(kind: str = "BertModel", seed: int = 0, **more: Any) -> Any:
    torch.manual_seed(seed)
    return getattr(transformers, kind)(transformers.BertConfig(**SMALL, **more)).eval()


def llama(kind: str = "LlamaForCausalLM") -> Any:
    torch.manual_seed(0)
    return getattr(transformers, kind)(
        transformers.LlamaConfig(**SMALL, num_key_value_heads=1, pad_token_id=0, bos_token_id=1, eos_token_id=None)
    ).eval()


def t5() -> Any:
    torch.manual_seed(0)
    return transformers.T5ForConditionalGeneration(transformers.T5Config(
        vocab_size=20, d_model=16, d_kv=4, d_ff=32, num_layers=4, num_heads=2, decoder_start_token_id=0,
    )).eval()  # fmt: skip


def resnet(kind: str = "ResNetForImageClassification") -> Any:
    torch.manual_seed(0)
    return getattr(transformers, kind)(transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 24], depths=[1, 1, 1], layer_type="basic")).eval()  # fmt: skip


class Net(nn.Module):
    """A small network of no library: three stages, functional pooling, a linear end."""

    def __init__(self, end: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        sizes = [3, 4, 8, 16]
        self.stages = nn.Sequential(*(
            nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.ReLU(inplace=True), nn.Conv2d(b, b, 1))
            for a, b in pairwise(sizes)
        ))  # fmt: skip
        self.fc = nn.Linear(16, 5) if end else nn.Identity()

    def forward(self, x: Any) -> Any:
        return self.fc(self.stages(x).mean((2, 3)))


def trained(model: Any, batch: dict[str, Any], steps: int = 3) -> list[float]:
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(**batch)["loss"]
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


PIXELS = {"pixel_values": torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))}
CASES: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "bert": (bert, {"classes": 2}, {**TEXTS, "labels": CLASSES}),
    "bert, its head": (lambda: bert("BertForSequenceClassification"), {}, {**TEXTS, "labels": CLASSES}),
    "bert, joint": (bert, {"classes": 2, "variant": "joint"}, {**TEXTS, "labels": CLASSES}),
    "bert, single": (bert, {"classes": 2, "variant": "single"}, {**TEXTS, "labels": CLASSES}),
    "bert, some layers": (bert, {"classes": 2, "layers": [1, 3], "reduction": 4}, {**TEXTS, "labels": CLASSES}),
    "llama": (llama, {}, {**TEXTS, "labels": IDS}),
    "llama, its head": (lambda: llama("LlamaForSequenceClassification"), {}, {**TEXTS, "labels": CLASSES}),
    "llama, bare": (lambda: llama("LlamaModel"), {"classes": 2}, {**TEXTS, "labels": CLASSES}),
    "t5": (t5, {}, {**TEXTS, "labels": IDS}),
    "resnet, its head": (resnet, {}, {**PIXELS, "labels": torch.tensor([0, 1, 0, 1])}),
    "resnet, bare": (lambda: resnet("ResNetModel"), {"classes": 2}, {**PIXELS, "labels": torch.tensor([0, 1, 0, 1])}),
    "net": (lambda: Net().eval(), {}, {**PIXELS, "labels": torch.tensor([0, 1, 2, 3])}),
    "net, bare": (lambda: Net(end=False).eval(), {"classes": 4}, {**PIXELS, "labels": torch.tensor([0, 1, 2, 3])}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_trains_beside_it_and_comes_back_from_a_file(case: str, tmp_path: Path) -> None:
    make, options, batch = CASES[case]
    torch.manual_seed(1)
    backbone = make()
    before = {name: parameter.clone() for name, parameter in backbone.named_parameters()}
    model = UniPT(backbone, **options)
    losses = trained(model, batch, steps=6)
    assert losses[-1] < losses[0]
    asleep = [p for p in model.parameters() if p.requires_grad and p.grad is None]
    assert asleep == []
    for name, parameter in backbone.named_parameters():
        assert parameter.requires_grad or torch.equal(parameter, before[name])
    model.save(tmp_path / "part.safetensors")
    again = UniPT.load(tmp_path / "part.safetensors", make()).eval()
    with torch.no_grad():
        assert torch.equal(again(**batch).logits, model.eval()(**batch).logits)


@pytest.mark.parametrize("case", ["bert", "llama", "t5", "net"])
def test_a_copy_is_a_model_of_its_own(case: str) -> None:
    make, options, batch = CASES[case]
    model = UniPT(make(), **options).eval()
    other = copy.deepcopy(model)
    with torch.no_grad():
        before = model(**batch).logits
        for parameter in other.parameters():
            parameter.add_(0.1)
        other(**batch)
        assert torch.equal(model(**batch).logits, before)


def test_states_are_those_that_the_model_reports() -> None:
    net = llama("LlamaModel")
    reported = net(**TEXTS, output_hidden_states=True).hidden_states
    found = states(net, **TEXTS)
    assert len(found) == 5
    assert all(torch.equal(mine, theirs) for (mine, _), theirs in zip(found, reported, strict=True))
    assert all(mask is MASK for _, mask in found)


def test_on_stored_features_it_is_the_same_as_beside_the_model() -> None:
    stored = UniPT(
        lambda states, attention_mask: [(state, attention_mask) for state in states], dims=[16] * 5, classes=2
    )
    live = UniPT(bert(), classes=2).eval()
    live.load_state_dict(stored.small_part(), strict=False)
    found = [state for state, _ in states(bert(), **TEXTS)]
    with torch.no_grad():
        kept = stored.eval()(states=found, attention_mask=MASK)["logits"]
        assert torch.equal(live(**TEXTS)["logits"], kept)


def test_padding_on_either_side_changes_nothing() -> None:
    model = UniPT(bert(position_embedding_type="absolute"), classes=2).eval()
    longer = {name: torch.cat([value, torch.zeros(2, 3, dtype=torch.long)], 1) for name, value in TEXTS.items()}
    with torch.no_grad():
        assert torch.allclose(model(**TEXTS).logits, model(**longer).logits, atol=1e-6)


def test_language_model_starts_as_it_was_and_sees_no_later_token() -> None:
    plain = llama()(**TEXTS).logits
    model = UniPT(llama()).eval()
    with torch.no_grad():
        assert torch.equal(model(**TEXTS).logits, plain)
        for parameter in model.fusions.parameters():
            parameter.add_(0.05)
        changed = {**TEXTS, "input_ids": torch.tensor([[3, 4, 9, 9], [7, 8, 0, 0]])}
        one, other = model(**TEXTS).logits, model(**changed).logits
    assert torch.allclose(one[0, :2], other[0, :2], atol=1e-6)
    assert not torch.allclose(one[0, 2:], other[0, 2:], atol=1e-3)


@pytest.mark.parametrize(("make", "beams"), [(llama, 1), (t5, 1), (t5, 2)])
def test_generates_what_step_by_step_is_likeliest(make: Any, beams: int) -> None:
    torch.manual_seed(3)
    model = UniPT(make()).eval()
    with torch.no_grad():
        for parameter in model.fusions.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    told = model.generate(input_ids=IDS[:1], max_new_tokens=4, min_new_tokens=4, do_sample=False, num_beams=beams)
    if beams > 1:
        assert told.shape[1] == 5
        return
    own = torch.zeros(1, 1, dtype=torch.long) if make is t5 else IDS[:1]
    for _ in range(4):
        batch = {"input_ids": IDS[:1], "decoder_input_ids": own} if make is t5 else {"input_ids": own}
        with torch.no_grad():
            logits = model(**batch).logits[:, -1]
        logits[:, 1] = -torch.inf  # T5's end of text, which min_new_tokens keeps away
        own = torch.cat([own, logits.argmax(-1, keepdim=True)], 1)
    assert torch.equal(told, own) or (make is llama and torch.equal(told[:, :5], own[:, :5]))


def test_keys_and_values_that_were_kept_are_refused() -> None:
    model = UniPT(llama())
    with pytest.raises(InputError, match="use_cache=False"), torch.no_grad():
        model.generate(input_ids=IDS, attention_mask=MASK, max_new_tokens=3, use_cache=True)
    encoded = t5().encoder(IDS)
    with pytest.raises(InputError, match="give input_ids, or use generate"):
        UniPT(t5())(encoder_outputs=encoded, labels=IDS)


def test_pair_hands_out_states_for_auxiliary_losses() -> None:
    made = UniPT(t5())(**TEXTS, labels=IDS, return_info=True)
    assert made["states"].shape == (3, 2, 4, 16)  # inputs of layers 1 and 3, and what is made of them
    assert made["confidence"].shape == (2, 4, 2)
    assert "states" not in UniPT(t5())(**TEXTS, labels=IDS)
    assert torch.allclose(made["confidence"].sum(-1), torch.ones(2, 4))


def test_targets_are_the_inputs_of_the_layers_that_are_named() -> None:
    model, seen = UniPT(bert(), classes=2, layers="odd"), []
    model.backbone.encoder.layer[1].register_forward_pre_hook(lambda layer, args: seen.append(args[0]))
    shrink = model._listeners[0].shrink
    model._listeners[0].shrink = lambda n, state: (seen.append(state), shrink(n, state))[1]
    model(**TEXTS)
    assert torch.equal(seen[0], seen[1])


def test_stages_are_found_by_structure() -> None:
    assert [place.channels for place in places(Net())] == [4, 8, 16]
    assert [place.channels for place in places(resnet())] == [8, 8, 16, 24]
    assert [place.channels for place in places(efficientnet_lite0(trained=False))] == [16, 24, 40, 112, 1280]
    model = UniPT(efficientnet_lite0(trained=False), classes=10)
    assert [guide.weight.shape[0] for guide in model.alignment.guides] == [24, 40, 112]


def test_maps_are_those_of_the_network() -> None:
    net = efficientnet_lite0(trained=False)
    found = [state for state, _ in states(net, pixel_values=PIXELS["pixel_values"])]
    maps = net.features(PIXELS["pixel_values"])
    assert all(torch.equal(found[n], maps[k]) for n, k in enumerate((0, 1, 2, 4)))
    assert torch.equal(found[-1], net.head(maps[-1]))


@pytest.mark.parametrize("bits", [8, 4])
def test_backbone_in_few_bits_stays_frozen(bits: int) -> None:
    bnb = pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    torch.manual_seed(0)
    net = transformers.BertModel(
        transformers.BertConfig(**{**SMALL, "hidden_size": 64, "intermediate_size": 64})
    ).eval()
    for layer in net.encoder.layer:
        old = layer.intermediate.dense
        new = bnb.nn.Linear8bitLt(64, 64, has_fp16_weights=False) if bits == 8 else bnb.nn.Linear4bit(64, 64)
        new.load_state_dict(old.state_dict(), strict=False)
        layer.intermediate.dense = new.to("cpu")
    model = UniPT(net, classes=2)
    assert trained(model, {**TEXTS, "labels": CLASSES}, steps=4)[-1] < 0.8
    assert all(name.startswith(("fusions", "head")) for name, p in model.named_parameters() if p.requires_grad)


@pytest.mark.parametrize("case", ["bert", "bert, its head", "llama", "t5", "net"])
def test_backbone_in_16_bits_with_a_part_in_32(case: str) -> None:
    make, options, batch = CASES[case]
    if "pixel_values" in batch:
        batch = {**batch, "pixel_values": batch["pixel_values"].bfloat16()}
    model = UniPT(make().bfloat16(), **options)
    assert {p.dtype for p in model.fusions.parameters()} == {torch.float32}
    trained(model, batch)
    with torch.autocast("cpu", torch.bfloat16):
        trained(model, batch)


def test_works_in_trainer(tmp_path: Path) -> None:
    rows = [{"input_ids": IDS[n % 2], "attention_mask": MASK[n % 2], "labels": n % 2} for n in range(8)]
    model = UniPT(bert(), classes=2)
    arguments = transformers.TrainingArguments(
        str(tmp_path), max_steps=4, per_device_train_batch_size=4, report_to=[], bf16=True, use_cpu=True,
        save_strategy="no", learning_rate=1e-2,
    )  # fmt: skip
    trainer = transformers.Trainer(model, arguments, train_dataset=rows, eval_dataset=rows)
    trainer.train()
    assert trainer.evaluate()["eval_loss"] > 0
    assert trainer.predict(rows).predictions.shape == (8, 2)


def test_features_without_a_head() -> None:
    model = UniPT(bert(), width=24)
    assert model(**TEXTS)["last_hidden_state"].shape == (2, 4, 24)
    assert model.features(**TEXTS).confidence.shape == (2, 4)
    with pytest.raises(InputError, match="has no head for labels: give classes="):
        model(**TEXTS, labels=CLASSES)


def test_one_query_is_the_vector_that_a_dual_encoder_projects() -> None:
    torch.manual_seed(0)
    tower = transformers.CLIPTextModelWithProjection(transformers.CLIPTextConfig(
        **SMALL, projection_dim=8, max_position_embeddings=8, bos_token_id=1, eos_token_id=19)).eval()  # fmt: skip
    ids = torch.tensor([[3, 19, 5, 5], [1, 2, 3, 19]])
    model = UniPT(tower, variant="single", position="eot", width=8).eval()
    for parameter in model.fusions[0].up.parameters():
        nn.init.zeros_(parameter)
    made = model.features(input_ids=ids)
    assert torch.equal(made.output[:, 0], tower(input_ids=ids).text_embeds)  # the raw vector is added
    assert made.confidence.shape == (2, 5)  # the last layer is a target too
    assert UniPT(tower, variant="single", width=8, classes=3)(input_ids=ids).logits.shape == (2, 3)
    with pytest.raises(InputError, match="returns no vector of 6 features"):
        UniPT(tower, variant="single", width=6)(input_ids=ids)


def test_a_budget_chooses_the_width_then_the_layers() -> None:
    batch = {**TEXTS, "labels": CLASSES}
    sizes = list(UniPT.sizes(bert()))
    used = [UniPT(bert(), classes=2, **size).used(batch).amount for size in sizes]
    assert used == sorted(used, reverse=True)
    assert UniPT.within(f"{used[1]} bytes", bert(), batch, classes=2).options["reduction"] == sizes[1]["reduction"]
    found = UniPT.within("1 MB", lambda: states(bert(), **TEXTS), {"labels": CLASSES}, dims=[16] * 5, classes=2)
    assert found.options["reduction"] == 2
    with pytest.raises(BudgetError, match="unipt needs at least"):
        UniPT.within("1 kB", bert(), batch, classes=2)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="BertForSequenceClassification brings a head of its own"):
        UniPT(bert("BertForSequenceClassification"), classes=2)
    with pytest.raises(InputError, match="reads 16 features: leave width= out"):
        UniPT(llama(), width=8)
    with pytest.raises(InputError, match="Linear is neither a transformer nor a convolutional network"):
        UniPT(nn.Linear(3, 3), classes=2)
    with pytest.raises(InputError, match='variant "maps" reads maps, and BertModel has none'):
        UniPT(bert(), variant="maps", classes=2)
    with pytest.raises(InputError, match='"mdetr" is no variant of UniPT'):
        UniPT(bert(), variant="mdetr", classes=2)
    with pytest.raises(InputError, match='position is "middle"'):
        UniPT(bert(), variant="single", position="middle", classes=2)
    with pytest.raises(InputError, match="multiples of what the network shrinks them by"):
        UniPT(Net(end=False).eval(), classes=2)(pixel_values=torch.zeros(1, 3, 36, 36))


def test_a_backbone_that_wakes_up_is_noticed() -> None:
    model = UniPT(bert(), classes=2).train()
    model.backbone.encoder.layer[1].output.dense.bias.requires_grad_(True)
    with pytest.raises(MnemicError, match="1 parameters of the backbone need a gradient"):
        model(**TEXTS, labels=CLASSES)


def test_a_backbone_serves_the_latest_model() -> None:
    net, batch = llama(), {**TEXTS, "labels": IDS}
    first = UniPT(net)
    trained(first, batch)
    expected = UniPT(llama()).eval()(**TEXTS).logits
    assert torch.equal(UniPT(net).eval()(**TEXTS).logits, expected)
    with pytest.raises(InputError, match="a later UniPT was built on it"):
        first(**TEXTS)
