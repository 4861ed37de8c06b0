"""Reconstructors: a measurement and its physics to an image."""

from invnet.reconstruct.base import Info, Reconstructor
from invnet.reconstruct.deep_image_prior import DeepImagePrior
from invnet.reconstruct.diffpir import DiffPIR
from invnet.reconstruct.direct import DirectInverse
from invnet.reconstruct.dps import DPS
from invnet.reconstruct.latent import LatentMAP
from invnet.reconstruct.learned_primal_dual import LearnedPrimalDual
from invnet.reconstruct.map import MAP
from invnet.reconstruct.plug_and_play import PlugAndPlay
from invnet.reconstruct.post_process import PostProcess
from invnet.reconstruct.posterior import PosteriorInfo
from invnet.reconstruct.red import RED
from invnet.reconstruct.split_gibbs import SplitGibbs
from invnet.reconstruct.unrolled import Unrolled

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
    "PlugAndPlay",
    "PostProcess",
    "PosteriorInfo",
    "Reconstructor",
    "SplitGibbs",
    "Unrolled",
]
