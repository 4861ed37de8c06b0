"""Priors: what is known of images before any is measured, as ``R(x) = -log p(x)`` up to a constant."""

from invnet.priors.base import AnalysisPrior, Prior
from invnet.priors.tikhonov import Tikhonov
from invnet.priors.total_variation import TotalVariation
from invnet.priors.wavelet import Wavelet

__all__ = ["AnalysisPrior", "Prior", "Tikhonov", "TotalVariation", "Wavelet"]
