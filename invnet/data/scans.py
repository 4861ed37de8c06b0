"""Real medical images that come with Python packages, without a download."""

from __future__ import annotations

import torch

from operators.extras import require

__all__ = ["ct_slice"]


def ct_slice() -> torch.Tensor:
    """A slice of a human chest, at a vertebra, from a clinical CT scanner: pydicom's sample ``CT_small.dcm``.

    Returns
    -------
    torch.Tensor, shape (128, 128)
        float32; attenuation relative to water, so that air is 0, water 1 and bone up to about 2.

    Raises
    ------
    ImportError
        If pydicom is not installed: it comes with ``pip install "invnet[plot]"``.

    Examples
    --------
    >>> ct_slice().shape
    torch.Size([128, 128])
    """
    pydicom = require("pydicom", extra="plot")
    path = require("pydicom.data", extra="plot").get_testdata_file("CT_small.dcm", download=False)
    scan = pydicom.dcmread(path)
    hounsfield = torch.from_numpy(scan.pixel_array.astype("float32")) * scan.RescaleSlope + scan.RescaleIntercept
    return (1 + hounsfield / 1000).clamp_min(0)
