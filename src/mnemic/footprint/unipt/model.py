"""A frozen backbone with the module beside it: transformers, convolutional networks, anything that yields features."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from mnemic.errors import InputError
from mnemic.footprint._head import Output, PooledHead, output, padding_mask
from mnemic.footprint._stacks import Stack, stacks
from mnemic.footprint._tuned import Tuned
from mnemic.footprint.unipt.alignment import Alignment
from mnemic.footprint.unipt.fitting import checked, own_parameters, speaks, usual, usual_width
from mnemic.footprint.unipt.fusion import Fused, Fusion, Memory
from mnemic.footprint.unipt.listening import Heard, Listener, Maps, call, has_stack, places, silence, takes
from mnemic.footprint.unipt.variants import Variant, chosen

Features = Iterable[tuple[Tensor, Tensor | None]]


class UniPT(Tuned):
    """Reads the last layer of a frozen backbone and, from it, all the others; only the module beside it is trained.

    Transformers hand their layers over one at a time: each is projected to m = d_out / reduction at once and then let
    go. Convolutional networks hand over the last map of each size. A function gives what it likes.

    backbone    a transformer with one or two stacks of layers, a convolutional network, or (with dims) any callable
                that returns or yields (features [b t d] or maps [b c h w], padding mask or None), the anchor last
    classes     of the head of a bare backbone: a linear classifier on the mean of the tokens; 1 is a regression.
                None: its own head; a bare backbone then returns features, `last_hidden_state`
    variant     a row of VARIANTS: text, maps, single, joint, pair; None: what fits the backbone
    reduction   r; None: the variant's
    layers      numbers of the states that are fused with the last (0 is what the first layer reads, i what layer i
                returns; maps: from the largest on), or "all", "half", "quarter", "odd", "deep"; None: the variant's
    project     P: "linear" or "mlp"; None: the variant's
    width       d_out; None: the backbone's, half of the channels of the last map
    dims        widths of what a callable returns, the anchor's last
    position    of the feature that stands for a layer in variant "single": the "first" token, the "last" that is no
                padding, or "eot", the one with the largest token id (CLIP)
    rows        queries that attend at a time: less scratch memory, the same result
    """

    method = "unipt"
    accepts_loss_kwargs = False  # for transformers' Trainer: the loss is a mean over this batch

    def __init__(
        self, backbone: nn.Module | Callable[..., Features], *, classes: int | None = None, variant: str | None = None,
        reduction: int | None = None, layers: str | Sequence[int] | None = None, project: str | None = None,
        width: int | None = None, dims: Sequence[int] | None = None, position: str = "first", rows: int = 256,
    ) -> None:  # fmt: skip
        module = backbone if isinstance(backbone, nn.Module) else Source(backbone)
        variant = variant or usual(module, dims)
        options = {
            "classes": classes, "variant": variant, "reduction": reduction, "project": project, "width": width,
            "layers": layers if layers is None or isinstance(layers, str) else list(layers),
            "dims": None if dims is None else list(dims), "position": position, "rows": rows,
        }  # fmt: skip
        silence(module)  # a model that was built on it before is not asked any more
        form = checked(module, options)
        own = own_parameters(module, options)
        super().__init__(module, options)
        self.form, self.owns, self._neutral = form, own is not None, own == []
        self.alignment: Alignment | None = None
        self._forget()
        if dims is not None:
            fusions = self._on_features(dims, form)
        else:
            fusions = self._on_maps(form) if form.down == "batch" else self._on_stacks(form)
        device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
        self.fusions = nn.ModuleList(fusions).to(device)
        if self.alignment is not None:
            self.alignment.to(device)
        self.head = None if classes is None else PooledHead(fusions[-1].width, classes).to(device)
        self.wake(own or [])
        module.register_forward_pre_hook(self._remember, with_kwargs=True)

    def forward(
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None, pixel_values: Tensor | None = None,
        decoder_input_ids: Tensor | None = None, decoder_attention_mask: Tensor | None = None,
        labels: Tensor | None = None, return_info: bool = False, **more: Any,
    ) -> Output:  # fmt: skip
        """Logits, and the loss where there are labels: arguments are those of the backbone.

        They are named because transformers' Trainer drops what a model does not name.

        return_info   also hand out what `Fused` says: confidence, and states where the variant has them
        """
        named = {
            "input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids,
            "pixel_values": pixel_values, "decoder_input_ids": decoder_input_ids,
            "decoder_attention_mask": decoder_attention_mask,
        }  # fmt: skip
        batch = {name: value for name, value in named.items() if value is not None} | more
        self._step.stacked = return_info
        try:
            answer, fused = self._own_answer(batch, labels) if self.owns else self._answer(batch, labels)
        finally:
            self._forget()
        if return_info:
            answer["confidence"] = fused.confidence
            if fused.states is not None:
                answer["states"] = fused.states
        return answer

    def features(self, **batch: Any) -> Fused:
        """What the module makes of a batch, for heads and losses of one's own (retrieval, grounding)."""
        self._step.stacked = True
        try:
            if not self.owns:
                return self._fused(batch)[0]
            self._run(batch)
            return self._held()
        finally:
            self._forget()

    def generate(self, *args: Any, **options: Any) -> Any:
        """transformers' `generate` of the backbone with the module in it, without a cache of keys and values."""
        try:
            return self.backbone.generate(*args, **{"use_cache": False, **options})  # type: ignore[operator]
        finally:
            self._forget()

    @classmethod
    def sizes(cls, backbone: nn.Module) -> Iterator[dict[str, Any]]:
        """Narrower and narrower modules, then fewer and fewer layers."""
        width = usual_width(backbone)
        narrow = [reduction for reduction in (2, 4, 8, 16, 32) if width % reduction == 0]
        yield from ({"reduction": reduction} for reduction in narrow)
        if isinstance(backbone, nn.Module) and has_stack(backbone):
            yield from ({"reduction": narrow[-1], "layers": layers} for layers in ("half", "quarter"))

    # ---- one kind of backbone each

    def _on_stacks(self, form: Variant) -> list[Fusion]:
        """A module for each stack; the second one's targets read what the first one's made."""
        found = stacks(self.backbone)
        name, causal = type(self.backbone).__name__, speaks(self.backbone)
        if len(found) > 2:
            names = ", ".join(stack.name for stack in found)
            raise InputError(f"{name} has {len(found)} stacks of layers ({names}): UniPT fits one or two.")
        fusions: list[Fusion] = []
        self._listeners: list[Listener] = []
        for stack in found:
            last = stack is found[-1]
            wanted = chosen(self.options["layers"] or form.layers, len(stack.layers) + form.single)
            width = self._width(stack)
            dims = [stack.width] * len(wanted) + [width if form.single else stack.width]
            fusions.append(self._fusion(
                dims, width, form, causal=last and causal,
                crosses=len(fusions) > 0, neutral=last and self._neutral, ends=last,
            ))  # fmt: skip
            self._listeners.append(Listener(stack, wanted, fusions[-1].shrink, self._last if last else self._first))
        return fusions

    def _width(self, stack: Stack) -> int:
        width = self.options["width"] or stack.width
        if width != stack.width and self.owns:
            name = type(self.backbone).__name__
            raise InputError(f"the head of {name} reads {stack.width} features: leave width= out.")
        return int(width)

    def _on_maps(self, form: Variant) -> list[Fusion]:
        found = places(self.backbone)
        wanted = chosen(self.options["layers"] or form.layers, len(found) - 1)
        kept = [*(found[n] for n in wanted), found[-1]]
        return [self._on_channels([place.channels for place in kept], form, Maps(kept, self._last_map))]

    def _on_channels(self, channels: Sequence[int], form: Variant, maps: Maps | None) -> Fusion:
        self.alignment, self._maps = Alignment(channels), maps
        width = channels[-1] if self.owns else self.options["width"] or channels[-1] // 2
        return self._fusion(channels, width, form, neutral=self._neutral)

    def _on_features(self, dims: Sequence[int], form: Variant) -> list[Fusion]:
        if form.down == "batch":
            return [self._on_channels(dims, form, None)]
        return [self._fusion(dims, self.options["width"] or dims[-1], form)]

    def _fusion(self, dims: Sequence[int], width: int, form: Variant, **more: bool) -> Fusion:
        reduction = self.options["reduction"] or form.reduction
        return Fusion(dims, width, reduction, form, rows=self.options["rows"], **more)

    @property
    def _parts(self) -> list[Fusion]:
        return [part for part in self.fusions if isinstance(part, Fusion)]

    # ---- one step

    def _answer(self, batch: Mapping[str, Any], labels: Tensor | None) -> tuple[Output, Fused]:
        fused, mask = self._fused(batch)
        if self.head is not None:
            return output(self.head(fused.output, None if self.form.single else mask), labels), fused
        if labels is not None:
            raise InputError(f"{type(self.backbone).__name__} has no head for labels: give classes=.")
        return Output(last_hidden_state=fused.output), fused

    def _own_answer(self, batch: Mapping[str, Any], labels: Tensor | None) -> tuple[Output, Fused]:
        if labels is None or not takes(self.backbone, "labels"):
            result = self._run(batch)
            return output(result if isinstance(result, Tensor) else result.logits, labels), self._held()
        result = self._run({**batch, "labels": labels})
        return Output(loss=result.loss, logits=result.logits), self._held()

    def _fused(self, batch: Mapping[str, Any]) -> tuple[Fused, Tensor | None]:
        """What the module makes of a batch, and the padding mask of that."""
        if self.options["dims"] is not None:
            return self._of_features(batch)
        result = self._run(batch)
        if self.alignment is not None:
            return self._held(), None
        if self._step.heard is None:
            raise InputError(self._unheard())
        vector = _vector(result, self._parts[-1].width) if self.form.single else None
        return self._of_stack(self._step.heard, vector)

    def _run(self, batch: Mapping[str, Any]) -> Any:
        if self.training:
            self.check_frozen()
        config = getattr(self.backbone, "config", None)
        more = {"use_cache": False} if getattr(config, "use_cache", False) else {}  # all layers of all tokens are read
        return call(self.backbone, more | dict(batch))

    def _held(self) -> Fused:
        if self._step.made is None:
            raise InputError(self._unheard())
        return self._step.made

    def _unheard(self) -> str:
        return (
            f"{type(self.backbone).__name__} handed no layers over: it did not run them on this batch, or "
            "a later UniPT was built on it; use that one, or give each a copy of the backbone."
        )

    def _forget(self) -> None:
        """Let go of what belongs to one step."""
        self._step = Step()

    def _remember(self, module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        self._step.given = {
            name: kwargs.get(name) for name in ("input_ids", "attention_mask", "decoder_attention_mask")
        }

    # ---- transformers

    def _first(self, heard: Heard) -> None:
        """The first of two stacks: its own state goes on to the second, the module's waits for that."""
        mask = self._mask(heard, "attention_mask")
        fused = self._parts[0].fuse(heard.last, heard.targets, mask, [mask] * len(heard.targets))
        self._step.memory = heard.last, (fused.side, mask)

    def _last(self, heard: Heard) -> Tensor | None:
        if not self.owns:
            self._step.heard = heard
            return None
        self._step.made, _ = self._of_stack(heard, None)
        return self._step.made.output.to(heard.last.dtype)

    def _of_stack(self, heard: Heard, vector: Tensor | None) -> tuple[Fused, Tensor | None]:
        pair = len(self._parts) > 1
        mask = self._mask(heard, "decoder_attention_mask" if pair else "attention_mask")
        at = self._place(heard.last, mask) if self.form.single else None
        raw = heard.last
        if self.form.single:
            rows, width = torch.arange(len(raw), device=raw.device), self._parts[-1].width
            if vector is None and raw.shape[-1] != width:
                raise InputError(
                    f"{type(self.backbone).__name__} returns no vector of {width} features: change width=."
                )
            raw = (raw[rows, at] if vector is None else vector).unsqueeze(1)  # [b 1 d]
        masks = [mask] * len(heard.targets)
        memory = self._read(heard) if pair else None
        stacked = pair and self._step.stacked
        return self._parts[-1].fuse(raw, heard.targets, mask, masks, at=at, memory=memory, stacked=stacked), mask

    def _mask(self, heard: Heard, name: str) -> Tensor | None:
        """The padding mask [b t] of a stack: its host's own argument, else the model's."""
        mask = heard.mask if heard.mask is not None else padding_mask({"attention_mask": self._step.given.get(name)})
        if mask is not None and mask.shape[1] != heard.last.shape[1]:
            raise InputError(
                f"{heard.last.shape[1]} positions were computed for a mask of {mask.shape[1]}: UniPT reads all layers "
                "of all tokens, so call the model with use_cache=False."
            )
        return mask

    def _read(self, heard: Heard) -> Memory:
        """What the first module made of the text that is read across, once for every row that reads it."""
        if self._step.memory is not None and heard.read is not None:
            state, (side, mask) = self._step.memory
            times = heard.read.shape[0] // state.shape[0]  # beams: every text several times in a row
            if torch.equal(heard.read, state.repeat_interleave(times, 0)):
                return side.repeat_interleave(times, 0), None if mask is None else mask.repeat_interleave(times, 0)
        raise InputError(
            "the encoder's output was not computed in this call, so its layers were not read: give input_ids, or use "
            "generate."
        )

    def _place(self, layer: Tensor, mask: Tensor | None) -> Tensor:
        """[b], where the feature stands that speaks for a layer."""
        position, ids = self.options["position"], self._step.given.get("input_ids")
        if position == "eot":
            if ids is None:
                raise InputError('position="eot" looks for the largest token id, and there are no input_ids.')
            largest: Tensor = ids.argmax(-1)
            return largest
        if position == "last" and mask is not None:
            return (torch.arange(mask.shape[1], device=mask.device) * (mask != 0)).argmax(-1)
        return torch.full((len(layer),), layer.shape[1] - 1 if position == "last" else 0, device=layer.device)

    # ---- maps, and whatever a callable returns

    def _last_map(self, maps: list[Tensor]) -> Tensor | None:
        self._step.made = self._of_maps(maps)
        if not self.owns:
            return None
        h, w = maps[-1].shape[-2:]
        output = self._step.made.output  # [b t c]
        return output.mT.reshape(len(output), -1, h, w).to(maps[-1].dtype)  # [b c h w]

    def _of_maps(self, maps: Sequence[Tensor]) -> Fused:
        assert self.alignment is not None
        fused: Fused = self._parts[0](self.alignment([each.detach() for each in maps]))
        return fused

    def _of_features(self, batch: Mapping[str, Any]) -> tuple[Fused, Tensor | None]:
        """Features are projected as they are yielded, so that a generator need never hold two of them."""
        if self.alignment is not None:
            return self._of_maps([each for each, _ in self._run(batch)]), None
        fusion, n = self._parts[0], len(self.options["dims"]) - 1
        targets: list[Tensor] = []
        masks: list[Tensor | None] = []
        for hidden, mask in _frozen(self._run(batch)):
            if len(targets) == n:
                at = self._place(targets[0], masks[0]) if self.form.single else None
                raw = hidden.unsqueeze(1) if self.form.single and hidden.dim() == 2 else hidden
                return fusion.fuse(raw, targets, mask, masks, at=at), mask
            targets.append(fusion.shrink(len(targets), hidden))
            masks.append(mask)
            del hidden
        raise InputError(f"the callable gave {len(targets)} lists of features, dims= has {n + 1}.")


@dataclass
class Step:
    """What one run of the backbone has handed over so far.

    given    arguments of the backbone that tell padding and positions
    heard    of the last stack of a bare model, which is fused after the run
    made     what the module made of it
    stacked  whether auxiliary losses are asked for
    memory   the first of two stacks: its last state, and what was made of that for the second
    """

    given: dict[str, Any] = field(default_factory=dict)
    heard: Heard | None = None
    made: Fused | None = None
    stacked: bool = False
    memory: tuple[Tensor, Memory] | None = None


class Source(nn.Module):
    """A function as a backbone: batch -> (features, mask) of each layer, the anchor last."""

    def __init__(self, function: Callable[..., Features]) -> None:
        super().__init__()
        self.function = function

    def forward(self, **batch: Any) -> Features:
        return self.function(**batch)


def _frozen(features: Features) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Without gradients while the features are computed, also where they are computed one by one."""
    each = iter(features)
    while True:
        with torch.no_grad():
            found = next(each, None)
        if found is None:
            return
        yield found[0].detach(), found[1]
        del found  # before the next one is made


def _vector(result: Any, width: int) -> Tensor | None:
    """The pooled vector [b width] that a model returns, where it returns one."""
    values = result.values() if isinstance(result, Mapping) else [result]
    return next((each for each in values if isinstance(each, Tensor) and each.shape[1:] == (width,)), None)
