"""Images to try things on, and data to train with."""

from invnet.data.ellipses import Ellipses
from invnet.data.folder import ImageFolder
from invnet.data.kernels import gaussian_kernel, motion_kernel
from invnet.data.levels import GaussianLevels
from invnet.data.pairs import Measurements, Pairs
from invnet.data.patches import Patches
from invnet.data.samples import sample_image, sample_names
from invnet.data.scans import ct_slice

__all__ = [
    "Ellipses",
    "GaussianLevels",
    "ImageFolder",
    "Measurements",
    "Pairs",
    "Patches",
    "ct_slice",
    "gaussian_kernel",
    "motion_kernel",
    "sample_image",
    "sample_names",
]
