"""Axes, angles, units and offsets, against ASTRA, scikit-image and deepinv."""

import math

import numpy as np
import pytest
import torch
from skimage.transform import radon

from operators import FanBeam, ParallelBeam
from tests import peers
from tests.operators.ct.geometries import full_turn, gaussian, pixel_centres, quietly

needs_astra = pytest.mark.skipif(not peers.has("astra"), reason="needs astra (pip install astra-toolbox)")
ANGLES = torch.tensor([0.0, 0.3, math.pi / 4, 1.2, math.pi / 2, 2.0, 3 * math.pi / 4, -0.7, 4.0], dtype=torch.float64)


def close(got, expected, tolerance):
    torch.testing.assert_close(got, torch.as_tensor(expected, dtype=got.dtype), rtol=0, atol=tolerance)


def phantom(*shape):
    """Smooth, and different under every rotation and reflection."""
    return (
        gaussian(shape, 8.0, 5.0, 5.0) + 0.5 * gaussian(shape, -9.0, 2.0, 4.0) + 0.3 * gaussian(shape, 1.0, -11.0, 4.0)
    )


# ---------------------------------------------------------------- as documented


def test_angle_zero_sums_columns_and_a_quarter_turn_rows_from_the_bottom_up():
    image = torch.arange(12.0).reshape(3, 4)
    at_zero, at_half = ParallelBeam((3, 4), [0.0, math.pi], detectors=4)(image)
    close(at_zero, image.sum(0), 1e-5)
    close(at_half, image.sum(0).flip(0), 1e-5)
    at_quarter, at_three = ParallelBeam((3, 4), [math.pi / 2, -math.pi / 2], detectors=3)(image)
    close(at_quarter, image.sum(1).flip(0), 1e-5)
    close(at_three, image.sum(1), 1e-5)


def test_lengths_are_in_the_unit_of_the_pixel_size():
    image = torch.rand(8, 6, generator=torch.Generator().manual_seed(0))
    A = ParallelBeam((8, 6), ANGLES, 12)
    B = ParallelBeam((8, 6), ANGLES, 12, pixel_size=0.2, detector_spacing=0.2)
    close(B(image), 0.2 * A(image), 1e-6)


def test_the_detector_offset_moves_the_measured_lines():
    image = phantom(33, 33)
    A, shifted = ParallelBeam((33, 33), ANGLES, 60), ParallelBeam((33, 33), ANGLES, 60, detector_offset=3.0)
    close(shifted(image)[:, :-3], A(image)[:, 3:], 1e-12)


def test_the_axis_is_where_center_says():
    # A point on the axis is seen by the middle of the detector in all views.
    A = ParallelBeam((41, 35), ANGLES, 61, center=(4.0, -6.0))
    y = A(gaussian((41, 35), 4.0, -6.0, 1.5))
    assert (y.argmax(1) == 30).all()
    B = FanBeam((41, 35), ANGLES, 61, 80.0, 20.0, "curved", center=(4.0, -6.0))
    assert (B(gaussian((41, 35), 4.0, -6.0, 1.5)).argmax(1) == 30).all()


def test_far_sources_give_parallel_rays():
    image = phantom(33, 29)
    parallel = ParallelBeam((33, 29), ANGLES, 45)(image)
    for kind in ("flat", "curved"):
        close(FanBeam((33, 29), ANGLES, 45, 1e7, 0.0, kind)(image), parallel, 1e-4)


def test_a_virtual_detector_is_the_real_one_scaled_to_the_axis():
    image = phantom(33, 29)
    real = FanBeam((33, 29), ANGLES, 60, 80.0, 40.0, detector_spacing=1.5, detector_offset=0.6)
    virtual = FanBeam((33, 29), ANGLES, 60, 80.0, 0.0, detector_spacing=1.0, detector_offset=0.4)
    close(virtual(image), real(image), 1e-12)


# ---------------------------------------------------------------- ASTRA

# Made by ASTRA 2.5 on the CPU, in single precision:
#   volume = astra.create_vol_geom(4, 5, -2.75, 1.75, -1.5, 2.1)   # pixels of 0.9, the axis at (0.5, -0.3) of the image
#   geometry = astra.create_proj_geom("parallel", 1.2, 6, [0.3, pi / 4, 1.9, -2.5])
#   astra.create_sino(IMAGE, astra.create_projector("linear", geometry, volume))[1]
IMAGE = torch.tensor([[0, 1, 4, 2, 2], [4, 1, 0, 1, 4], [2, 2, 4, 1, 0], [1, 4, 2, 2, 4]], dtype=torch.float64)
ASTRA_LINEAR = [
    [0.62474, 8.34305, 7.62180, 7.10955, 4.02361, 0.00000],
    [0.01041, 6.96087, 9.19031, 6.79031, 4.83330, 0.00000],
    [0.00000, 2.46956, 8.00823, 8.77518, 8.17818, 0.00000],
    [0.00000, 4.81051, 9.18909, 7.80625, 8.46856, 0.29923],
]
# Its "strip_fanflat" for fanflat(spacing 0.5, 90 detectors, [0.5, 4.0], 40.0, 25.0) of a Gaussian; every seventh
# detector from 20 to 69. The strips are half a unit wide.
ASTRA_FAN = [
    [0.40555, 1.48461, 3.73559, 6.41515, 7.44903, 5.85449, 3.14470, 1.12901],
    [0.04956, 0.43853, 2.16151, 5.58460, 7.46723, 5.21944, 1.92508, 0.38136],
]


def test_parallel_beam_gives_what_astra_gave():
    A = ParallelBeam((4, 5), [0.3, math.pi / 4, 1.9, -2.5], 6, 0.9, detector_spacing=1.2, center=(0.5, -0.3))
    close(A(IMAGE), ASTRA_LINEAR, 2e-5)


def test_fan_beam_gives_what_astra_gave():
    A = FanBeam((24, 20), [0.5, 4.0], 90, 40.0, 25.0, detector_spacing=0.5)
    close(A(gaussian((24, 20), 3.0, -4.0, 3.0))[:, 20:70:7], ASTRA_FAN, 0.015)


def astra_sinogram(projector, geometry, volume, image):
    astra = peers.astra()
    identity = astra.create_projector(projector, geometry, volume)
    number, sinogram = astra.create_sino(image.float().numpy(), identity)
    astra.data2d.delete(number)
    astra.projector.delete(identity)
    return sinogram


@needs_astra
@pytest.mark.parametrize("shape", [(7, 10), (32, 25)])
@pytest.mark.parametrize("spacing", [0.6, 1.0, 1.7])
def test_parallel_beam_is_astras_linear_projector(shape, spacing):
    astra = peers.astra()
    image = torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    geometry = astra.create_proj_geom("parallel", spacing, 33, ANGLES.numpy())
    expected = astra_sinogram("linear", geometry, astra.create_vol_geom(*shape), image)
    close(quietly(ParallelBeam, shape, ANGLES, 33, detector_spacing=spacing)(image), expected, 2e-5 * shape[0])


@needs_astra
@pytest.mark.parametrize(("projector", "tolerance"), [("line_fanflat", 0.03), ("strip_fanflat", 0.006)])
def test_fan_beam_agrees_with_astra(projector, tolerance):
    astra = peers.astra()
    image, angles = phantom(65, 57), full_turn(9) + 0.1
    geometry = astra.create_proj_geom("fanflat", 1.3, 120, angles.numpy(), 100.0, 50.0)
    expected = astra_sinogram(projector, geometry, astra.create_vol_geom(65, 57), image)
    y = FanBeam((65, 57), angles, 120, 100.0, 50.0, detector_spacing=1.3)(image)
    close(y / y.max(), expected / y.max().item(), tolerance)


# ---------------------------------------------------------------- scikit-image and deepinv


@pytest.mark.parametrize("size", [64, 65])
def test_parallel_beam_agrees_with_scikit_image(size):
    # It turns the image about the pixel n // 2: for an even size half a pixel right of and below the centre.
    degrees = torch.arange(0, 180, 7.0, dtype=torch.float64)
    x, y = pixel_centres((size, size))
    image = phantom(size, size) * (x**2 + y**2 < (size / 2 - 2) ** 2)  # what it takes
    expected = radon(image.numpy(), degrees.numpy(), circle=True).T
    half = 0.5 if size % 2 == 0 else 0.0
    A = ParallelBeam((size, size), torch.deg2rad(degrees), size, center=(half, -half), detector_offset=-half)
    close(A(image), np.ascontiguousarray(expected), 2e-3 * float(expected.max()))


def test_parallel_beam_agrees_with_deepinv():
    degrees, image = torch.arange(0, 180, 7.0), phantom(65, 65).float()
    physics = peers.deepinv().physics.Tomography(angles=degrees, img_width=65, circle=True, normalize=False)
    A = ParallelBeam((65, 65), torch.deg2rad(degrees), 65)
    y = A(image)
    close(y, physics.A(image[None, None])[0, 0].T, 2e-3 * float(y.max()))
