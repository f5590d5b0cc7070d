"""Stacks of layers are found by structure in real model classes, run without gradients, and end as one likes."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from mnemic.errors import InputError
from mnemic.meter import saved_bytes

torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")
nn = torch.nn

from mnemic.footprint._head import Output, masked_mean, output, own_head  # noqa: E402
from mnemic.footprint._stacks import linear_shape, only_stack, stacks  # noqa: E402
from mnemic.footprint._trace import Frozen, Trace  # noqa: E402

IDS = torch.tensor([[3, 4, 5, 6], [7, 8, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])


def model(name: str) -> Any:
    torch.manual_seed(0)
    t = transformers
    if name == "bert":
        config = t.BertConfig(vocab_size=20, hidden_size=16, intermediate_size=32, num_hidden_layers=3,
                              num_attention_heads=2)  # fmt: skip
        return t.BertForSequenceClassification(config).eval()
    if name == "llama":
        return t.LlamaForCausalLM(t.LlamaConfig(
            vocab_size=20, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2)).eval()  # fmt: skip
    if name == "gpt2":
        return t.GPT2LMHeadModel(t.GPT2Config(vocab_size=20, n_embd=16, n_layer=2, n_head=2, bos_token_id=1,
                                              eos_token_id=2)).eval()  # fmt: skip
    if name == "t5":
        return t.T5ForConditionalGeneration(t.T5Config(
            vocab_size=20, d_model=16, d_kv=4, d_ff=32, num_layers=2, num_heads=2)).eval()  # fmt: skip
    return t.ViTModel(t.ViTConfig(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
                                  image_size=16, patch_size=8)).eval()  # fmt: skip


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("bert", [("bert.encoder.layer", 3)]),
        ("llama", [("model.layers", 2)]),
        ("gpt2", [("transformer.h", 2)]),
        ("t5", [("encoder.block", 2), ("decoder.block", 2)]),
        ("vit", [("layers", 2)]),
    ],
)
def test_stacks_of_real_classes(name: str, found: list[tuple[str, int]]) -> None:
    assert [(stack.name, len(stack.layers)) for stack in stacks(model(name))] == found
    assert {stack.width for stack in stacks(model(name))} == {16}


def test_what_has_no_stack_is_refused() -> None:
    with pytest.raises(InputError, match="Sequential has no stack of transformer layers"):
        stacks(nn.Sequential(nn.Linear(3, 3), nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])))
    with pytest.raises(InputError, match=r"has several stacks of layers \(encoder.block, decoder.block\)"):
        only_stack(model("t5"))


def test_shapes_of_what_multiplies() -> None:
    from transformers.pytorch_utils import Conv1D

    assert linear_shape(nn.Linear(3, 5)) == (5, 3)
    assert linear_shape(Conv1D(5, 3)) == (5, 3)
    assert linear_shape(nn.LayerNorm(3)) is None


def test_states_are_what_the_model_itself_reports() -> None:
    bert = model("bert").bert
    expected = bert(input_ids=IDS, attention_mask=MASK, output_hidden_states=True).hidden_states
    seen: list[Any] = []
    Frozen(only_stack(bert), lambda trace: (seen.extend(trace.states), trace.states[-1])[1])
    bert(input_ids=IDS, attention_mask=MASK)
    assert len(seen) == 4
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(seen, expected, strict=True))


class Doubling:
    """An ending with a parameter: the last state, scaled."""

    def __init__(self) -> None:
        self.scale = nn.Parameter(torch.tensor(2.0))

    def __call__(self, trace: Trace) -> Any:
        return trace.states[-1] * self.scale


def test_the_last_state_is_replaced_and_the_head_reads_it() -> None:
    whole = model("bert")
    plain = whole.bert.encoder(whole.bert.embeddings(IDS)).last_hidden_state
    ending = Doubling()
    Frozen(stacks(whole)[0], ending)
    assert torch.equal(whole.bert(input_ids=IDS).last_hidden_state, plain * 2)
    whole(input_ids=IDS, labels=torch.tensor([0, 1])).loss.backward()
    assert ending.scale.grad.abs() > 0
    assert all(parameter.grad is None for parameter in whole.bert.encoder.parameters())


def test_nothing_is_saved_inside_the_stack() -> None:
    whole = model("bert")
    whole.requires_grad_(False)
    ending = Doubling()
    Frozen(stacks(whole)[0], ending)
    with saved_bytes(whole) as kept:
        loss = whole.bert.encoder(whole.bert.embeddings(IDS)).last_hidden_state.sum()
    assert loss.requires_grad
    assert kept.peak == 2 * 4 * 16 * 4  # H_N, for the gradient of the scale


def test_gradients_come_back_after_an_error() -> None:
    bert = model("bert").bert
    Frozen(only_stack(bert))
    with pytest.raises(RuntimeError, match="99"):
        bert.encoder(torch.zeros(2, 4, 99))
    assert torch.is_grad_enabled()
    with torch.no_grad():
        bert(input_ids=IDS)
        assert not torch.is_grad_enabled()


def test_a_copy_has_hooks_of_its_own() -> None:
    class Holder(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.bert = model("bert").bert
            self.frozen = Frozen(only_stack(self.bert), self.end)
            self.scale = nn.Parameter(torch.tensor(1.0))

        def end(self, trace: Trace) -> Any:
            return trace.states[-1] * self.scale

    first = Holder()
    second = copy.deepcopy(first)
    with torch.no_grad():
        second.scale.fill_(3.0)
    ours, theirs = (each.bert(input_ids=IDS).last_hidden_state for each in (first, second))
    assert torch.allclose(theirs, ours * 3)


def test_hooks_can_be_taken_off() -> None:
    bert = model("bert").bert
    Frozen(only_stack(bert), Doubling()).remove()
    assert bert(input_ids=IDS).last_hidden_state.requires_grad


@pytest.mark.parametrize(("name", "own"), [("bert", ["classifier.weight", "classifier.bias"]), ("llama", []),
                                           ("gpt2", []), ("t5", []), ("vit", [])])  # fmt: skip
def test_classifiers_are_a_tasks_own_head_and_vocabularies_are_not(name: str, own: list[str]) -> None:
    assert own_head(model(name)) == own


def test_masked_mean_by_hand() -> None:
    hidden = torch.tensor([[[1.0], [3.0], [9.0]], [[2.0], [4.0], [6.0]]])  # [2 3 1]
    mask = torch.tensor([[1, 1, 0], [0, 0, 0]])
    assert masked_mean(hidden, mask).tolist() == [[2.0], [0.0]]  # nothing but padding is no division by zero
    assert masked_mean(hidden[1:]).tolist() == [[4.0]]


def test_losses_by_hand() -> None:
    two = output(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))
    assert two.loss.item() == pytest.approx(0.6931, abs=1e-4)  # ln 2
    assert output(torch.tensor([[3.0]]), torch.tensor([1])).loss.item() == 4.0
    assert output(torch.zeros(1, 2)).keys() == {"logits"}
    with pytest.raises(AttributeError, match="loss"):
        _ = output(torch.zeros(1, 2)).loss
    assert isinstance(two, Output)
