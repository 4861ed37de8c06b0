"""Reconstructors that invert any linear operator, around one shared physics."""

from invnet import data, metrics, nets, noise, plot, priors, sensor
from invnet.physics import Physics
from invnet.reconstruct import MAP, DirectInverse, Info, Reconstructor

__all__ = [
    "MAP",
    "DirectInverse",
    "Info",
    "Physics",
    "Reconstructor",
    "data",
    "metrics",
    "nets",
    "noise",
    "plot",
    "priors",
    "sensor",
]
