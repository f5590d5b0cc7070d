"""Greenformers: the matrices of a network become pairs of thin ones, before or after training.

Paper    Cahyawijaya, 2021, arXiv:2108.10808; first in Winata et al., ICASSP 2020, arXiv:1910.13923
Budget   bytes: weights + gradients + optimizer + saved for backward, at their peak
Differs  grouped convolutions are factorised group by group, with a grouped 1x1 (reference: one SVD over all groups);
         the break-even of convolutions counts the kernel's area (reference: an option); a trained bias always stays;
         ranks may be shared out by energy, and errors measured on real inputs
Axes     r rank, b batch, n tokens, d width, k projected length, h heads

units.py       LED and CED: what takes a layer's place
solvers.py     a matrix as a product of two
layers.py      which layers of a model can be factorised, and their break-even
factorise.py   auto_fact: a whole model at once
attention.py   nn.MultiheadAttention as low-rank projections; Linformer's attention
planner.py     which layers, which rank, under a budget
cost.py        multiply-adds of a layer, and from which length on Linformer is cheaper
report.py      what it brought: parameters, multiply-adds, time, error per layer; times over lengths
model.py       Greenformer: factorise, train, save the factors
"""

from mnemic.footprint.greenformers.attention import LinformerAttention, LowRankAttention
from mnemic.footprint.greenformers.cost import crossover, dense_macs, linformer_macs, lrt_macs
from mnemic.footprint.greenformers.factorise import auto_fact
from mnemic.footprint.greenformers.layers import break_even
from mnemic.footprint.greenformers.model import Greenformer
from mnemic.footprint.greenformers.planner import covariances, plan
from mnemic.footprint.greenformers.report import Layer, Report, report, sweep
from mnemic.footprint.greenformers.units import CED, LED

__all__ = [
    "CED", "LED", "Greenformer", "Layer", "LinformerAttention", "LowRankAttention", "Report", "auto_fact",
    "break_even", "covariances", "crossover", "dense_macs", "linformer_macs", "lrt_macs", "plan", "report", "sweep",
]  # fmt: skip
