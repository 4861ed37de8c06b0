"""Reconstructors that invert any linear operator, around one shared physics."""

from invnet import data, metrics, nets, noise, plot, priors, sensor
from invnet.physics import Physics
from invnet.reconstruct import (
    MAP,
    RED,
    DeepImagePrior,
    DirectInverse,
    Info,
    LatentMAP,
    LearnedPrimalDual,
    PlugAndPlay,
    PostProcess,
    Reconstructor,
    Unrolled,
)

__all__ = [
    "MAP",
    "RED",
    "DeepImagePrior",
    "DirectInverse",
    "Info",
    "LatentMAP",
    "LearnedPrimalDual",
    "Physics",
    "PlugAndPlay",
    "PostProcess",
    "Reconstructor",
    "Unrolled",
    "data",
    "metrics",
    "nets",
    "noise",
    "plot",
    "priors",
    "sensor",
]
