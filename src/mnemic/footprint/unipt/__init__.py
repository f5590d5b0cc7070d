"""UniPT: a parallel side module attends from the last frozen layer to all others and fuses them by confidence.

Paper    Diao, Wan, Zhang, Jia, Lu, Chen, CVPR 2024, arXiv:2308.14316
Budget   bytes: weights + gradients + optimizer + saved for backward, at their peak
Differs  scores and normalized projections are computed again on the way back instead of being kept (same gradients);
         in language models attention and confidence see no later tokens, and the output starts as the backbone's own;
         stages of a convolutional network and their sizes are found by a trial run (reference code: constants)
Axes     b batch, t tokens, d width of the backbone, m = width / reduction, n targets, k queries; c channels, h w of a
         map, q side of a window

variants.py     the five forms of the paper, as a table
fusion.py       projections, confidence, output
attention.py    the parameter-free attention and what it keeps for backward
shrinking.py    linear map and normalization
alignment.py    maps of a convolutional network brought to the size of the last one
listening.py    where a network hands its features over, one layer at a time
fitting.py      which variant and which head belong to a backbone
model.py        UniPT itself
"""

from mnemic.footprint.unipt.fusion import Fused, Fusion
from mnemic.footprint.unipt.listening import states
from mnemic.footprint.unipt.model import UniPT
from mnemic.footprint.unipt.variants import VARIANTS, Variant

__all__ = ["VARIANTS", "Fused", "Fusion", "UniPT", "Variant", "states"]
