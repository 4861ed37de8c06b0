"""Images to try things on."""

from invnet.data.kernels import gaussian_kernel, motion_kernel
from invnet.data.samples import sample_image, sample_names
from invnet.data.scans import ct_slice

__all__ = ["ct_slice", "gaussian_kernel", "motion_kernel", "sample_image", "sample_names"]
