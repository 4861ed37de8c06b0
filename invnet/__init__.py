"""Reconstructors that invert any linear operator, around one shared physics."""

from invnet import data, metrics, noise, plot, sensor
from invnet.physics import Physics
from invnet.reconstruct import DirectInverse, Info, Reconstructor

__all__ = [
    "DirectInverse",
    "Info",
    "Physics",
    "Reconstructor",
    "data",
    "metrics",
    "noise",
    "plot",
    "sensor",
]
