"""Real medical images that come with Python packages, without a download."""

from __future__ import annotations

import numpy as np
import torch

from operators.extras import require

__all__ = ["ct_slice", "mr_slice"]


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


def mr_slice() -> torch.Tensor:
    """A sagittal slice of a human head from a clinical MRI scanner: matplotlib's sample ``s1045.ima``.

    Returns
    -------
    torch.Tensor, shape (256, 256)
        float32; magnitudes, of which the largest is one.

    Raises
    ------
    ImportError
        If matplotlib is not installed: it comes with ``pip install "invnet[plot]"``.

    Examples
    --------
    >>> mr_slice().shape
    torch.Size([256, 256])
    """
    with require("matplotlib.cbook", extra="plot").get_sample_data("s1045.ima.gz") as file:
        intensities = np.frombuffer(file.read(), np.uint16).reshape(256, 256).astype(np.float32)
    return torch.from_numpy(intensities / intensities.max())
