"""The rotation axis from a scan itself."""

import pytest
import torch

from operators import ParallelBeam
from operators.ct import find_detector_offset


def scan(offset, noise=0.0, spacing=1.0):
    angles = torch.linspace(0, 3.1, 60, dtype=torch.float64)
    image = torch.zeros(2, 40, 40, dtype=torch.float64)
    image[0, 8:14, 12:30] = 1.0
    image[1, 20:35, 5:12] = 2.0
    A = ParallelBeam((40, 40), angles, 90, pixel_size=spacing, detector_spacing=spacing, detector_offset=offset)
    y = A(image)
    return y + noise * torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(0)), angles


@pytest.mark.parametrize("offset", [-7.25, 0.0, 3.4])
def test_finds_the_offset_of_each_scan(offset):
    y, angles = scan(offset)
    torch.testing.assert_close(
        find_detector_offset(y, angles), torch.tensor([offset, offset]).double(), atol=0.02, rtol=0
    )


def test_is_in_the_unit_of_the_detectors():
    y, angles = scan(0.9, spacing=0.3)
    torch.testing.assert_close(find_detector_offset(y, angles, 0.3), torch.full((2,), 0.9).double(), atol=0.006, rtol=0)


def test_bears_noise():
    y, angles = scan(3.4, noise=0.05)
    torch.testing.assert_close(find_detector_offset(y, angles), torch.tensor([3.4, 3.4]).double(), atol=0.3, rtol=0)


def test_says_what_it_takes():
    y, angles = scan(0.0)
    with pytest.raises(ValueError, match="takes a sinogram of shape"):
        find_detector_offset(y, angles[:-1])
    with pytest.raises(ValueError, match="three or more"):
        find_detector_offset(y[:, :2], angles[:2])
    with pytest.raises(ValueError, match="NaN"):
        find_detector_offset(y * float("nan"), angles)
    with pytest.raises(ValueError, match="sums to zero"):
        find_detector_offset(torch.zeros(5, 9), torch.arange(5.0))
    with pytest.raises(ValueError, match="three angles that differ, got fewer"):
        find_detector_offset(y, torch.arange(60) % 2)
    with pytest.raises(ValueError, match="angles must be finite"):
        find_detector_offset(y, angles * float("inf"))
    with pytest.raises(TypeError, match="sinogram takes real numbers"):
        find_detector_offset(y + 0j, angles)
    for spacing in (0.0, -1.0):
        with pytest.raises(ValueError, match="detector_spacing takes a positive number"):
            find_detector_offset(y, angles, spacing)


def test_degrees_warn():
    y, angles = scan(0.0)
    with pytest.warns(UserWarning, match=r"find_detector_offset: takes angles in radians; .* looks like degrees"):
        find_detector_offset(y, torch.rad2deg(angles))
