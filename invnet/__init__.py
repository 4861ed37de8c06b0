"""Reconstructors that invert any linear operator, around one shared physics."""

from invnet import data, metrics, nets, noise, plot, priors, sensor
from invnet.physics import Physics
from invnet.reconstruct import MAP, RED, DirectInverse, Info, PlugAndPlay, PostProcess, Reconstructor

__all__ = [
    "MAP",
    "RED",
    "DirectInverse",
    "Info",
    "Physics",
    "PlugAndPlay",
    "PostProcess",
    "Reconstructor",
    "data",
    "metrics",
    "nets",
    "noise",
    "plot",
    "priors",
    "sensor",
]
