"""VQT against the joint form that is its equation; its pieces by hand, its bytes, and what a query sees."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch")
pytest.importorskip("transformers")

import sample_vqt as sample  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from mnemic.errors import BudgetError  # noqa: E402
from mnemic.footprint._stacks import only_stack  # noqa: E402
from mnemic.footprint.vqt import VQT  # noqa: E402
from mnemic.footprint.vqt.attention import Attended, Sloped, jacobian  # noqa: E402
from mnemic.footprint.vqt.head import PiecesHead  # noqa: E402
from mnemic.footprint.vqt.streams import read  # noqa: E402
from mnemic.meter import saved_bytes  # noqa: E402

KEPT, MODELS, Batch = sample.KEPT, sample.MODELS, dict[str, Any]
bert, vit, timm, llama, texts, images = (getattr(sample, name) for name in "bert vit timm llama texts images".split())
made, learned, far = sample.made, sample.learned, sample.far


# The equation: queries and tokens together through each layer, everything recorded, queries no keys, then cut off.


class Joint:
    """The released code's form, by hooks: each layer gets its queries behind its tokens, and gives only tokens on."""

    def __init__(self, layers: nn.ModuleList, queries: nn.ParameterList) -> None:
        self.states: list[Tensor] = []
        self.tokens: list[Tensor] = []
        for layer, own in zip(layers, queries, strict=True):
            layer.register_forward_pre_hook(partial(self.join, own), with_kwargs=True)
            layer.register_forward_hook(self.cut)

    def join(self, own: Tensor, layer: nn.Module, args: tuple[Any, ...], kwargs: Batch) -> tuple[Any, Batch]:
        hidden, mask = args[0], (args[1] if len(args) > 1 else kwargs.get("attention_mask"))
        self.count, (b, t, _) = len(own), hidden.shape
        sees = torch.zeros(b, 1, t + self.count, t + self.count, dtype=torch.bool)
        sees[..., :t] = True if mask is None else mask[..., :1, :]
        joined = torch.cat([hidden, own.expand(b, -1, -1)], dim=1)
        return (joined, sees, *args[2:]), {key: value for key, value in kwargs.items() if key != "attention_mask"}

    def cut(self, layer: nn.Module, args: Any, output: Any) -> Any:
        output = output if isinstance(output, Tensor) else output[0]
        self.states.append(output[:, -self.count :])
        self.tokens.append(output[:, : -self.count])
        return self.tokens[-1]


@pytest.mark.parametrize("name", ["bert", "vit"])
@pytest.mark.parametrize("keep", KEPT)
def test_two_streams_are_the_joint_form(name: str, keep: str) -> None:
    make, batch = MODELS[name][0], MODELS[name][1]()
    labels = batch["labels"]
    inputs = {key: value for key, value in batch.items() if key != "labels"}
    model = made(make(), keep=keep)
    with saved_bytes(model) as ours:
        loss = model(**batch)["loss"]
    loss.backward()

    backbone = make().requires_grad_(False)
    plain = backbone(**inputs).last_hidden_state
    queries = nn.ParameterList([nn.Parameter(each.detach().clone()) for each in model.queries])
    joint = Joint(only_stack(backbone).layers, queries)
    with saved_bytes(nn.ModuleList([backbone, queries])) as naive:
        hidden = backbone(**inputs).last_hidden_state
        phi = model.head.phi(hidden[:, 0], joint.states)
        right = functional.cross_entropy(model.head.linear(phi), labels)
    right.backward()

    assert torch.allclose(hidden, plain, atol=1e-6)  # the tokens do not notice
    assert abs(loss.item() - right.item()) < 1e-5
    assert far([each.grad for each in model.queries], [each.grad for each in queries]) < 1e-5
    assert ours.peak < 0.35 * naive.peak


@pytest.mark.parametrize("name", MODELS)
def test_what_is_kept_does_not_change_the_gradient(name: str) -> None:
    make, batch = MODELS[name][0], MODELS[name][1]()
    loss, right = learned(made(make(), keep="graph"), batch)
    for keep in KEPT[1:]:
        own_loss, own = learned(made(make(), keep=keep), batch)
        assert abs(own_loss - loss) < 1e-5
        assert far(own, right) < 1e-5, keep
    for keep in ("keys", "jacobians"):
        own_loss, own = learned(made(make(), keep=keep, half=True), batch)
        assert far(own, right) < 5e-3, keep


@pytest.mark.parametrize("queries", [1, 2])
@pytest.mark.parametrize("kv", [1, 4])
def test_grouped_heads_are_read(queries: int, kv: int) -> None:
    _, right = learned(made(llama(kv), keep="graph", queries=queries), texts())
    for keep in KEPT[1:]:
        assert far(learned(made(llama(kv), keep=keep, queries=queries), texts())[1], right) < 1e-5


def test_the_gradient_is_the_derivative() -> None:
    for keep in KEPT:
        model = made(bert().double(), keep=keep, queries=1).double()
        batch, own = texts(rows=2), model.queries[1].detach().clone().requires_grad_(True)

        def state(queries: Tensor, model: VQT = model, batch: Batch = batch) -> Tensor:
            given = {key: value for key, value in batch.items() if key != "labels"}
            return read(model.backbone, model.stack, {1: queries}, ((), given), keep=model.keep).states[1]

        assert torch.autograd.gradcheck(state, (own,), fast_mode=True)


# The pieces, by hand.


def test_attention_of_a_query_by_hand() -> None:
    # keys 0 and ln 3 for a query of 1 and scale 1: shares 1/4 and 3/4; out = 1/4 * 4 + 3/4 * 8 = 7
    key, value = (torch.tensor(each).view(1, 1, 2, 1) for each in ([0.0, 1.0986123], [4.0, 8.0]))
    asked = Attended(key, value, None, heads=1, scale=1.0)
    query = torch.ones(1, 1, 1, 1)
    out, slope = jacobian(asked, query)
    assert asked(query).item() == pytest.approx(7.0)
    assert out.item() == pytest.approx(7.0)
    # the covariance of value and key: E[vk] - E[v]E[k] = (3/4 * 8 - 7 * 3/4) * ln 3 = 0.75 ln 3
    assert slope.item() == pytest.approx(0.75 * 1.0986123)


def test_the_jacobian_is_that_of_autograd() -> None:
    own = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 4, n, 3, generator=own, dtype=torch.float64) for n in (2, 5, 5))
    visible = torch.ones(2, 1, 1, 5, dtype=torch.bool)
    visible[1, ..., 3:] = False
    asked = Attended(key, value, visible, heads=4, scale=None)
    out, slope = jacobian(asked, query)
    right = torch.autograd.functional.jacobian(asked, query)  # [b a q v b a q k]
    assert torch.allclose(torch.einsum("baqvbaqk->baqvk", right), slope)
    assert torch.allclose(out, asked(query))
    gradient = torch.randn(out.shape, generator=own, dtype=torch.float64)
    leaf, other = query.clone().requires_grad_(True), query.clone().requires_grad_(True)
    Sloped.apply(leaf, out, slope).backward(gradient)
    asked(other).backward(gradient)
    assert torch.allclose(leaf.grad, other.grad)


def test_phi_by_hand() -> None:
    states = [torch.tensor([[[3.0, 0.0], [0.0, 4.0]]])]
    summary = torch.tensor([[0.0, 2.0]])
    concat = PiecesHead(2, [2], 3)
    assert torch.allclose(concat.phi(summary, states), torch.tensor([[0.0, 1.0, 0.6, 0.0, 0.0, 0.8]]))
    mean = PiecesHead(2, [2], 3, combine="mean", normalize=False)
    assert mean.phi(summary, states).tolist() == [[0.0, 2.0, 1.5, 2.0]]
    weighted = PiecesHead(2, [2], 3, combine="weighted", normalize=False, summary=False)
    with torch.no_grad():
        weighted.weights[0].copy_(torch.tensor([1.0, -1.0]))
    assert weighted.phi(None, states).tolist() == [[3.0, -4.0]]


def test_it_starts_as_the_paper_says() -> None:
    model = made(vit(), queries=50)  # patches of 4, width 32: v = sqrt(6 / (3 * 16 + 32)) = sqrt(0.075)
    values = torch.cat([each.flatten() for each in model.queries])
    assert values.abs().max().item() == pytest.approx(0.075**0.5, rel=1e-2)
    assert abs(values.mean().item()) < 0.02
    assert values.std().item() == pytest.approx((0.075 / 3) ** 0.5, rel=0.05)
    assert model.head.linear.bias.tolist() == pytest.approx([-4.5951] * 3, abs=1e-4)  # -log 99
    assert model.head.linear.weight.std().item() == pytest.approx((2 / 3) ** 0.5, rel=0.05)  # fan-out: 3 classes
    assert model.head.linear.in_features == 32 * (1 + 3 * 50)


def test_dropout_is_on_the_queries_while_training() -> None:
    model = made(bert(), dropout=0.5)
    assert model(**texts())["loss"].item() != model(**texts())["loss"].item()
    model.eval()
    assert model(**texts())["loss"].item() == model(**texts())["loss"].item()


def test_dropped_queries_get_the_gradient_of_what_was_dropped() -> None:
    found = []
    for keep in ("graph", "nothing"):
        model = made(bert(), dropout=0.5, keep=keep)
        torch.manual_seed(3)
        found.append(learned(model, texts())[1])
    assert far(found[1], found[0]) < 1e-5


# Bytes.


def saved(tokens: int, backbone: Any = None, **options: Any) -> int:
    return made(backbone or bert(), **options).used(texts(tokens, padding=0)).parts["saved"]


def test_what_is_kept_decides_about_the_bytes() -> None:
    found = [saved(60, keep=keep) for keep in KEPT]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == len(found)


def test_nothing_and_jacobians_do_not_grow_with_the_tokens() -> None:
    ids = 4 * 8 * 2  # a batch of 4 texts: token numbers and mask, in 8 bytes each
    assert saved(40, keep="nothing") - saved(20, keep="nothing") == 20 * ids
    assert saved(40, keep="jacobians") == saved(20, keep="jacobians")


@pytest.mark.parametrize("make", [bert, timm])
def test_keys_are_two_rows_a_token_and_half_is_half(make: Any) -> None:
    batch = texts(20, padding=0) if make is bert else images("x")
    tokens = 20 if make is bert else 17
    rest = made(make(), keep="nothing").used(batch).parts["saved"]
    rest -= sum(each.numel() * each.element_size() for name, each in batch.items() if name != "labels")
    whole, half = (made(make(), keep="keys", half=half).used(batch).parts["saved"] - rest for half in (False, True))
    assert whole == 3 * 2 * 4 * tokens * 32 * 4  # layers, K and V, texts, tokens, width, bytes
    assert half == whole // 2


def test_the_bytes_of_a_second_pass_are_no_more_than_those_of_one_layer() -> None:
    """What is kept while gradients are computed: one layer's way of the queries, never that of all."""
    peaks = []
    for layers in (2, 6):
        model = made(bert(num_hidden_layers=layers), keep="nothing")
        loss = model(**texts(60, padding=0))["loss"]
        with saved_bytes(model) as second:
            loss.backward()
        peaks.append(second.peak)
    assert peaks[0] == peaks[1] > 0


def test_a_budget_picks_the_size() -> None:
    batch, backbone = texts(), bert()
    most = VQT.within("1 GB", backbone, batch, classes=3)
    assert most.options["queries"] == [16] * 3
    assert most.options["keep"] == "keys"
    least = VQT(bert(), classes=3, **list(VQT.sizes(backbone))[-1]).used(batch).amount
    chosen = VQT.within(f"{least} bytes", backbone, batch, classes=3)
    assert chosen.options["keep"] == "nothing"
    assert chosen.used(batch).amount <= least
    with pytest.raises(BudgetError, match="needs at least"):
        VQT.within(f"{least - 1} bytes", backbone, batch, classes=3)


# What a query sees.


@pytest.mark.parametrize("name", ["bert", "llama", "gpt2"])
def test_padding_is_not_seen(name: str) -> None:
    batch = texts(padding=0)
    longer = {"input_ids": functional.pad(batch["input_ids"], (0, 5), value=7),
              "attention_mask": functional.pad(batch["attention_mask"], (0, 5))}  # fmt: skip
    model = made(MODELS[name][0](), pool="mean").eval()
    assert torch.allclose(model(**batch)["logits"], model(**longer)["logits"], atol=1e-5)


@pytest.mark.parametrize("name", ["bert", "llama", "gpt2"])
def test_every_token_is_seen_by_decoders_too(name: str) -> None:
    model, batch = made(MODELS[name][0](), layers=[0], queries=1).eval(), texts(padding=0)
    before = model.phi(input_ids=batch["input_ids"])[:, 32:]
    for place in (0, 4, 8):
        other = batch["input_ids"].clone()
        other[:, place] = (other[:, place] + 1) % 40
        assert not torch.allclose(model.phi(input_ids=other)[:, 32:], before, atol=1e-6), place


def test_the_summary_is_the_last_token_of_a_decoder_and_the_first_of_an_encoder() -> None:
    batch = texts()
    given = {key: value for key, value in batch.items() if key != "labels"}
    for make, places in ((llama, [4, 8, 8, 8]), (bert, [0] * 4)):
        backbone = make()
        hidden = backbone(**given).last_hidden_state[range(4), places]
        model = made(backbone).eval()
        assert torch.allclose(model.phi(**given)[:, :32], functional.normalize(hidden, dim=-1), atol=1e-6)


def test_the_summary_can_be_a_mean() -> None:
    batch = texts()
    given = {key: value for key, value in batch.items() if key != "labels"}
    backbone = bert()
    hidden = backbone(**given).last_hidden_state
    mean = torch.stack([hidden[0, :5].mean(0), *hidden[1:].mean(1)])  # the first text has four tokens of padding
    own = made(backbone, pool="mean", normalize=False).eval().phi(**given)[:, :32]
    assert torch.allclose(own, mean, atol=1e-6)
    pixels, backbone = images()["pixel_values"], vit()
    patches = functional.layer_norm(backbone(pixels).last_hidden_state[:, 1:].mean(1), (32,))
    own = made(backbone, pool="patches", normalize=False).eval().phi(pixel_values=pixels)[:, :32]
    assert torch.allclose(own, patches, atol=1e-6)


def test_layers_and_queries_can_differ() -> None:
    model = made(bert(), layers=[-1, 0], queries=[1, 3])
    assert model.places == [0, 2]
    assert [len(each) for each in model.queries] == [1, 3]
    assert model.phi(**{k: v for k, v in texts().items() if k != "labels"}).shape == (4, 32 * (1 + 1 + 3))
    whole = made(bert())
    with torch.no_grad():
        whole.queries[2].copy_(model.queries[1][:2])
    inputs = {k: v for k, v in texts().items() if k != "labels"}
    alone = made(bert(), layers=[2], normalize=False)
    with torch.no_grad():
        alone.queries[0].copy_(whole.queries[2])
    whole.head.normalize = False
    assert torch.allclose(alone.phi(**inputs)[:, 32:], whole.phi(**inputs)[:, -64:], atol=1e-6)
