"""Multiply-adds of one transformer layer, batch 1, and the length from which low-rank attention is cheaper."""

from __future__ import annotations


def dense_macs(n: int, d: int, d_ff: int) -> int:
    """4 n d^2 + 2 n d d_ff for the weights, 2 n^2 d for the attention."""
    return 4 * n * d * d + 2 * n * d * d_ff + 2 * n * n * d


def lrt_macs(n: int, d: int, d_ff: int, r: int) -> int:
    """8 n d r + 2 n r (d + d_ff) for the weights, 2 n^2 d for the attention."""
    return 8 * n * d * r + 2 * n * r * (d + d_ff) + 2 * n * n * d


def linformer_macs(n: int, d: int, d_ff: int, k: int) -> int:
    """The weights of a dense layer; 2 n k d to project keys and values, 2 n k d to attend."""
    return 4 * n * d * d + 2 * n * d * d_ff + 4 * n * k * d


def crossover(d: int, d_ff: int, r: int, k: int) -> int:
    """The first length at which Linformer takes fewer multiply-adds than low-rank weights.

    Both are linear in n once divided by n d: 8 r + 2 r (d + d_ff) / d + 2 n against 4 d + 2 d_ff + 4 k.
    """
    twice = 4 * d + 2 * d_ff + 4 * k - 8 * r - 2 * r * (d + d_ff) / d
    return max(1, int(twice // 2) + 1)
