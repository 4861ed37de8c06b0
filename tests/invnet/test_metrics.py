"""Metrics against their published formulas, written out with numpy and scipy."""

import sys

import numpy as np
import pytest
import scipy.signal
import torch

from invnet.metrics import psnr, ssim
from operators.extras import require


def pair(*shape, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    reference = torch.rand(*shape, dtype=dtype, generator=generator)
    return reference + 0.1 * torch.randn(*shape, dtype=dtype, generator=generator), reference


def test_psnr_of_a_known_error():
    x = torch.zeros(3, 8, 8)
    errors = torch.tensor([0.1, 0.01, 1.0]).reshape(3, 1, 1)
    torch.testing.assert_close(psnr(x + errors, x), torch.tensor([20.0, 40.0, 0.0]))
    torch.testing.assert_close(psnr(x + errors, x, data_range=10.0), torch.tensor([40.0, 60.0, 20.0]))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_psnr_of_every_image_of_a_batch(dims):
    x, reference = pair(2, 3, 16, 20)
    error = ((x - reference).numpy() ** 2).mean(tuple(range(-dims, 0)))
    np.testing.assert_allclose(psnr(x, reference, 2.0, dims=dims).numpy(), 10 * np.log10(4 / error), rtol=1e-6)


def wang(x, y, data_range):
    """SSIM as Wang et al. 2004 define it, eq. (13), over all windows inside of the images."""
    grid = np.arange(-5, 6)
    line = np.exp(-(grid**2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2

    def mean(image):
        return scipy.signal.correlate2d(image, window, mode="valid")

    a, b = mean(x), mean(y)
    covariance, spread = mean(x * y) - a * b, mean(x * x) - a * a + mean(y * y) - b * b
    c, d = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    return ((2 * a * b + c) * (2 * covariance + d) / ((a * a + b * b + c) * (spread + d))).mean()


def test_equal_images():
    x, _ = pair(2, 16, 16)
    assert psnr(x, x).tolist() == [torch.inf] * 2
    torch.testing.assert_close(ssim(x, x), torch.ones(2))


def test_ssim_is_wangs():
    x, reference = pair(2, 3, 32, 40)
    expected = np.array(
        [[wang(a, b, 2.0) for a, b in zip(*p, strict=True)] for p in zip(x.numpy(), reference.numpy(), strict=True)]
    )
    np.testing.assert_allclose(ssim(x, reference, 2.0).numpy(), expected, rtol=1e-5)
    np.testing.assert_allclose(ssim(x, reference, 2.0, color=True).numpy(), expected.mean(1), rtol=1e-5)


def test_ssim_of_constant_images():
    """Without structure it is the luminance term (2 a b + c) / (a^2 + b^2 + c) with c = 0.01^2."""
    a, b, c = 0.5, 0.25, 1e-4
    expected = torch.tensor((2 * a * b + c) / (a**2 + b**2 + c))
    torch.testing.assert_close(ssim(torch.full((16, 16), a), torch.full((16, 16), b)), expected)


def test_volumes():
    x, reference = pair(2, 12, 13, 14)
    assert ssim(x, reference, dims=3).shape == psnr(x, reference, dims=3).shape == (2,)


def test_complex_images_by_their_magnitude():
    x, reference = pair(2, 16, 16, dtype=torch.complex128)
    assert torch.equal(psnr(x, reference), psnr(x.abs(), reference.abs()))
    assert torch.equal(ssim(x, 1j * reference), ssim(x.abs(), reference.abs()))


def test_no_images():
    assert psnr(torch.ones(0, 16, 16), torch.ones(0, 16, 16)).shape == (0,)
    assert ssim(torch.ones(2, 0, 16, 16), torch.ones(2, 0, 16, 16)).shape == (2, 0)


def test_images_with_gradient_are_taken():
    x = torch.zeros(16, 16, requires_grad=True)
    assert not psnr(x + 0.1, x).requires_grad


@pytest.mark.parametrize("metric", [psnr, ssim])
@pytest.mark.parametrize(
    ("x", "reference", "keywords", "error", "words"),
    [
        (torch.ones(16, 16), torch.ones(16, 15), {}, ValueError, r"one shape, got \(16, 16\) and a reference of \(16"),
        (torch.ones(2, 16, 16), torch.ones(16, 16), {}, ValueError, "takes images of one shape"),
        (torch.full((16, 16), torch.nan), torch.ones(16, 16), {}, ValueError, "x must be finite, got 256 NaN"),
        (torch.ones(16, 16).byte(), torch.ones(16, 16), {}, TypeError, "x takes a floating-point or complex tensor"),
        (torch.ones(16, 16), np.ones((16, 16)), {}, TypeError, "reference takes a torch.Tensor, got ndarray"),
        (torch.ones(16), torch.ones(16), {}, ValueError, r"images of 2 dimensions, got a tensor of shape \(16,\)"),
        (torch.ones(16, 16), torch.ones(16, 16), {"dims": 0}, ValueError, "images of 0 dimensions"),
        (torch.ones(16, 16), torch.ones(16, 16), {"data_range": 0.0}, ValueError, "data_range must be positive, got 0"),
        (torch.ones(16, 16), torch.ones(16, 16), {"data_range": None}, TypeError, "data_range takes a real number"),
    ],
)
def test_bad_input(metric, x, reference, keywords, error, words):
    with pytest.raises(error, match=f"{metric.__name__}: .*{words}"):
        metric(x, reference, **keywords)


def test_images_too_small_for_ssim():
    with pytest.raises(ValueError, match=r"ssim: takes images of at least 11 pixels .*, got \(10, 16\)"):
        ssim(torch.ones(10, 16), torch.ones(10, 16))


def test_a_missing_extra_names_the_command(monkeypatch):
    with pytest.raises(ImportError, match=r'no_such_package is needed .*: pip install "invnet\[plot\]"'):
        require("no_such_package.part", extra="plot")
    monkeypatch.setitem(sys.modules, "skimage", None)  # as if it were not installed
    with pytest.raises(ImportError, match=r'skimage is needed .*: pip install "invnet\[plot\]"'):
        psnr(torch.ones(2, 2), torch.ones(2, 2))


def test_a_broken_package_keeps_its_own_error():
    with pytest.raises(ModuleNotFoundError, match=r"json\.no_such_part"):
        require("json.no_such_part", extra="plot")
