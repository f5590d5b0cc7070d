"""LST: a small side network fed by a frozen backbone, so that nothing is saved inside the backbone.

Paper    Sung, Cho, Bansal, NeurIPS 2022, arXiv:2206.06522
Budget   bytes: weights + gradients + optimizer + saved for backward, at their peak
Differs  side layers are copies of the backbone's own, cut by structure (paper: a model file per architecture);
         heads that carry rotary positions keep their size and get fewer (paper: all heads, narrower); attention in
         the side network is fused and has no dropout, so that its maps are not kept; the backbone's dropout is off;
         keys and values that are read across are cut to what the other stack's chain ended with
Axes     b batch, t tokens, d width of the backbone, s = d / reduction width of the side network

anatomy.py      what a layer is made of
importance.py   magnitude, Fisher information
chain.py        which rows and columns are kept
shrunk.py       a layer cut to them
side.py         ladders, gates and the side layers of one stack
cache.py        keys and values of the side network in generation
"""

from mnemic.footprint.lst.ladder import PATTERNS, Ladder

__all__ = ["PATTERNS", "Ladder"]
