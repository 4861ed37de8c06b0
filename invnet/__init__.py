"""Reconstructors that invert any linear operator, around one shared physics."""

from invnet import data, interop, losses, metrics, nets, noise, plot, priors, recipes, sensor
from invnet.physics import Physics
from invnet.pretrained import pretrained
from invnet.reconstruct import (
    DPS,
    MAP,
    RED,
    DeepImagePrior,
    DiffPIR,
    DirectInverse,
    Info,
    LatentMAP,
    LearnedPrimalDual,
    PlugAndPlay,
    PosteriorInfo,
    PostProcess,
    Reconstructor,
    SplitGibbs,
    Unrolled,
)
from invnet.train import TrainOptions, TrainResult, load_trained, train

__all__ = [
    "DPS",
    "MAP",
    "RED",
    "DeepImagePrior",
    "DiffPIR",
    "DirectInverse",
    "Info",
    "LatentMAP",
    "LearnedPrimalDual",
    "Physics",
    "PlugAndPlay",
    "PostProcess",
    "PosteriorInfo",
    "Reconstructor",
    "SplitGibbs",
    "TrainOptions",
    "TrainResult",
    "Unrolled",
    "data",
    "interop",
    "load_trained",
    "losses",
    "metrics",
    "nets",
    "noise",
    "plot",
    "pretrained",
    "priors",
    "recipes",
    "sensor",
    "train",
]
