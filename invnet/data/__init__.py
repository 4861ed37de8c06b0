"""Images to try things on, data to train with, and the formats of files."""

from invnet.data.ellipses import Ellipses
from invnet.data.folder import ImageFolder
from invnet.data.formats import (
    MRIScan,
    TomographyScan,
    Volume,
    read,
    read_cfl,
    read_dicom,
    read_dxchange,
    read_fastmri,
    read_ismrmrd,
    read_nifti,
    read_numpy,
    read_picture,
    read_tiff,
    write,
    write_cfl,
    write_nifti,
    write_numpy,
    write_png,
    write_tiff,
)
from invnet.data.kernels import gaussian_kernel, motion_kernel
from invnet.data.levels import GaussianLevels
from invnet.data.pairs import Measurements, Pairs
from invnet.data.patches import Patches
from invnet.data.samples import sample_image, sample_names
from invnet.data.scans import ct_slice, mr_slice

__all__ = [
    "Ellipses",
    "GaussianLevels",
    "ImageFolder",
    "MRIScan",
    "Measurements",
    "Pairs",
    "Patches",
    "TomographyScan",
    "Volume",
    "ct_slice",
    "gaussian_kernel",
    "motion_kernel",
    "mr_slice",
    "read",
    "read_cfl",
    "read_dicom",
    "read_dxchange",
    "read_fastmri",
    "read_ismrmrd",
    "read_nifti",
    "read_numpy",
    "read_picture",
    "read_tiff",
    "sample_image",
    "sample_names",
    "write",
    "write_cfl",
    "write_nifti",
    "write_numpy",
    "write_png",
    "write_tiff",
]
