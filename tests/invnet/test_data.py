"""The sample photographs against scikit-image's own functions."""

import numpy as np
import pytest
import skimage
import torch

from invnet.data import sample_image, sample_names


@pytest.mark.parametrize("name", sample_names())
def test_every_photograph_is_at_hand(name):
    image = sample_image(name)
    assert image.ndim == 2
    assert image.dtype == torch.float32
    assert image.min() >= 0
    assert image.max() <= 1
    assert image.std() > 0.02  # there is something on it


def test_colour_and_grey():
    pixels = skimage.data.astronaut()
    np.testing.assert_allclose(
        sample_image("astronaut", gray=False).numpy(), pixels.transpose(2, 0, 1) / 255, atol=1e-7
    )
    np.testing.assert_allclose(sample_image("astronaut").numpy(), skimage.color.rgb2gray(pixels), atol=1e-7)
    grey = sample_image("camera")
    assert torch.equal(sample_image("camera", gray=False), grey.expand(3, -1, -1))


def test_sizes():
    whole = sample_image("camera")  # 512 x 512
    means = torch.nn.functional.avg_pool2d(whole[None], 4)[0]
    half = sample_image("camera", size=128)
    assert half.shape == (128, 128)
    assert (half - means).abs().mean() < 0.02
    assert torch.equal(sample_image("camera", size=512), whole)
    wide = sample_image("camera", size=(256, 512))
    assert torch.equal(wide, whole[128:384])
    assert sample_image("coffee", size=(50, 70), gray=False).shape == (3, 50, 70)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("lena",), ValueError, "sample_image: no image 'lena'; there are astronaut, brick, camera"),
        (("camera", 0), ValueError, "sample_image: size must be at least 1, got 0"),
        (("camera", 12.5), TypeError, "sample_image: size takes an integer, got 12.5"),
        (("camera", (1, 2, 3)), ValueError, "sample_image: size takes one entry, or one for each of 2 dimensions"),
    ],
)
def test_bad_input(arguments, error, words):
    with pytest.raises(error, match=words):
        sample_image(*arguments)
