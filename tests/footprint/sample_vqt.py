"""What VQT is tried on: tiny encoders and decoders of several makings, and batches for them."""

from __future__ import annotations

from functools import partial
from typing import Any

import sample
import torch
from torch import Tensor, nn
from torch.nn import functional

from mnemic import catalog
from mnemic.footprint.vqt import VQT


class Sample(sample.Sample):  # type: ignore[misc]
    """The small BERT that the whole level is tried on."""

    def __init__(self) -> None:
        super().__init__(catalog.system("vqt"))


KEPT = ("graph", "keys", "jacobians", "nothing")
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4}
Batch = dict[str, Any]


def bert(**options: Any) -> Any:
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    return BertModel(BertConfig(vocab_size=40, max_position_embeddings=64, **{**SMALL, **options}), False).eval()


def vit() -> Any:
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(0)
    return ViTModel(ViTConfig(image_size=16, patch_size=4, **SMALL), add_pooling_layer=False).eval()


def llama(kv: int = 2) -> Any:
    from transformers import LlamaConfig, LlamaModel

    torch.manual_seed(0)
    return LlamaModel(LlamaConfig(vocab_size=40, num_key_value_heads=kv, **SMALL)).eval()


def gpt2() -> Any:
    from transformers import GPT2Config, GPT2Model

    torch.manual_seed(0)
    return GPT2Model(GPT2Config(vocab_size=40, n_positions=64, n_embd=32, n_layer=3, n_head=4)).eval()


class Block(nn.Module):
    """A pre-norm block as timm writes it: one matrix for queries, keys and values, layer scale."""

    def __init__(self, width: int = 32, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.gamma = nn.Parameter(torch.full((width,), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        b, t, d = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*qkv.unbind(0)).transpose(1, 2).reshape(b, t, d)
        x = x + self.gamma * self.proj(mixed)
        return x + self.gamma * self.fc2(functional.gelu(self.fc1(self.norm2(x))))


class Timm(nn.Module):
    """A ViT as timm builds it, without a head: blocks in a Sequential, the class token pooled."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(3, 32, 4, 4)
        self.cls_token, self.pos_embed = nn.Parameter(torch.randn(1, 1, 32)), nn.Parameter(torch.randn(1, 17, 32))
        self.blocks, self.norm = nn.Sequential(*[Block() for _ in range(3)]), nn.LayerNorm(32)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patch_embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), patches], dim=1) + self.pos_embed
        return self.norm(self.blocks(x))[:, 0]


def timm() -> Timm:
    torch.manual_seed(0)
    return Timm().eval()


def texts(tokens: int = 9, padding: int = 4, rows: int = 4) -> Batch:
    own = torch.Generator().manual_seed(5)
    ids = torch.randint(1, 40, (rows, tokens), generator=own)
    mask = torch.ones_like(ids)
    mask[0, tokens - padding :] = 0
    return {"input_ids": ids * mask, "attention_mask": mask, "labels": torch.arange(rows) % 3}


def images(name: str = "pixel_values") -> Batch:
    own = torch.Generator().manual_seed(5)
    return {name: torch.randn(4, 3, 16, 16, generator=own), "labels": torch.tensor([0, 1, 2, 0])}


MODELS = {
    "bert": (bert, texts), "vit": (vit, images), "llama": (llama, texts), "gpt2": (gpt2, texts),
    "timm": (timm, partial(images, "x")),
}  # fmt: skip


def made(backbone: Any, **options: Any) -> VQT:
    torch.manual_seed(1)
    return VQT(backbone, **{"classes": 3, "queries": 2, "dropout": 0.0, **options}).train()


def learned(model: VQT, batch: Batch) -> tuple[float, list[Tensor]]:
    """Loss, and the gradients of the queries and the head."""
    model.zero_grad()
    loss = model(**batch)["loss"]
    loss.backward()
    return loss.item(), [each.grad for each in (*model.queries, model.head.linear.weight) if each.grad is not None]


def far(ours: list[Tensor], right: list[Tensor]) -> float:
    return max(((a - b).norm() / b.norm()).item() for a, b in zip(ours, right, strict=True))
