"""What tests/test_systems.py tries the systems of this level on: a tiny backbone, and a budget that picks a size.

An own tests/footprint/sample_<slug>.py with a class `Sample` that inherits from this one may choose another backbone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from mnemic import catalog
from mnemic.catalog import System
from mnemic.meter import Budget, Used


class Sample:
    """Wrapped, trained for a few steps, asked for its logits."""

    options: dict[str, Any] = {"classes": 3}  # noqa: RUF012

    def __init__(self, row: System) -> None:
        self.system = catalog.load(row.slug)

    @property
    def smallest(self) -> Budget:
        backbone = self.backbone()
        sizes = list(self.system.sizes(backbone))
        used = [
            self.system(self.backbone(), **{**size, **self.options}).used(self.batch(0)).amount for size in sizes[-1:]
        ]
        return Budget(min(used), "bytes")

    def backbone(self) -> Any:
        from transformers import BertConfig, BertModel

        torch.manual_seed(11)
        config = BertConfig(vocab_size=40, hidden_size=32, intermediate_size=64, num_hidden_layers=3,
                            num_attention_heads=2, max_position_embeddings=32)  # fmt: skip
        return BertModel(config, add_pooling_layer=False)

    def batch(self, seed: int) -> dict[str, Any]:
        own = torch.Generator().manual_seed(seed)
        ids, labels = torch.randint(1, 40, (4, 6), generator=own), torch.randint(0, 3, (4,), generator=own)
        mask = torch.ones(4, 6, dtype=torch.long)
        mask[0, 4:] = 0
        return {"input_ids": ids * mask, "attention_mask": mask, "labels": labels}

    def items(self, n: int, seed: int) -> list[dict[str, Any]]:
        return [self.batch(1000 * seed + item) for item in range(n)]

    def make(self, budget: Budget, seed: int, folder: Path) -> Any:
        backbone = self.backbone()
        torch.manual_seed(seed)
        return self.system.within(budget, backbone, self.batch(0), **self.options)

    def fill(self, system: Any, items: Sequence[Any]) -> None:
        optimizer = torch.optim.SGD([p for p in system.parameters() if p.requires_grad], lr=0.05)
        system.train()
        for batch in items:
            optimizer.zero_grad()
            system(**batch)["loss"].backward()
            optimizer.step()

    def ask(self, system: Any) -> list[float]:
        system.eval()
        with torch.no_grad():
            return [round(value, 4) for value in system(**self.batch(0))["logits"].flatten().tolist()]

    def used(self, system: Any) -> Used:
        used: Used = system.used(self.batch(0))
        return used

    def reopen(self, system: Any, folder: Path) -> Any:
        system.save(folder / "part.safetensors")
        return self.system.load(folder / "part.safetensors", self.backbone())
