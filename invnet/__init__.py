"""Reconstructors that invert any linear operator, around one shared physics."""

from invnet import data, losses, metrics, nets, noise, plot, priors, sensor
from invnet.physics import Physics
from invnet.reconstruct import (
    MAP,
    RED,
    DeepImagePrior,
    DirectInverse,
    Info,
    LearnedPrimalDual,
    PlugAndPlay,
    PostProcess,
    Reconstructor,
    Unrolled,
)
from invnet.train import TrainOptions, TrainResult, load_trained, train

__all__ = [
    "MAP",
    "RED",
    "DeepImagePrior",
    "DirectInverse",
    "Info",
    "LearnedPrimalDual",
    "Physics",
    "PlugAndPlay",
    "PostProcess",
    "Reconstructor",
    "TrainOptions",
    "TrainResult",
    "Unrolled",
    "data",
    "load_trained",
    "losses",
    "metrics",
    "nets",
    "noise",
    "plot",
    "priors",
    "sensor",
    "train",
]
