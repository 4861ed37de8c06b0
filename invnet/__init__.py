"""Reconstructors that invert any linear operator, around one shared physics."""

from invnet import data, metrics, nets, noise, plot, priors, sensor
from invnet.physics import Physics
from invnet.reconstruct import (
    MAP,
    RED,
    DeepImagePrior,
    DirectInverse,
    Info,
    PlugAndPlay,
    PostProcess,
    Reconstructor,
)

__all__ = [
    "MAP",
    "RED",
    "DeepImagePrior",
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
