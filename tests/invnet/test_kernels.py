"""Blur kernels: against scipy's Gaussian, and by what a camera's path must satisfy."""

import numpy as np
import pytest
import scipy.ndimage
import torch

from invnet.data import gaussian_kernel, motion_kernel


def test_gaussian_kernel_is_scipys_impulse_response():
    impulse = np.zeros((21, 21))
    impulse[10, 10] = 1
    reference = scipy.ndimage.gaussian_filter(impulse, sigma=1.7, radius=10)
    np.testing.assert_allclose(gaussian_kernel(21, 1.7).double().numpy(), reference, atol=1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_motion_kernel_is_a_connected_path_of_unit_light(seed):
    kernel = motion_kernel(31, generator=torch.Generator().manual_seed(seed))
    assert kernel.shape == (31, 31)
    assert kernel.min() >= 0
    assert kernel.sum().item() == pytest.approx(1, abs=1e-6)
    _, parts = scipy.ndimage.label((kernel > 0).numpy(), structure=np.ones((3, 3)))
    assert parts == 1
    centre = (kernel.sum(1) @ torch.arange(31.0), kernel.sum(0) @ torch.arange(31.0))
    assert centre == (pytest.approx(15, abs=1e-3), pytest.approx(15, abs=1e-3))


def test_motion_kernel_without_wander_is_a_straight_line():
    kernel = motion_kernel(21, generator=torch.Generator().manual_seed(0), wander=0.0)
    rows, columns = np.nonzero(kernel.numpy() > 0)
    weights = kernel.numpy()[rows, columns]
    covariance = np.cov(np.stack([rows, columns]), aweights=weights)
    assert np.linalg.eigvalsh(covariance)[0] < 0.5  # no wider than a pixel across


def test_same_seed_same_kernel():
    first, second = (motion_kernel(15, generator=torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: gaussian_kernel(4, 1.0), "size must be odd"),
        (lambda: gaussian_kernel(5, 0.0), "sigma must be positive"),
        (lambda: gaussian_kernel(5, float("nan")), "sigma must be finite"),
        (lambda: motion_kernel(0, generator=torch.Generator()), "size must be at least 1"),
        (lambda: motion_kernel(5, generator=torch.Generator(), wander=-1.0), "wander must be at least 0"),
    ],
)
def test_bad_input(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("generator", [None, 0])
def test_a_motion_kernel_has_no_other_source_of_randomness(generator):
    with pytest.raises(TypeError, match="motion_kernel: takes an explicit generator"):
        motion_kernel(5, generator=generator)
