"""LST: which weights of the backbone a side layer starts from."""

from __future__ import annotations

from typing import Any

import pytest

from mnemic.errors import InputError

torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")
nn = torch.nn

from mnemic.footprint.lst import PATTERNS, Ladder  # noqa: E402
from mnemic.footprint.lst.anatomy import Attention, FeedForward, Norm, anatomy  # noqa: E402
from mnemic.footprint.lst.chain import Heads, heads_of, keep, rows_of  # noqa: E402
from mnemic.footprint.lst.importance import Fisher, dense, fitted_head, singles  # noqa: E402


def model(name: str, **options: Any) -> Any:
    torch.manual_seed(0)
    t = transformers
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4} | options
    if name == "bert":
        found = t.BertModel(t.BertConfig(vocab_size=20, **sizes), add_pooling_layer=False)
    elif name == "llama":
        found = t.LlamaForCausalLM(t.LlamaConfig(vocab_size=20, num_key_value_heads=2, **sizes))
    else:
        config = t.T5Config(vocab_size=20, d_model=16, d_kv=4, d_ff=24, num_layers=2, num_heads=4,
                            feed_forward_proj="gated-gelu")  # fmt: skip
        found = t.T5ForConditionalGeneration(config)
    for parameter in found.parameters():  # norms and biases that differ from place to place
        if parameter.dim() == 1:
            nn.init.normal_(parameter, 1.0, 0.3)
    return found


def attention(**changes: Any) -> Attention:
    values: dict[str, Any] = {"name": "self", "readers": ("q", "k", "v"), "writer": "o", "heads": 12, "groups": 1,
                              "size": 32, "rotary": False, "across": False}  # fmt: skip
    return Attention(**values | changes)


# ---- by hand


def test_the_largest_are_kept_in_their_order() -> None:
    assert keep(torch.tensor([0.1, 5.0, 3.0, 4.0]), 2).tolist() == [1, 3]
    assert keep(torch.tensor([7.0, 1.0, 9.0]), 2).tolist() == [0, 2]


def test_rows_are_scored_at_the_kept_columns_only() -> None:
    score = torch.tensor([[9.0, 1.0, 2.0], [0.0, 4.0, 1.0]])
    assert rows_of([score], [torch.tensor([1, 2])]).tolist() == [3.0, 5.0]  # without the 9
    double = torch.tensor([[1.0, 3.0, 1.0], [1.0, 0.0, 2.0]])
    assert rows_of([score, double], [torch.tensor([1, 2])] * 2).tolist() == [1 * 3 + 2 * 1, 4 * 0 + 1 * 2]


def test_products_of_tiny_importances_do_not_vanish() -> None:
    tiny = torch.tensor([[1e-15], [2e-15]])
    assert keep(rows_of([tiny] * 3, [torch.tensor([0])] * 3), 1).tolist() == [1]  # 8e-45 is no float32


def test_layers_that_are_kept() -> None:
    assert PATTERNS["3/4"](12) == [1, 2, 3, 5, 6, 7, 9, 10, 11]  # T5-base in the paper
    assert PATTERNS["half"](24) == list(range(1, 24, 2))  # T5-large
    assert PATTERNS["last"](24) == [23]  # T5-3B
    assert Ladder(model("bert", num_hidden_layers=1), classes=2, reduction=2, layers="half").sides[0].kept == [0]


@pytest.mark.parametrize(
    ("step", "reduction", "asked", "heads"),
    [
        (attention(), 8, None, Heads(12, 1, 4)),  # the paper: all heads, narrower
        (attention(), 8, 3, Heads(3, 1, 16)),
        (attention(), 4, 3, Heads(3, 1, 32)),
        (attention(size=64), 5, None, Heads(3, 1, 51)),  # 153 features: 3 is the most heads that share them
        (attention(rotary=True), 4, None, Heads(3, 1, 32)),  # angles are made for 32 features
        (attention(rotary=True, groups=3), 2, None, Heads(6, 3, 32)),
        (attention(rotary=True, groups=3), 8, None, Heads(1, 1, 32)),
        (attention(heads=14, groups=7, size=64, rotary=True), 4, None, Heads(3, 3, 64)),
    ],
)
def test_heads_of_a_side_attention(step: Attention, reduction: int, asked: int | None, heads: Heads) -> None:
    assert heads_of(step, reduction, asked, "layer.0") == heads


def test_heads_that_are_too_many_are_refused() -> None:
    with pytest.raises(InputError, match=r"layer\.0\.self .*8 features to share; ask for fewer heads"):
        heads_of(attention(size=4), 6, 12, "layer.0")


# ---- what a layer is made of


def test_steps_of_real_layers_in_the_order_in_which_they_run() -> None:
    def shown(layer: Any) -> list[str]:
        return [f"{step.name}" if isinstance(step, Norm) else step.writer for step in anatomy(layer, 16, "layer")]

    bert, llama, t5 = (model(name) for name in ("bert", "llama", "t5"))
    assert shown(bert.encoder.layer[0]) == [
        "attention.output.dense", "attention.output.LayerNorm", "output.dense", "output.LayerNorm",
    ]  # fmt: skip
    assert shown(llama.model.layers[0]) == [
        "input_layernorm", "self_attn.o_proj", "post_attention_layernorm", "mlp.down_proj",
    ]  # fmt: skip
    assert shown(t5.decoder.block[1]) == [
        "layer.0.layer_norm", "layer.0.SelfAttention.o", "layer.1.layer_norm", "layer.1.EncDecAttention.o",
        "layer.2.layer_norm", "layer.2.DenseReluDense.wo",
    ]  # fmt: skip
    steps = anatomy(t5.decoder.block[1], 16, "layer")
    assert [step.across for step in steps if isinstance(step, Attention)] == [False, True]
    assert [step.readers for step in steps if isinstance(step, FeedForward)] == [
        ("layer.2.DenseReluDense.wi_0", "layer.2.DenseReluDense.wi_1")
    ]
    found = next(step for step in anatomy(llama.model.layers[0], 16, "layer") if isinstance(step, Attention))
    assert (found.heads, found.groups, found.size, found.rotary) == (4, 2, 4, True)


# ---- the chain, slowly


def test_a_cut_bert_is_the_chain_written_out() -> None:
    bert = model("bert")
    side = Ladder(bert, classes=2, reduction=2, init="magnitude", layers=[1]).sides[0]
    idx = top(bert.embeddings.word_embeddings.weight.abs().sum(0), 8)
    for n, layer in enumerate(bert.encoder.layer):
        att = layer.attention
        q, k, v = (each.weight[:, idx] for each in (att.self.query, att.self.key, att.self.value))
        rows = top((q * k * v).abs().sum(1), 8)
        into = top(att.output.dense.weight[:, rows].abs().sum(1), 8)
        inner = top(layer.intermediate.dense.weight[:, into].abs().sum(1), 12)
        out = top(layer.output.dense.weight[:, inner].abs().sum(1), 8)
        if n == 1:
            made = side.layers[0]
            assert torch.equal(made.attention.self.key.weight, att.self.key.weight[rows][:, idx])
            assert torch.equal(made.attention.self.value.bias, att.self.value.bias[rows])
            assert torch.equal(made.attention.output.dense.weight, att.output.dense.weight[into][:, rows])
            assert torch.equal(made.attention.output.LayerNorm.weight, att.output.LayerNorm.weight[into])
            assert torch.equal(made.intermediate.dense.weight, layer.intermediate.dense.weight[inner][:, into])
            assert torch.equal(made.output.dense.weight, layer.output.dense.weight[out][:, inner])
            assert torch.equal(made.output.LayerNorm.bias, layer.output.LayerNorm.bias[out])
        idx = out


def top(score: Any, k: int) -> list[int]:
    return sorted(sorted(range(len(score)), key=lambda n: -score[n].item())[:k])


def test_a_cut_llama_keeps_whole_heads_with_their_keys() -> None:
    llama = model("llama")
    side = Ladder(llama, reduction=2, init="magnitude").sides[0]
    layer, made = llama.model.layers[0], side.layers[0]
    idx = top(llama.model.embed_tokens.weight.abs().sum(0), 8)
    q, k, v = (each.weight[:, idx] for each in (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj))
    twice = [each.view(2, 4, 8).repeat_interleave(2, 0).reshape(16, 8) for each in (k, v)]  # one for each query head
    by_key = (q * twice[0] * twice[1]).abs().sum(1).view(2, 8).sum(1)
    best = int(by_key.argmax())
    assert torch.equal(made.self_attn.k_proj.weight, k[4 * best : 4 * best + 4])
    assert torch.equal(made.self_attn.q_proj.weight, q[8 * best : 8 * best + 8])
    assert torch.equal(made.input_layernorm.weight, layer.input_layernorm.weight[idx])
    assert made.self_attn.num_key_value_groups == 2


def test_t5_keeps_its_table_of_relative_positions() -> None:
    t5 = model("t5")
    table = t5.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight
    sides = Ladder(t5, reduction=2, layers=[1]).sides
    made = sides[0].layers[0].layer[0].SelfAttention
    assert torch.equal(made.relative_attention_bias.weight, table)
    assert made.relative_attention_bias.weight.requires_grad
    fewer = Ladder(model("t5"), reduction=2, heads=2).sides[0].layers[0].layer[0].SelfAttention
    columns = [tuple(column) for column in table.T.tolist()]
    assert all(tuple(column) in columns for column in fewer.relative_attention_bias.weight.T.tolist())
    assert fewer.relative_attention_bias.weight.shape == (32, 2)


def test_keys_that_are_read_across_are_cut_where_the_encoder_ended() -> None:
    t5 = model("t5")
    sides = Ladder(t5, reduction=2).sides
    ended = t5.encoder.final_layer_norm.weight.tolist()
    kept = [ended.index(value) for value in sides[0].norm.weight.tolist()]
    whole = t5.decoder.block[0].layer[1].EncDecAttention.k.weight
    made = sides[1].layers[0].layer[1].EncDecAttention.k.weight
    assert all(any(torch.equal(row, other) for other in whole[:, kept]) for row in made)


def test_random_weights_are_new_ones() -> None:
    bert = model("bert")
    made = Ladder(bert, classes=2, reduction=2, init="random").sides[0].layers[0]
    values = set(bert.encoder.layer[0].attention.self.query.weight.flatten().tolist())
    assert not values & set(made.attention.self.query.weight.flatten().tolist())
    assert torch.equal(made.output.LayerNorm.weight, torch.ones(8))


# ---- importance


def test_fisher_is_the_sum_of_squared_gradients_of_single_samples() -> None:
    linear, x = nn.Linear(2, 1, bias=False), [torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 0.0]])]
    fisher = Fisher(linear, [linear])
    fisher.observe([{"x": each} for each in x], lambda row: 2 * linear(row["x"]).sum())
    assert fisher(linear).tolist() == [[4 * (1 + 9), 4 * 4.0]]  # (2 x)^2, not the square of the mean


def test_samples_are_taken_one_by_one() -> None:
    rows = singles([{"x": torch.arange(3), "n": 1}, {"x": torch.arange(3, 6), "n": 1}], 4)
    assert [row["x"].tolist() for row in rows] == [[0], [1], [2], [3]]


def test_the_head_of_a_bare_encoder_is_fitted() -> None:
    features = [torch.tensor([[float(n), 1.0]]) for n in range(-4, 5)]
    head = fitted_head(features, torch.tensor([0] * 4 + [1] * 5), 2)
    assert [int(head(each).argmax()) for each in (features[0], features[-1])] == [0, 1]


def test_the_matrix_of_whatever_multiplies() -> None:
    class Hidden(nn.Module):  # type: ignore[misc, name-defined]
        """Stores its weight in a way of its own, like layers in 4 bits."""

        in_features, out_features = 3, 2

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(6, dtype=torch.uint8), requires_grad=False)
            self.matrix = torch.arange(6.0).view(2, 3)

        def forward(self, x: Any) -> Any:
            return x @ self.matrix.T + 5

    assert torch.equal(dense(Hidden()), torch.arange(6.0).view(2, 3))
