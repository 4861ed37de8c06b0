"""Reconstructors: a measurement and its physics to an image."""

from invnet.reconstruct.base import Info, Reconstructor
from invnet.reconstruct.deep_image_prior import DeepImagePrior
from invnet.reconstruct.direct import DirectInverse
from invnet.reconstruct.latent import LatentMAP
from invnet.reconstruct.learned_primal_dual import LearnedPrimalDual
from invnet.reconstruct.map import MAP
from invnet.reconstruct.plug_and_play import PlugAndPlay
from invnet.reconstruct.post_process import PostProcess
from invnet.reconstruct.red import RED
from invnet.reconstruct.unrolled import Unrolled

__all__ = [
    "MAP",
    "RED",
    "DeepImagePrior",
    "DirectInverse",
    "Info",
    "LatentMAP",
    "LearnedPrimalDual",
    "PlugAndPlay",
    "PostProcess",
    "Reconstructor",
    "Unrolled",
]
