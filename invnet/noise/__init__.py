"""Noise models: what a measurement adds to exact data, and the likelihood that follows from it."""

from invnet.noise.additive import Gaussian, Uniform
from invnet.noise.base import Noise
from invnet.noise.counting import Poisson, PoissonGaussian
from invnet.noise.impulse import SaltAndPepper

__all__ = ["Gaussian", "Noise", "Poisson", "PoissonGaussian", "SaltAndPepper", "Uniform"]
