"""UniPT's equations: attention without parameters, confidence, alignment of maps; what they keep for backward."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from mnemic.errors import InputError
from mnemic.meter import saved_bytes

torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch")
nn = torch.nn

from mnemic.footprint.unipt import VARIANTS, Fusion, UniPT  # noqa: E402
from mnemic.footprint.unipt.alignment import Alignment, gathered  # noqa: E402
from mnemic.footprint.unipt.attention import EPS, Manner, mixed, normalized  # noqa: E402
from mnemic.footprint.unipt.shrinking import BatchShrink, Shrink  # noqa: E402
from mnemic.footprint.unipt.variants import chosen  # noqa: E402

MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


def features(layers: int, *, b: int = 2, t: int = 5, d: int = 6, dtype: Any = torch.float64) -> list[Any]:
    own = torch.Generator().manual_seed(layers)
    return [torch.randn(b, t, d, generator=own, dtype=dtype) for _ in range(layers)]


def fusion(
    variant: str = "text", layers: int = 4, *, d: int = 6, width: int = 6, reduction: int = 2, **more: Any
) -> Any:
    torch.manual_seed(0)
    return Fusion([d] * layers, width, reduction, VARIANTS[variant], **more).double()


# ---- attention


def test_attention_by_hand() -> None:
    # scores of the first query: 2, -1 -> ReLU 2, 0 -> 1, 0; of the second: 1, 3 -> 1/4, 3/4; then + I
    anchor, target = torch.tensor([[[1.0, 0.0], [0.5, 1.5]]]), torch.tensor([[[2.0, 0.0], [-1.0, 2.0 + 1 / 3]]])
    weights, _ = normalized(anchor, target, None, 0, causal=False)
    assert torch.allclose(weights, torch.tensor([[[1.0, 0.0], [0.25, 0.75]]]))
    found = mixed(anchor, [target], torch.ones(1, 1, 1), [None], Manner())
    assert torch.allclose(found, (weights + torch.eye(2)) @ target)
    assert torch.allclose(found[0, 0], torch.tensor([4.0, 0.0]))  # its own feature twice


def plain(anchor: Any, targets: Any, weights: Any, masks: Any, manner: Manner) -> Any:
    """The equations as they stand."""
    total = 0
    for n, (target, mask) in enumerate(zip(targets, masks, strict=True)):
        scores = anchor @ target.transpose(1, 2)
        scores = scores if mask is None else scores * mask.unsqueeze(1)
        scores = torch.relu(scores.tril() if manner.causal else scores)
        found = scores / (scores.sum(-1, keepdim=True) + EPS)
        found = found + torch.eye(target.shape[1], dtype=target.dtype) if manner.identity else found
        total = total + weights[..., n : n + 1] * (found @ target)
    return total


@pytest.mark.parametrize("rows", [256, 2])
@pytest.mark.parametrize(("identity", "causal"), [(True, False), (True, True), (False, False)])
def test_attention_and_its_gradient_are_the_plain_ones(identity: bool, causal: bool, rows: int) -> None:
    anchor, *targets = (each.requires_grad_(True) for each in features(3))
    weights = torch.rand(2, 5 if causal else 1, 2, dtype=torch.float64, requires_grad=True)
    manner, masks = Manner(identity, causal, rows), [MASK, None]

    def ours(a: Any, w: Any, *f: Any) -> Any:
        return mixed(a, f, w, masks, manner)

    assert torch.allclose(ours(anchor, weights, *targets), plain(anchor, targets, weights, masks, manner))
    assert torch.autograd.gradcheck(ours, (anchor, weights, *targets))


def test_rows_sum_to_one_or_to_nothing() -> None:
    anchor, target = features(2, d=2)
    anchor[0, 0] = 0
    weights, _ = normalized(anchor, target, MASK, 0, causal=False)
    sums = weights.sum(-1)
    assert torch.all((sums - 1).abs().lt(1e-6) | sums.eq(0))
    assert sums[0, 0] == 0
    assert torch.all(weights[1, :, 3:] == 0)


def test_in_16_bits_rows_are_still_summed_in_32() -> None:
    anchor, target = (each.bfloat16() for each in features(2, t=300, d=8))
    found = mixed(anchor, [target], torch.ones(2, 1, 1, dtype=torch.bfloat16), [None], Manner())
    assert found.dtype == torch.float32
    exact = mixed(anchor.double(), [target.double()], torch.ones(2, 1, 1).double(), [None], Manner())
    assert torch.allclose(found.double(), exact, atol=1e-5)


@pytest.mark.parametrize("t", [16, 64])
def test_no_scores_are_kept(t: int) -> None:
    module, given = fusion(reduction=1).float(), features(4, b=1, t=t, d=6, dtype=torch.float32)
    with saved_bytes(module) as saved:
        made = module(given, None)
    # inputs and F_i [t 6] of 4 layers, G and relu(Z); per row mean and deviation of 5 norms; a few of no t at all
    assert saved.peak <= 4 * t * (10 * 6 + 5 * 2) + 600
    del made


# ---- the module


def slow(module: Any, given: Any, mask: Any) -> Any:
    """Steps 1 to 4 of the paper, for variants text and joint."""
    shrunk = [down.norm(down.linear(each)) for down, each in zip(module.downs, given, strict=True)]
    anchor, targets = shrunk[-1], shrunk[:-1]
    count = mask.sum(1, keepdim=True)
    means = [(each * mask.unsqueeze(-1)).sum(1) / count for each in shrunk]
    gates = torch.cat([module.gate(means[-1] * mean) for mean in means[:-1]], 1)
    weights = torch.softmax(gates, 1)
    found = plain(anchor, targets, weights.unsqueeze(1), [mask] * len(targets), Manner())
    project = module.project
    if isinstance(project, Shrink):
        side = anchor + project.norm(project.linear(found))
    else:
        side = anchor + project[2].norm(project[2].linear(torch.relu(project[0](found))))
    return module.up(torch.relu(side) if module.form.up == "relu" else side), weights


@pytest.mark.parametrize("variant", ["text", "joint"])
def test_module_is_the_equations(variant: str) -> None:
    module, given = fusion(variant), features(4)
    made = module(given, MASK)
    output, weights = slow(module, given, MASK)
    assert torch.allclose(made.output, output, atol=1e-6)  # the gate's softmax is in float32
    assert torch.allclose(made.confidence, weights, atol=1e-6)


def test_gradients_of_the_module_are_those_of_the_equations() -> None:
    module, given = fusion(), features(4)
    grads = []
    for output in (module(given, MASK).output, slow(module, given, MASK)[0]):
        module.zero_grad()
        output.pow(2).sum().backward()
        grads.append([parameter.grad.clone() for parameter in module.parameters()])
    # The gate's softmax is in float32: where summands cancel, its rounding is left, as large as they are.
    rounding = 1e-6 * max(float(each.abs().max()) for each in grads[1])
    assert all(torch.allclose(mine, other, rtol=1e-4, atol=rounding) for mine, other in zip(*grads, strict=True))


def test_projection_keeps_its_input_alone() -> None:
    shrink, x = Shrink(6, 4).double(), features(1)[0].requires_grad_(True)
    with saved_bytes(shrink) as saved:
        made = shrink(x)
    assert saved.peak == 2 * 5 * 8 * (6 + 2)
    assert torch.allclose(made, shrink.norm(shrink.linear(x)))
    names = [name for name, _ in shrink.named_parameters()]
    assert torch.autograd.gradcheck(
        lambda x, *w: torch.func.functional_call(shrink, dict(zip(names, w, strict=True)), (x,)),
        (x, *shrink.parameters()),
    )


@pytest.mark.parametrize(("n", "d", "m", "width"), [(6, 8, 4, 8), (3, 10, 3, 9)])
def test_number_of_parameters(n: int, d: int, m: int, width: int) -> None:
    # n + 1 projections with bias and norm, the gate, P with bias and norm, up with bias
    module = Fusion([d] * (n + 1), width, width // m, VARIANTS["text"])
    count = (n + 1) * (d * m + 3 * m) + m * m + 3 * m + m + 1 + m * width + width
    assert sum(parameter.numel() for parameter in module.parameters()) == count


def test_padding_has_no_influence() -> None:
    module, given = fusion(), features(4)
    longer = [torch.cat([each, 9 * torch.ones(2, 3, 6, dtype=each.dtype)], 1) for each in given]
    mask = torch.cat([MASK, torch.zeros(2, 3, dtype=torch.long)], 1)
    short, long = module(given, MASK), module(longer, mask)
    for row, length in enumerate(MASK.sum(1).tolist()):
        assert torch.allclose(short.output[row, :length], long.output[row, :length])
    assert torch.allclose(short.confidence, long.confidence)


def test_order_of_layers_does_not_matter() -> None:
    module, given, order = fusion(), features(4), [2, 0, 1]
    made = module(given, MASK)
    module.downs = nn.ModuleList([*(module.downs[n] for n in order), module.downs[3]])
    again = module([*(given[n] for n in order), given[3]], MASK)
    assert torch.allclose(made.output, again.output)
    assert torch.allclose(made.confidence[:, order], again.confidence)


def test_confidence_is_a_distribution_that_depends_on_the_input() -> None:
    made = fusion()(features(4), MASK)
    assert torch.allclose(made.confidence.sum(1), torch.ones(2, dtype=torch.float64))
    assert not torch.allclose(made.confidence[0], made.confidence[1], atol=1e-4)


def test_causal_module_sees_no_later_token() -> None:
    module, given = fusion(causal=True), features(4)
    changed = [torch.cat([each[:, :3], each[:, 3:] + 1], 1) for each in given]
    made, other = module(given, None), module(changed, None)
    assert torch.allclose(made.output[:, :3], other.output[:, :3])
    assert made.confidence.shape == (2, 5, 3)
    assert not torch.allclose(made.output[:, 3:], other.output[:, 3:])


# ---- the other variants


def test_single_query_adds_the_layers_own_feature_at_its_place() -> None:
    module, given, at = fusion("single", reduction=1), features(4), torch.tensor([4, 2])
    query = features(1, t=1)[0]
    made = module([*given[:3], query], MASK, at=at)
    shrunk = [down.linear(torch.relu(each)) for down, each in zip(module.downs, [*given[:3], query], strict=True)]
    found = 0
    for n, target in enumerate(shrunk[:3]):
        weights, _ = normalized(shrunk[3], target, MASK, 0, causal=False)
        own = torch.stack([target[0, 4], target[1, 2]]).unsqueeze(1)
        found = found + made.confidence[:, n, None, None] * (weights @ target + own)
    assert torch.allclose(made.output, query + module.up(torch.relu(found)))
    assert not torch.allclose(made.output, module([*given[:3], query], MASK).output)  # the first place, not at


def test_pair_reads_what_the_other_made_and_hands_out_every_target() -> None:
    encoder = fusion("pair", ends=False)
    decoder = fusion("pair", crosses=True)
    memory = encoder(features(4), MASK)
    given = features(4, t=3)
    made = decoder(given, None, memory=(memory.side, MASK), stacked=True)
    assert made.states.shape == (4, 2, 3, 6)
    assert torch.equal(made.states[-1], made.output)
    shrunk = decoder.shrink(0, given[0])
    read, _ = normalized(shrunk, memory.side, MASK, 0, causal=False)
    crossed = shrunk + decoder.crossings[0](read @ memory.side)
    assert torch.allclose(made.states[0], decoder.norm(decoder.up(torch.relu(crossed))), atol=1e-6)
    again = decoder(given, None, memory=(memory.side + 7 * (1 - MASK).unsqueeze(-1), MASK))
    assert torch.allclose(made.output, again.output)  # padding of what is read across


def test_a_module_may_start_as_the_raw_anchor() -> None:
    given = features(4)
    for variant in ("text", "pair"):
        assert torch.equal(fusion(variant, neutral=True)(given, MASK).output, given[-1])


def test_which_states_are_targets() -> None:
    assert chosen("all", 6) == [0, 1, 2, 3, 4, 5]
    assert chosen("odd", 6) == [1, 3, 5]  # inputs of layers 1, 3, 5 counted from 0
    assert chosen("quarter", 12) == [0, 4, 8]
    assert chosen([4, 0, 4], 6) == [0, 4]
    with pytest.raises(InputError, match="among states 0 to 5"):
        chosen([6], 6)
    with pytest.raises(InputError, match='layers is "most"'):
        chosen("most", 6)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="reduction 4 does not divide the width 6"):
        fusion(reduction=4)
    with pytest.raises(InputError, match='use variant="single"'):
        fusion()([*features(3), features(1, t=1)[0]], None)
    with pytest.raises(InputError, match="built for 3 targets and got 2"):
        fusion()(features(3), None)


# ---- maps


def test_alignment_by_hand() -> None:
    # one channel, guide 1: a window of 3, 1, -2, 0 has weights 3/4, 1/4, 0, 0, each + 1/4
    earlier = torch.tensor([[[[3.0, 1.0], [-2.0, 0.0]]]])
    assert float(gathered(earlier, torch.ones(1, 1, 1, 1))) == pytest.approx(3 * 1.0 + 1 * 0.5 - 2 * 0.25)


def test_alignment_is_the_reference_way_of_windows() -> None:
    torch.manual_seed(0)
    earlier, guide = torch.randn(2, 3, 4, 6).double(), torch.rand(2, 3, 2, 3).double().requires_grad_(True)
    large = nn.functional.interpolate(guide, size=(4, 6), mode="nearest")
    scores = nn.functional.unfold((large * earlier).sum(1, keepdim=True), 2, stride=2).relu()  # [b 4 windows]
    weights = nn.functional.fold(scores / (scores.sum(1, keepdim=True) + EPS), (4, 6), 2, stride=2) + 1 / 4
    expected = nn.functional.avg_pool2d(weights * earlier, 2, divisor_override=1)
    assert torch.allclose(gathered(earlier, guide), expected)
    assert torch.autograd.gradcheck(lambda g: gathered(earlier, g), (guide,))


def test_alignment_leaves_the_last_map_and_follows_its_size() -> None:
    torch.manual_seed(0)
    align = Alignment([2, 3, 4])
    maps = [torch.randn(1, 2, 12, 12), torch.randn(1, 3, 6, 6), torch.randn(1, 4, 3, 3)]
    tokens = align(maps)
    assert [tuple(each.shape) for each in tokens] == [(1, 9, 2), (1, 9, 3), (1, 9, 4)]
    assert torch.equal(tokens[-1], maps[-1].flatten(2).mT)
    with pytest.raises(InputError, match="a map of 13 x 12 has no whole windows for one of 3 x 3"):
        align([torch.randn(1, 2, 13, 12), *maps[1:]])


def test_projection_of_a_map_is_a_convolution_and_batch_norm() -> None:
    torch.manual_seed(0)
    shrink, conv, norm = (each.double() for each in (BatchShrink(3, 4), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)))
    conv.weight.data, conv.bias.data = shrink.linear.weight.data[..., None, None], shrink.linear.bias.data
    x = torch.randn(5, 3, 2, 2, dtype=torch.float64)
    assert torch.allclose(shrink(x.flatten(2).mT), norm(conv(x)).flatten(2).mT)
    assert torch.allclose(shrink.norm.running_var, norm.running_var)


# ---- one layer at a time


def made_one_by_one(seen: list[Any], most: list[int], t: int = 5) -> Iterator[tuple[Any, None]]:
    for n in range(4):
        gc.collect()
        most.append(sum(each() is not None for each in seen))
        state = torch.randn(2, t, 6, generator=torch.Generator().manual_seed(n))
        seen.append(weakref.ref(state.untyped_storage()))
        yield state, None
        del state


def test_layers_that_come_one_at_a_time_are_let_go_and_give_the_same() -> None:
    seen: list[Any] = []
    most: list[int] = []
    torch.manual_seed(0)
    model = UniPT(lambda: made_one_by_one(seen, most), dims=[6] * 4, classes=3).eval()
    with torch.no_grad():
        streamed = model.features().output
    assert most == [0, 0, 0, 0]  # when a layer is made, none of those before is alive
    given = [state for state, _ in made_one_by_one([], [])]
    assert torch.equal(streamed, model.fusions[0](given, None).output)


def test_a_callable_says_too_little() -> None:
    model = UniPT(lambda: [(torch.zeros(2, 5, 6), None)] * 2, dims=[6] * 4, classes=3)
    with pytest.raises(InputError, match="gave 2 lists of features, dims= has 4"):
        model()


def test_one_query_takes_the_feature_at_the_largest_token_of_each_text() -> None:
    ids, given = torch.tensor([[3, 19, 5, 5, 5], [1, 2, 3, 19, 0]]), [each.float() for each in features(4)]

    def look(input_ids: Any = None) -> list[tuple[Any, Any]]:
        return [*((each, MASK) for each in given[:3]), (given[3][:, 0], None)]

    model = UniPT(look, dims=[6] * 4, variant="single", reduction=1, position="eot", classes=2)
    module, query = model.fusions[0], given[3][:, :1]
    targets = [module.shrink(n, each) for n, each in enumerate(given[:3])]
    expected = module.fuse(query, targets, None, [MASK] * 3, at=torch.tensor([1, 3]))
    assert torch.equal(model.features(input_ids=ids).output, expected.output)
    assert model(input_ids=ids).logits.shape == (2, 2)
    with pytest.raises(InputError, match="there are no input_ids"):
        model.features()
