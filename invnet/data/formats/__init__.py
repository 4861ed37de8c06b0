"""Readers and writers of the formats in which images and measurements are kept."""

from invnet.data.formats.bart import read_cfl, write_cfl
from invnet.data.formats.choose import read, write
from invnet.data.formats.contents import MRIScan, TomographyScan, Volume
from invnet.data.formats.dicom import read_dicom
from invnet.data.formats.dxchange import read_dxchange
from invnet.data.formats.fastmri import read_fastmri
from invnet.data.formats.mrd import read_ismrmrd
from invnet.data.formats.nifti import read_nifti, write_nifti
from invnet.data.formats.numpy_files import read_numpy, write_numpy
from invnet.data.formats.pictures import read_picture, read_tiff, write_png, write_tiff

__all__ = [
    "MRIScan",
    "TomographyScan",
    "Volume",
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
    "write",
    "write_cfl",
    "write_nifti",
    "write_numpy",
    "write_png",
    "write_tiff",
]
