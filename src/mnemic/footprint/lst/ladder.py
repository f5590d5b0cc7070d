"""The ladder: a backbone, a side network for each of its stacks, and what is made of the side network's last state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from mnemic.errors import InputError
from mnemic.footprint._head import Output, PooledHead, output, own_head, padding_mask
from mnemic.footprint._stacks import Stack, linear_shape, stacks
from mnemic.footprint._trace import Frozen, Trace
from mnemic.footprint._tuned import Tuned
from mnemic.footprint.lst.chain import Importance, keep
from mnemic.footprint.lst.importance import Fisher, fitted_head, magnitude, pooled, singles
from mnemic.footprint.lst.side import SideStack, arguments, build
from mnemic.meter import Used

PATTERNS: Mapping[str, Callable[[int], list[int]]] = {
    "all": lambda n: list(range(n)),
    "3/4": lambda n: [place for place in range(n) if place % 4],  # T5-base: 1,2,3, 5,6,7, 9,10,11
    "half": lambda n: list(range(1, n, 2)),  # T5-large
    "last": lambda n: [n - 1],  # T5-3B
}
Loss = Callable[[nn.Module, Mapping[str, Any]], Tensor]


class Ladder(Tuned):
    """A frozen backbone and a side network of width d / reduction that reads each of its layers' outputs.

    Only the side network is trained; a gradient never enters the backbone, so that nothing in it is saved for
    backward. Encoders, decoders and encoder-decoders of Hugging Face; a bare encoder or decoder gets a head.

    classes       of the head of a bare model: a linear classifier on the mean of the tokens; 1 is a regression
    reduction     r: the side layers' widths are the backbone's, divided by it
    layers        which side layers there are: "all", "3/4", "half", "last" (PATTERNS), or their places in each stack
    heads         of the side attention; None: all, narrower (with rotary positions: fewer, of the same size)
    init          "fisher", "magnitude" (weights cut out of the backbone) or "random"; None: fisher where data is given
    data          batches with labels, for the Fisher information
    samples       so many of them are looked at, one by one
    loss          (backbone, batch of one) -> the task's loss, for the Fisher information; None: the model's own, or
                  for a bare model that of a linear head fitted to the samples
    ladder_after  add a state after the side layer and not before it
    merge_last    mix the backbone's last state into the output, by a gate like those of the ladders
    narrow_head   the head of a bare model reads the side network itself, without the map back to d
    distill       weight of KL(backbone || ladder) over the vocabulary, added to the loss; for language models
    temperature   of the gates
    """

    method = "lst"
    accepts_loss_kwargs = False  # for transformers' Trainer: the loss is a mean over this batch
    fisher_used: Used | None = None  # what the Fisher pass took at its peak, if there was one

    def __init__(
        self, backbone: nn.Module, *, classes: int | None = None, reduction: int = 8,
        layers: str | Sequence[int] = "all", heads: int | None = None, init: str | None = None,
        data: Iterable[Mapping[str, Any]] | None = None, samples: int = 1024, loss: Loss | None = None,
        ladder_after: bool = False, merge_last: bool = False, narrow_head: bool = False, distill: float = 0.0,
        temperature: float = 0.1,
    ) -> None:  # fmt: skip
        init = init or ("magnitude" if data is None else "fisher")
        options = {
            "classes": classes, "reduction": reduction, "layers": layers if isinstance(layers, str) else list(layers),
            "heads": heads, "init": init, "ladder_after": ladder_after, "merge_last": merge_last,
            "narrow_head": narrow_head, "distill": distill, "temperature": temperature,
        }  # fmt: skip
        _check(backbone, options)
        super().__init__(backbone, options)
        found = _stacks(backbone, reduction)
        importance = self._importance(found, init, data, samples, loss)
        self.sides = nn.ModuleList(self._built(found, importance))
        self._add_end(found[-1].width // reduction, found[-1].width)
        self._plain = False  # run the backbone as if there were no ladder
        self._memory: tuple[Tensor, Tensor] | None = None  # last state of the first of two stacks: backbone's, ladder's
        self._narrow: Tensor | None = None  # last state of the side network, for a head of that width
        endings = [self._end_last] if len(found) == 1 else [self._end_first, self._end_last]
        self._frozen = [Frozen(stack, ending) for stack, ending in zip(found, endings, strict=True)]

    def _built(self, found: Sequence[Stack], importance: Importance | None) -> list[SideStack]:
        """A side network for each stack; a second one reads the first across."""
        kept = [_kept(self.options["layers"], stack) for stack in found]
        embeddings = _embeddings(self.backbone, found[0].width)
        stream = across = _first_columns(found[0], embeddings, importance, found[0].width // self.options["reduction"])
        sides: list[SideStack] = []
        for stack, places in zip(found, kept, strict=True):
            side, across = build(
                stack, stream, across, places, self.options["reduction"], self.options["heads"], importance,
                temperature=self.options["temperature"], after=self.options["ladder_after"],
                fused=getattr(self.backbone, "_supports_sdpa", False),
            )  # fmt: skip
            sides.append(side)
        return sides

    def _add_end(self, side: int, width: int) -> None:
        """What follows the side network: the map back to d, the gate to the backbone's last state, a head."""
        narrow, classes = self.options["narrow_head"], self.options["classes"]
        device = next(self.sides[-1].parameters()).device
        self.up = None if narrow else nn.Linear(side, width, device=device)
        self.merge = nn.Parameter(torch.zeros(1, device=device)) if self.options["merge_last"] else None
        self.head = None if classes is None else PooledHead(side if narrow else width, classes).to(device)
        self.wake(own_head(self.backbone))

    def forward(
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None, pixel_values: Tensor | None = None,
        decoder_input_ids: Tensor | None = None, decoder_attention_mask: Tensor | None = None,
        labels: Tensor | None = None, **more: Any,
    ) -> Output:  # fmt: skip
        """Logits, and the loss where there are labels: arguments are those of the backbone.

        They are named because transformers' Trainer drops what a model does not name.
        """
        named = {
            "input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids,
            "pixel_values": pixel_values, "decoder_input_ids": decoder_input_ids,
            "decoder_attention_mask": decoder_attention_mask,
        }  # fmt: skip
        batch = {name: value for name, value in named.items() if value is not None} | more
        if self.training:
            self.check_frozen()
        if torch.is_grad_enabled() and getattr(getattr(self.backbone, "config", None), "use_cache", False):
            batch.setdefault("use_cache", False)  # keys and values would be kept a second time
        try:
            return self._answered(batch, labels)
        finally:
            self._memory = self._narrow = None

    def _answered(self, batch: Mapping[str, Any], labels: Tensor | None) -> Output:
        if self.head is not None:
            result = self.backbone(**batch)
            hidden = result.last_hidden_state if self._narrow is None else self._narrow
            return output(self.head(hidden, padding_mask(batch)), labels)
        result = self.backbone(**batch) if labels is None else self.backbone(**batch, labels=labels)
        if labels is None:
            return Output(logits=result.logits)
        loss = result.loss
        if self.training and self.options["distill"]:
            loss = loss + self.options["distill"] * self._from_backbone(batch, labels, result.logits)
        return Output(loss=loss, logits=result.logits)

    def generate(self, *args: Any, **options: Any) -> Any:
        """transformers' `generate` of the backbone, with the ladder in it; both networks keep their keys and values."""
        try:
            return self.backbone.generate(*args, **options)  # type: ignore[operator]
        finally:
            self._memory = None

    @classmethod
    def sizes(cls, backbone: nn.Module) -> Iterator[dict[str, Any]]:
        """From the widest side network to the narrowest; from an eighth on with every other side layer only."""
        width = stacks(backbone)[0].width
        fitting = [reduction for reduction in (2, 4, 8, 16, 32) if width % reduction == 0]
        few = [reduction for reduction in fitting if reduction >= 8] or fitting[-1:]
        yield from ({"reduction": reduction, "layers": "all"} for reduction in fitting if reduction <= 8)
        yield from ({"reduction": reduction, "layers": "half"} for reduction in few)
        yield from ({"reduction": reduction, "layers": "last"} for reduction in few[-1:])

    @classmethod
    def rebuilt(cls, backbone: nn.Module, options: Mapping[str, Any]) -> Self:
        """The weights come from the file: none is chosen again."""
        model = cls(backbone, **{**options, "init": "random"})
        model.options = dict(options)
        return model

    # ---- what takes the place of the backbone's last state

    def _end_first(self, trace: Trace) -> Tensor:
        """The first of two stacks: its own state goes on to the second stack, the side network's waits for its."""
        state = _last(trace.result)
        if not self._plain:
            self._memory = state, self.sides[0](trace)
        return state

    def _end_last(self, trace: Trace) -> Tensor:
        state = _last(trace.result)
        if self._plain:
            return state
        memory = self._remembered(trace) if len(self.sides) > 1 else None
        side = self.sides[-1](trace, memory)  # [b t s]
        if self.up is None:
            self._narrow = side
            return state
        wide: Tensor = self.up(side)  # [b t d]
        if self.merge is not None:
            gate = torch.sigmoid(self.merge / self.options["temperature"])
            wide = gate * wide + (1 - gate) * state
        return wide.to(state.dtype)

    def _remembered(self, trace: Trace) -> Tensor:
        """The side network's state of the text that is read across, once for every row that reads it."""
        read = arguments(self._frozen[-1].stack.layers[0], trace.calls[0]).get("encoder_hidden_states")
        if self._memory is not None and read is not None:
            state, side = self._memory
            times = read.shape[0] // state.shape[0]  # beams: every text several times in a row
            if torch.equal(read, state.repeat_interleave(times, 0)):
                return side.repeat_interleave(times, 0)
        raise InputError(
            "the encoder's output was not computed in this call, so the side network has not read the text: give "
            "input_ids, or use generate."
        )

    def _from_backbone(self, batch: Mapping[str, Any], labels: Tensor, logits: Tensor) -> Tensor:
        """KL(backbone || ladder), mean over the tokens that are no padding."""
        self._plain = True
        try:
            with torch.no_grad():
                teacher = self.backbone(**batch, labels=labels).logits  # [b t v]
        finally:
            self._plain = False
        told, own = functional.log_softmax(teacher, -1), functional.log_softmax(logits, -1)
        each = functional.kl_div(own, told, reduction="none", log_target=True).sum(-1)  # [b t]
        counted = padding_mask(batch) if len(self.sides) == 1 else labels != -100
        return each.mean() if counted is None else (each * counted).sum() / counted.sum().clamp(min=1)

    # ---- which weights it starts from

    def _importance(
        self, found: Sequence[Stack], init: str, data: Iterable[Mapping[str, Any]] | None, samples: int,
        loss: Loss | None,
    ) -> Importance | None:  # fmt: skip
        if init == "random":
            return None
        if init == "magnitude":
            return magnitude
        if data is None:
            raise InputError('init="fisher" needs data: a loader of batches with labels; or use init="magnitude".')
        maps = [module for stack in found for module in stack.layers.modules() if linear_shape(module) is not None]
        embeddings = _embeddings(self.backbone, found[0].width)
        fisher = Fisher(self.backbone, [*maps, *([] if embeddings is None else [embeddings])])
        rows = singles(data, samples)
        fisher.observe(rows, self._task_loss(rows, loss))
        self.fisher_used = fisher.used
        return fisher

    def _task_loss(self, rows: Sequence[Mapping[str, Any]], loss: Loss | None) -> Callable[[Mapping[str, Any]], Tensor]:
        """The loss of the backbone itself on the task, before anything is trained."""
        classes = self.options["classes"]
        if loss is not None:
            return lambda row: loss(self.backbone, row)
        if classes is None:
            return lambda row: self.backbone(**row).loss
        with torch.no_grad():
            features = [pooled(self.backbone, row) for row in rows]
        head = fitted_head(features, torch.cat([row["labels"] for row in rows]), classes)
        return lambda row: output(head(pooled(self.backbone, row)), row["labels"]).loss


def _check(backbone: nn.Module, options: Mapping[str, Any]) -> None:
    name, vocabulary = type(backbone).__name__, getattr(backbone, "get_output_embeddings", lambda: None)()
    headed = bool(own_head(backbone)) or vocabulary is not None
    if options["classes"] is None and not headed:
        raise InputError(f"{name} has no head: give classes=, or a model class that has one.")
    if options["classes"] is not None and headed:
        raise InputError(f"{name} brings a head of its own: leave classes= out, or give the model without the head.")
    if options["narrow_head"] and (headed or options["merge_last"]):
        raise InputError("narrow_head is for bare models and without merge_last: the backbone's head needs its width.")
    if options["distill"] and vocabulary is None:
        raise InputError(f"distill= learns from the backbone's words, and {name} has none: use a language model.")
    if options["init"] not in ("fisher", "magnitude", "random"):
        raise InputError(f'init is "{options["init"]}": use fisher, magnitude or random.')


def _stacks(backbone: nn.Module, reduction: int) -> list[Stack]:
    found = stacks(backbone)
    if len(found) > 2:
        names = ", ".join(stack.name for stack in found)
        raise InputError(f"{type(backbone).__name__} has {len(found)} stacks of layers ({names}): LST fits one or two.")
    if any(reduction < 1 or stack.width % reduction for stack in found):
        raise InputError(f"reduction {reduction} does not divide the width {found[0].width} of {found[0].name}.")
    return found


def _kept(layers: str | Sequence[int], stack: Stack) -> list[int]:
    """Places of the side layers in a stack; never none."""
    depth = len(stack.layers)
    if isinstance(layers, str):
        if layers not in PATTERNS:
            raise InputError(f'layers is "{layers}": use {", ".join(PATTERNS)}, or places like [1, 3, 5].')
        return PATTERNS[layers](depth) or [depth - 1]
    kept = sorted(set(layers))
    if not kept or not 0 <= kept[0] <= kept[-1] < depth:
        raise InputError(f"layers is {list(layers)}: {stack.name} has layers 0 to {depth - 1}, give at least one.")
    return kept


def _embeddings(backbone: nn.Module, width: int) -> nn.Module | None:
    """The module whose weight has a row or a column for each feature of the first hidden states."""
    try:
        found: Any = backbone.get_input_embeddings()  # type: ignore[operator]
    except (AttributeError, NotImplementedError):
        return None
    for module in found.modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and weight.dim() > 1 and width in (weight.shape[0], weight.shape[-1]):
            return cast(nn.Module, module)
    return None


def _first_columns(stack: Stack, embeddings: nn.Module | None, importance: Importance | None, side: int) -> Tensor:
    """Places of the features that the chain starts with, [s]: the heaviest columns of the embeddings.

    Without embeddings that can be found: the columns that the maps of the first layer read most.
    """
    if importance is None:
        return torch.arange(side)
    if embeddings is not None:
        score = importance(embeddings).abs()
        return keep(score.flatten(0, -2).sum(0) if score.shape[-1] == stack.width else score.flatten(1).sum(1), side)
    read = [importance(module) for module in stack.layers[0].modules() if linear_shape(module) is not None]
    return keep(torch.stack([score.abs().sum(0) for score in read if score.shape[1] == stack.width]).sum(0), side)


def _last(result: Any) -> Tensor:
    """The last state in what a host returned."""
    if isinstance(result, Tensor):
        return result
    state: Tensor = result[0] if isinstance(result, tuple) else result["last_hidden_state"]
    return state
