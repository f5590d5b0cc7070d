"""VQT: learned queries read every layer of a frozen transformer, and nothing is saved inside the backbone.

Paper    Tu, Mai, Chao, CVPR 2023, arXiv:2212.03220
Budget   bytes: weights + gradients + optimizer + saved for backward, at their peak
Differs  tokens run without gradients, apart from the queries (reference code: together, all of it recorded); what the
         queries need of them on the way back is computed again by default, and kept on request; text encoders and
         decoders too; a model's own classifier may stay
Axes     b batch, t tokens, q queries of a layer, d width of the backbone, a heads, k and v width of one in keys, values
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from mnemic.errors import InputError
from mnemic.footprint._file import fingerprint
from mnemic.footprint._head import Output, masked_mean, output, own_head
from mnemic.footprint._stacks import only_stack
from mnemic.footprint._tuned import Tuned
from mnemic.footprint.vqt import selection
from mnemic.footprint.vqt.head import PiecesHead
from mnemic.footprint.vqt.layers import last_visible
from mnemic.footprint.vqt.streams import KEEP, Batch, Reading, read
from mnemic.footprint.vqt.tasks import MultiTaskVQT

__all__ = ["VQT", "MultiTaskVQT"]

POOLS = ("first", "last", "mean", "patches")
COMBINES = ("concat", "mean", "weighted")


class VQT(Tuned):
    """A frozen transformer, read by learned queries in every layer.

    Queries go through a whole layer as further rows that see its tokens and are never seen: the backbone's features
    stay what they are. What they come out as is no input of the next layer; it is collected, scaled to length 1 and,
    with the summary that the backbone gives by itself, classified by one linear map.

    classes     of a new head; None for a model with its own classifier: that stays, and is trained; the queries' head
                starts at zero and adds to its logits
    queries     Q, for all layers or one number each
    layers      "all", or the places of those that are read: (0, 5, -1)
    dropout     on the queries while training
    combine     the Q states of a layer are used as they are ("concat"), as their "mean", or as a learned "weighted" sum
    pool        the backbone's summary: its "first" token, the "last" that is no padding, the "mean" of those, or the
                mean of all but the first, normalized ("patches", for MAE). None: last for causal models, else first
    normalize   scale every piece to length 1
    keep        what is saved for the way back, always with the same gradient (streams.py): "nothing", "jacobians",
                "keys", "graph", from the fewest bytes and the longest step to the most bytes and the shortest
    half        keep it in 16 bits: half of the bytes, and gradients to three digits instead of seven
    adapted     the backbone carries an adapter (LoRA, prompts): what needs a gradient in it is trained along, through
                the whole backbone, and saves no bytes beyond the adapter's own
    features    of how many entries of phi the classifier reads; set by select_features
    """

    method = "vqt"

    def __init__(
        self, backbone: nn.Module, *, classes: int | None = None, queries: int | Sequence[int] = 1,
        layers: str | Sequence[int] = "all", dropout: float = 0.1, combine: str = "concat", pool: str | None = None,
        normalize: bool = True, keep: str | None = None, half: bool = False, adapted: bool = False,
        features: int | None = None,
    ) -> None:  # fmt: skip
        stack, keep = only_stack(backbone), keep or ("graph" if adapted else "nothing")
        places = _places(layers, len(stack.layers))
        counts = _counts(queries, places)
        _check(combine=(combine, COMBINES), keep=(keep, tuple(KEEP)), pool=(pool, (None, *POOLS)))
        _check_kept(keep, half=half, adapted=adapted)
        options = {
            "classes": classes, "queries": counts, "layers": places, "dropout": dropout, "combine": combine,
            "pool": pool, "normalize": normalize, "keep": keep, "half": half, "adapted": adapted, "features": features,
        }  # fmt: skip
        woken = [*(_adapter(backbone) if adapted else []), *(_own_classifier(backbone) if classes is None else [])]
        super().__init__(backbone, options)
        self.wake(woken)
        self.stack, self.places, self.keep, self.halved, self.dropout = stack, places, keep, half, dropout
        self.pool = pool or ("last" if _is_causal(stack.host) else "first")
        reach = math.sqrt(6 / (3 * _patch(backbone, stack.width) ** 2 + stack.width))
        self.queries = nn.ParameterList([torch.empty(count, stack.width).uniform_(-reach, reach) for count in counts])
        self.head = PiecesHead(
            stack.width, counts, classes or int(backbone.config.num_labels), summary=classes is not None,  # type: ignore[union-attr,arg-type]
            combine=combine, normalize=normalize, features=features,
        )  # fmt: skip
        self.train(self.training)
        if classes is None:
            nn.init.zeros_(self.head.linear.weight)
            nn.init.zeros_(self.head.linear.bias)

    def train(self, mode: bool = True) -> Self:
        """Train or evaluate the small part; 4-bit layers stay in training mode, where they do nothing else but that
        they do not repack their weights on a CPU, for inference, in a form that no gradient goes through."""
        super().train(mode)
        for module in self.backbone.modules():
            if hasattr(getattr(module, "weight", None), "quant_state"):
                module.train()
        return self

    def forward(self, *inputs: Any, labels: Tensor | None = None, **batch: Any) -> Output:
        """A batch of the backbone -> logits [b classes], and the loss when there are labels."""
        reading, states = self._read(inputs, batch)
        return output(self.logits(reading.result, states, reading.visible), labels)

    def phi(self, *inputs: Any, **batch: Any) -> Tensor:
        """What the classifier reads, [b features]."""
        reading, states = self._read(inputs, batch)
        return self.head.phi(self._summary(reading.result, reading.visible), states)

    def logits(self, result: Any, states: Sequence[Tensor], visible: Tensor | None) -> Tensor:
        """From what the backbone returned and the states R_l [b q d] of the layers that are read."""
        found: Tensor = self.head(self._summary(result, visible), states)
        if self.options["classes"] is None:
            own: Tensor = result["logits"]
            if own.dim() != 2:
                raise InputError(f"{type(self.backbone).__name__} has logits for every token, and VQT reads a whole "
                                 "input into one vector: give the model without its head, and classes=.")  # fmt: skip
            found = found + own
        return found

    def as_batch(self, inputs: tuple[Any, ...], batch: dict[str, Any]) -> Batch:
        """A batch without what training has no use for: decoders would cache every key."""
        takes_cache = "use_cache" in inspect.signature(self.backbone.forward).parameters
        return inputs, {"use_cache": False, **batch} if takes_cache else batch

    def select_features(
        self, batches: Iterable[Mapping[str, Any]], *, keep: float = 0.7, group_lasso: float = 1e-4, epochs: int = 50,
        lr: float = 5e-3,
    ) -> VQT:  # fmt: skip
        """A smaller model that reads the entries of phi that matter; this one is stage one and stays as it is.

        Stage two trains a new classifier with loss + group_lasso * sum_j ||W_{:,j}||, the queries still; stage three
        trains another one on the share `keep` of the entries with the largest ||W_{:,j}||.

        batches   of the training set, with labels; run once, phi is kept
        lr        half of what training took
        """
        if self.options["classes"] is None or self.head.kept is not None:
            raise InputError("features are selected once, for a head of one's own: build with classes=.")
        if not 0 < keep <= 1:
            raise InputError(f"cannot keep a share of {keep} of the features: give one between 0 and 1.")
        rows, classes = self._rows(batches), int(self.options["classes"])
        count = max(1, round(keep * self.head.size))
        used = selection.scores(selection.trained(rows, classes, group_lasso=group_lasso, epochs=epochs, lr=lr))
        kept = used.topk(count).indices.sort().values
        rows = [(phi[:, kept], labels) for phi, labels in rows]
        small = type(self)(self.backbone, **{**self.options, "features": count}).to(self.queries[0].device)
        small.fingerprint = self.fingerprint
        small.queries.load_state_dict(self.queries.state_dict())
        small.head.weights.load_state_dict(self.head.weights.state_dict())
        small.head.kept.copy_(kept)
        head = selection.trained(rows, classes, group_lasso=0.0, epochs=epochs, lr=lr)
        small.head.linear.load_state_dict(head.state_dict())
        return small

    @classmethod
    def sizes(cls, backbone: nn.Module) -> Iterator[dict[str, Any]]:
        """More queries first; kept keys before a second pass of the backbone."""
        for keep in ("keys", "nothing"):
            for queries in (16, 4, 1):
                yield {"queries": queries, "keep": keep}

    @classmethod
    def identity(cls, backbone: nn.Module, options: Mapping[str, Any]) -> str:
        """An adapter that is trained along comes from the file, so a file fits any backbone that differs in it only."""
        return fingerprint(backbone, without=_adapter(backbone) if options["adapted"] else ())

    def _read(self, inputs: tuple[Any, ...], batch: dict[str, Any]) -> tuple[Reading, list[Tensor]]:
        if self.training:
            self.check_frozen()
        queries = [functional.dropout(each, self.dropout, self.training) for each in self.queries]  # [q d]
        asked = dict(zip(self.places, queries, strict=True))
        batch_ = self.as_batch(inputs, batch)
        reading = read(self.backbone, self.stack, asked, batch_, keep=self.keep, half=self.halved)
        return reading, [reading.states[place] for place in self.places]

    def _summary(self, result: Any, visible: Tensor | None) -> Tensor | None:
        """CLS_final or its like, after the backbone's last norm: [b d]; None where the own classifier reads it."""
        if self.options["classes"] is None:
            return None
        hidden = result if isinstance(result, Tensor) else result["last_hidden_state"]
        if hidden.shape[-1] != self.stack.width or hidden.dim() not in (2, 3):
            raise InputError(
                f"{type(self.backbone).__name__} returns {list(hidden.shape)}, no states of width {self.stack.width}: "
                "give the model without its head (timm: num_classes=0)."
            )
        if hidden.dim() == 2 or self.pool == "first":
            return hidden if hidden.dim() == 2 else hidden[:, 0]
        if self.pool == "patches":
            return functional.layer_norm(hidden[:, 1:].mean(1), hidden.shape[-1:])
        if self.pool == "mean":
            return masked_mean(hidden, visible)
        return hidden[:, -1] if visible is None else hidden[torch.arange(len(hidden)), last_visible(visible)]

    @torch.no_grad()
    def _rows(self, batches: Iterable[Mapping[str, Any]]) -> list[tuple[Tensor, Tensor]]:
        was, rows = self.training, []
        self.eval()
        for batch in batches:
            given = dict(batch)
            labels = given.pop("labels")
            rows.append((self.phi(**given), labels))
        self.train(was)
        if not rows:
            raise InputError("there are no batches to select features by: give those of the training set.")
        return rows


def _check(**options: tuple[Any, tuple[Any, ...]]) -> None:
    for name, (value, known) in options.items():
        if value not in known:
            raise InputError(f'{name} must be one of {", ".join(map(str, known))}, got "{value}".')


def _check_kept(keep: str, *, half: bool, adapted: bool) -> None:
    if adapted and keep != "graph":
        raise InputError(f'an adapted backbone needs its whole graph, keep="{keep}" has none: leave keep out.')
    if half and keep not in ("keys", "jacobians"):
        raise InputError(f'with keep="{keep}" there is nothing that half could shrink: leave one of them out.')


def _places(layers: str | Sequence[int], count: int) -> list[int]:
    """Layers by their places, from the first to the last."""
    places = list(range(count)) if layers == "all" else [int(place) for place in layers]
    if not places or any(not -count <= place < count for place in places):
        raise InputError(f'layers must be "all" or places between {-count} and {count - 1}, got {layers}.')
    return sorted({place % count for place in places})


def _counts(queries: int | Sequence[int], places: Sequence[int]) -> list[int]:
    counts = [queries] * len(places) if isinstance(queries, int) else list(queries)
    if len(counts) != len(places) or min(counts) < 1:
        raise InputError(f"queries must be a number above 0, or one for each of {len(places)} layers, got {queries}.")
    return counts


def _adapter(backbone: nn.Module) -> list[str]:
    """Names of what is trained in a backbone that carries an adapter."""
    trained = [name for name, parameter in backbone.named_parameters() if parameter.requires_grad]
    if not trained or len(trained) == len(list(backbone.parameters())):
        raise InputError(
            f"adapted=True is for a backbone whose adapter is trained and whose rest is frozen; in this "
            f"{type(backbone).__name__} {'everything' if trained else 'nothing'} needs a gradient: add LoRA or prompts."
        )
    return trained


def _own_classifier(backbone: nn.Module) -> list[str]:
    """Names of the parameters of a model's own classifier. Raises InputError when it has none to add logits to."""
    own = own_head(backbone)
    is_lm = getattr(backbone, "get_output_embeddings", lambda: None)() is not None
    if is_lm or not own or not hasattr(getattr(backbone, "config", None), "num_labels"):
        raise InputError(
            f"{type(backbone).__name__} has no classifier of whole inputs, which VQT could add to: give an encoder or "
            "decoder without a head, and classes=."
        )
    return own


def _is_causal(host: nn.Module) -> bool:
    return any(getattr(module, "is_causal", False) is True for module in host.modules())


def _patch(backbone: nn.Module, width: int) -> int:
    """Side of the patches that an image is cut into; 16 where nothing is cut (texts), as in the paper's ViT-B/16."""
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d) and module.out_channels == width and module.stride == module.kernel_size:
            return int(module.kernel_size[0])
    return 16
