"""The pretrained models on scans: those that they were trained for, and others."""

import math

import pytest
import torch

import invnet
from invnet.data import ct_slice
from invnet.recipes import mri, tomography
from invnet.reconstruct import Reconstructor
from operators import ParallelBeam

TOMOGRAPHY = ["ct-unet", "ct-itnet"]


def generator():
    return torch.Generator().manual_seed(0)


def object_in_circle(size):
    """The middle of a real slice; the largest value is one."""
    image = ct_slice()[: size[0], : size[1]] / ct_slice().max()
    rows, columns = (torch.linspace(-1, 1, n) for n in image.shape)
    return image * (rows[:, None] ** 2 + columns**2 < 1)


def psnr(image, x):
    return invnet.metrics.psnr(image.abs(), x.abs())


@pytest.mark.parametrize("scan", tomography.SCANS)
@pytest.mark.parametrize("name", TOMOGRAPHY)
def test_tomography_of_any_batch_and_size(name, scan):
    model = invnet.pretrained(name)
    assert isinstance(model, Reconstructor)
    x = object_in_circle((101, 90))
    x = torch.stack([x, x.flip(-1)])
    physics = tomography.scan(scan, (101, 90))
    y = physics(x, generator=generator())
    assert (psnr(model(y, physics), x) > psnr(physics.direct_inverse(y), x) + 2).all()


@pytest.mark.parametrize("acceleration", mri.CENTRE)
def test_the_denoiser_is_a_prior_of_complex_images(acceleration):
    """Plugged into MRI, with phases all around the circle."""
    x = object_in_circle((112, 96))
    x = torch.polar(x, torch.linspace(0, 7, 96).expand(112, 96))
    physics = mri.scan(acceleration, (112, 96), generator())
    y = physics(x, generator=generator())
    image = invnet.PlugAndPlay(invnet.pretrained("denoiser-gray"))(y, physics)
    assert psnr(image, x) > psnr(physics.direct_inverse(y), x) + 2


@pytest.mark.parametrize("name", TOMOGRAPHY)
def test_the_result_has_the_units_of_the_data(name):
    physics, x = tomography.scan("30 views", (64, 64)), object_in_circle((64, 64))
    y, model = physics.operator(x), invnet.pretrained(name)
    scaled = invnet.Physics(physics.operator, invnet.noise.Gaussian(1e-3 * physics.noise.sigma))
    torch.testing.assert_close(model(1e-3 * y, scaled), 1e-3 * model(y, physics), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("name", TOMOGRAPHY)
def test_views_of_another_number_and_another_detector(name):
    x = object_in_circle((96, 96))
    angles = torch.arange(45, dtype=torch.float64) * (math.pi / 45)
    A = ParallelBeam((96, 96), angles, 200, detector_spacing=0.8, detector_offset=3.0)
    physics = invnet.Physics(A, noise=invnet.noise.Gaussian(0.5))
    y = physics(x, generator=generator())
    assert psnr(invnet.pretrained(name)(y, physics), x) > psnr(physics.direct_inverse(y), x) + 4
