"""The losses, on cases where theory says what the best model is."""

import pytest
import torch
from skimage.metrics import structural_similarity

from invnet.losses import Batch, Supervised
from tests.invnet.train.models import random


def direct(y, physics):
    return y


def value(loss, x, y):
    return loss(direct, Batch(y=y, x=x), torch.Generator())


def test_distances_are_those_of_torch_and_numpy():
    x, y = random(3, 8, 8), random(3, 8, 8, seed=1)
    torch.testing.assert_close(value(Supervised(), x, y), torch.nn.functional.mse_loss(y, x))
    torch.testing.assert_close(value(Supervised("l1"), x, y), torch.nn.functional.l1_loss(y, x))
    z, w = random(3, 8, dtype=torch.complex64), random(3, 8, dtype=torch.complex64, seed=1)
    torch.testing.assert_close(value(Supervised(), z, w), (z - w).abs().square().mean())
    assert value(Supervised(lambda a, b: (a - b).amax()), x, y) == (y - x).max()


def test_ssim_is_scikit_images():
    """Whose mean is over the same pixels: five from the border on."""
    x, y = random(20, 17, dtype=torch.float64).sigmoid(), random(20, 17, dtype=torch.float64, seed=1).sigmoid()
    expected = structural_similarity(
        y.numpy(), x.numpy(), data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert value(Supervised("ssim"), x[None], y[None]).item() == pytest.approx(1 - expected, abs=1e-12)
    with pytest.raises(ValueError, match="SSIM: takes images of at least 11x11 pixels"):
        value(Supervised("ssim"), x[:5], y[:5])
