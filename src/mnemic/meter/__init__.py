"""What was used, measured: the one currency in which all systems are compared.

Budget            what a system may spend: so many tokens, bytes or records
Used              what it spent, and on what
readable          an amount for people: "12.3 MB"
disk_bytes        a file with everything kept beside it, or a folder
process_bytes     this process: peak, and what it holds now
peak_of           a call made in a fresh process: its result, and the peak of that process
training_bytes    one training step: weights, gradients, optimizer, saved for backward, by module (needs torch)
saved_bytes       what a block of code saves for backward, by module (needs torch)
device_bytes      a call's peak on the accelerator (needs torch)
"""

from mnemic.meter.budget import Budget, Unit, Used, readable
from mnemic.meter.disk import disk_bytes
from mnemic.meter.process import Measured, peak_of, process_bytes
from mnemic.meter.training import Saved, TrainingUsed, device_bytes, saved_bytes, training_bytes

__all__ = [
    "Budget",
    "Measured",
    "Saved",
    "TrainingUsed",
    "Unit",
    "Used",
    "device_bytes",
    "disk_bytes",
    "peak_of",
    "process_bytes",
    "readable",
    "saved_bytes",
    "training_bytes",
]
