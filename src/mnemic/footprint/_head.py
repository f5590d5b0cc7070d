"""A head for models that come without one, and what a model that was given labels returns."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional


class Output(dict[str, Tensor]):
    """Named tensors that are attributes too, as transformers' Trainer and plain loops expect them.

    logits    [b classes]
    loss      scalar; only when labels were given
    """

    def __getattr__(self, name: str) -> Tensor:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class PooledHead(nn.Module):
    """Linear classifier on the mean of the tokens that are no padding: [b t d] -> [b classes].

    classes   1 is a regression
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, classes)

    def forward(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        logits: Tensor = self.linear(masked_mean(hidden, mask).to(self.linear.weight.dtype))
        return logits


def masked_mean(hidden: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean over the tokens whose mask is not 0: [b t d], [b t] -> [b d]; over all of them without a mask."""
    if mask is None:
        return hidden.mean(1)
    weight = mask.to(hidden.dtype).unsqueeze(-1)  # [b t 1]
    return (hidden * weight).sum(1) / weight.sum(1).clamp(min=1)


def output(logits: Tensor, labels: Tensor | None = None) -> Output:
    """Logits, with the loss when there are labels: cross entropy for classes, squared error for one number."""
    if labels is None:
        return Output(logits=logits)
    if logits.shape[-1] == 1:
        loss = functional.mse_loss(logits.squeeze(-1), labels.to(logits.dtype))
    else:
        loss = functional.cross_entropy(logits, labels)
    return Output(loss=loss, logits=logits)


def own_head(model: nn.Module) -> list[str]:
    """Names of the parameters of a head that a Hugging Face model brings and that is to be trained with the task.

    A classifier on top of the base model is; output embeddings are not: they are the pre-trained language-model head.
    """
    base = getattr(model, "base_model", model)
    if base is model:
        return []
    kept = {id(parameter) for parameter in base.parameters()}
    embeddings = getattr(model, "get_output_embeddings", lambda: None)()
    if embeddings is not None:
        kept |= {id(parameter) for parameter in embeddings.parameters()}
    return [name for name, parameter in model.named_parameters() if id(parameter) not in kept]


def padding_mask(batch: Mapping[str, object]) -> Tensor | None:
    """The [b t] padding mask of a batch, where it has one."""
    mask = batch.get("attention_mask")
    return mask if isinstance(mask, Tensor) and mask.dim() == 2 else None
