"""Which entries of phi a task needs: group lasso over the inputs of the classifier (stages two and three)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from mnemic.footprint.vqt.head import linear

Rows = Sequence[tuple[Tensor, Tensor]]  # (phi [b f], labels [b]) of each batch


def scores(head: nn.Linear) -> Tensor:
    """s_j = ||W_{:,j}||_2: how much an entry of phi is used, [f]."""
    lengths: Tensor = torch.linalg.vector_norm(head.weight.detach(), dim=0)
    return lengths


def trained(rows: Rows, classes: int, *, group_lasso: float, epochs: int, lr: float) -> nn.Linear:
    """A classifier on features that stay as they are: loss + group_lasso * sum_j ||W_{:,j}||_2."""
    phi = rows[0][0]
    with torch.random.fork_rng():
        torch.manual_seed(0)  # the same scores however often it is asked
        head = linear(phi.shape[1], classes).to(phi.device)
    optimizer = torch.optim.Adam(head.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for phi, labels in rows:
            optimizer.zero_grad()
            loss = (
                functional.cross_entropy(head(phi), labels)
                + group_lasso * torch.linalg.vector_norm(head.weight, dim=0).sum()
            )
            loss.backward()
            optimizer.step()
        schedule.step()
    return head
