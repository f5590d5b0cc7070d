"""S2A: biases, prompts and side branches are trained, and backward keeps 4 bits of what it needs of the backbone.

Paper    Jin, Du, Wang, Xu, Luo, 2025, arXiv:2503.08154
Budget   bytes: weights + gradients + optimizer + saved for backward, at their peak
Differs  operations are caught where torch's functions are called (paper: modules of known networks); prompts keep no
         more than their keys and values; form of prompts and branches, group quantiser and bit allocation are ours,
         the paper's abstract names them only
Axes     b batch, n tokens, d width, h heads, r rank of a branch

tables.py      levels of derivatives, by dynamic programming
packing.py     numbers in 1 to 8 bits, in uint8
functions.py   backward from packed bytes, one function per operation
attention.py   the same for attention
ops.py         the op list: which functions of torch are caught
structure.py   prompts and side branches
model.py       S2A
allocation.py  bits per operation under a budget of bytes, by their error in the gradient
"""

from mnemic.footprint.s2a.allocation import allocate_bits, cosine, gradients
from mnemic.footprint.s2a.model import S2A
from mnemic.footprint.s2a.tables import Table, derivative_table

__all__ = ["S2A", "Table", "allocate_bits", "cosine", "derivative_table", "gradients"]
