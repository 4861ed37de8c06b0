"""Priors: what is known of images before any is measured, as ``R(x) = -log p(x)`` up to a constant."""

from invnet.priors.base import AnalysisPrior, Prior
from invnet.priors.field_of_experts import FieldOfExperts
from invnet.priors.gradient_step import GradientStep
from invnet.priors.proximal_denoiser import ProximalDenoiser
from invnet.priors.ridge import ConvexRidge, WeaklyConvexRidge
from invnet.priors.smooth import SmoothPrior
from invnet.priors.tikhonov import Tikhonov
from invnet.priors.total_variation import TotalVariation
from invnet.priors.wavelet import Wavelet

__all__ = [
    "AnalysisPrior",
    "ConvexRidge",
    "FieldOfExperts",
    "GradientStep",
    "Prior",
    "ProximalDenoiser",
    "SmoothPrior",
    "Tikhonov",
    "TotalVariation",
    "Wavelet",
    "WeaklyConvexRidge",
]
