"""MobileTL: the top inverted residual blocks are tuned, with shifts in their norms and one bit per activation.

Paper    Chiang, Frumkin, Liang, Marculescu, AAAI 2023, arXiv:2212.03246
Budget   bytes: weights + gradients + optimizer + saved for backward, at their peak
Differs  blocks are found by the order in which modules run (paper: known networks); what lies between the last block
         and the classifier is tuned like the inside of a block; squeeze-and-excitation may be frozen; with one image
         in a batch the last norms stand still; the bit of Hard-Swish is 1[x > threshold], 0 by default (paper:
         "signed function", no number)
Axes     b images, c channels, h w height and width of a map, e expansion

blocks.py   inverted residual blocks of any network
norms.py    y = a*x + b
signs.py    activations with one bit kept
frozen.py   frozen convolutions and fixed gates that keep nothing
model.py    MobileTL: conversion, saving, budget, export
report.py   bytes per block, predicted and measured; multiplications of a step
"""

from mnemic.footprint.mobiletl.blocks import Block, Plan, plan
from mnemic.footprint.mobiletl.frozen import FixedGate, FrozenConv
from mnemic.footprint.mobiletl.model import MobileTL
from mnemic.footprint.mobiletl.norms import ShiftNorm
from mnemic.footprint.mobiletl.report import Macs, Report, Row, fit_budget, macs, memory_report
from mnemic.footprint.mobiletl.signs import SignAct, pack, unpack

__all__ = [
    "Block", "FixedGate", "FrozenConv", "Macs", "MobileTL", "Plan", "Report", "Row", "ShiftNorm", "SignAct",
    "fit_budget", "macs", "memory_report", "pack", "plan", "unpack",
]  # fmt: skip
