"""Images to try things on."""

from invnet.data.kernels import gaussian_kernel, motion_kernel
from invnet.data.samples import sample_image, sample_names

__all__ = ["gaussian_kernel", "motion_kernel", "sample_image", "sample_names"]
