"""What fits a backbone: its variant, the head that it brings, whether it speaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from mnemic.errors import InputError
from mnemic.footprint._head import own_head
from mnemic.footprint._stacks import stacks
from mnemic.footprint.unipt.listening import classifier, has_stack, places
from mnemic.footprint.unipt.variants import Variant, variant

POSITIONS = ("first", "last", "eot")


def usual(backbone: nn.Module, dims: Sequence[int] | None) -> str:
    """The variant that fits a backbone."""
    if dims is not None:
        return "text"
    if not has_stack(backbone):
        return "maps"
    return "text" if len(stacks(backbone)) == 1 else "pair"


def usual_width(backbone: Any) -> int:
    """d_out unless it is given; 32 for a callable, which does not say."""
    if not isinstance(backbone, nn.Module):
        return 32
    return stacks(backbone)[0].width if has_stack(backbone) else places(backbone)[-1].channels // 2


def checked(backbone: nn.Module, options: Mapping[str, Any]) -> Variant:
    """The form that the options describe; InputError for what does not fit the backbone."""
    form = variant(options["variant"])
    if options["position"] not in POSITIONS:
        raise InputError(f'position is "{options["position"]}": use {", ".join(POSITIONS)}.')
    if options["dims"] is None and has_stack(backbone) == (form.down == "batch"):
        kind = "maps" if form.down == "batch" else "lists of tokens"
        raise InputError(
            f'variant "{options["variant"]}" reads {kind}, and {type(backbone).__name__} has none: leave variant= out.'
        )
    return form if options["project"] is None else replace(form, project=options["project"])


def own_parameters(backbone: nn.Module, options: Mapping[str, Any]) -> list[str] | None:
    """Names of what is trained of the backbone's head; none of them if it is frozen, None if there is no head."""
    if options["variant"] == "single":  # one vector: a projection made it, and what reads it comes after
        return None
    name, vocabulary = type(backbone).__name__, getattr(backbone, "get_output_embeddings", lambda: None)()
    names = own_head(backbone)
    found = bool(names) or vocabulary is not None
    if found and options["classes"] is not None:
        raise InputError(f"{name} brings a head of its own: leave classes= out, or give the model without the head.")
    if options["dims"] is not None or options["classes"] is not None:
        return None
    if not found and not has_stack(backbone) and (last := classifier(backbone)) is not None:
        ids = {id(parameter) for parameter in last.parameters()}
        names = [each for each, parameter in backbone.named_parameters() if id(parameter) in ids]
    if not names and not found:
        return None
    return names


def speaks(backbone: nn.Module) -> bool:
    """Whether it generates text, so that no token may know of later ones."""
    can: Callable[[], bool] = getattr(backbone, "can_generate", lambda: False)
    return bool(can())
