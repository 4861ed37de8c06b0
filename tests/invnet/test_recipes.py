"""The recipes run as they stand, and draw what they say."""

import dataclasses
import math

import pytest
import torch
from skimage.io import imsave

import invnet
from invnet.data import Ellipses
from invnet.recipes import RECIPES, follow, mri, tomography
from operators.testing import adjoint_error


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of photographs."""
    path = tmp_path_factory.mktemp("photographs")
    for name in ("astronaut", "coffee"):
        image = invnet.data.sample_image(name, size=256, gray=False)
        imsave(path / f"{name}.png", (255 * image.permute(1, 2, 0)).byte().numpy())
    return path


def short(recipe, **options):
    return dataclasses.replace(
        recipe, options=dataclasses.replace(recipe.options, **{"batch_size": 1, "warmup": 0, **options})
    )


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_takes_a_step(name, folder):
    model, result = follow(short(RECIPES[name], steps=1), folder, progress=False)
    assert result.steps == 1
    assert math.isfinite(result.losses[0])
    assert not model.training
    assert all(not parameter.is_cuda for parameter in model.parameters())


def test_a_run_goes_on_from_its_checkpoint(folder, tmp_path):
    recipe = short(RECIPES["srcnn-x2"], steps=4, checkpoint_every=1)
    whole, _ = follow(recipe, folder, folder, progress=False)
    follow(recipe, folder, folder, checkpoint=tmp_path / "run", steps=4, progress=False)
    again, result = follow(recipe, folder, folder, checkpoint=tmp_path / "run", progress=False)
    assert result.steps == 4
    for name, weight in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], weight)


def test_the_blind_denoiser_learns(folder):
    recipe = short(RECIPES["denoiser-gray"], steps=60, batch_size=4, precision="float32")
    _, result = follow(recipe, folder, progress=False)
    assert sum(result.losses[-10:]) < 0.7 * sum(result.losses[:10])


def test_coil_maps_are_smooth_and_add_up_to_one():
    maps = mri.coil_maps((32, 48), 8, torch.Generator().manual_seed(0))
    torch.testing.assert_close(maps.abs().square().sum(0), torch.ones(32, 48))
    assert (maps[:, 1:] - maps[:, :-1]).abs().max() < 0.2


@pytest.mark.parametrize("acceleration", mri.CENTRE)
def test_mri_samples_so_many_lines(acceleration):
    physics = mri.scan(acceleration, (64, 256), torch.Generator().manual_seed(0))
    y = physics.operator(torch.randn(64, 256, dtype=torch.complex64, generator=torch.Generator().manual_seed(1)))
    assert y.shape == (8, 64, 256)
    lines = (y != 0).any(1).any(0).sum().item()
    assert lines == pytest.approx(256 / acceleration, rel=0.3)
    assert adjoint_error(physics.operator) < 1e-6


@pytest.mark.parametrize("name", tomography.SCANS)
def test_tomography_has_so_many_views(name):
    physics = tomography.scan(name, (32, 32))
    assert physics.operator.out_shape[0] == tomography.SCANS[name][0]


def test_ellipses_are_reproducible_images_within_the_field_of_view():
    data = Ellipses(64, count=5)
    assert len(data) == 5
    for index in range(5):
        image = data[index]
        assert torch.equal(image, data[index])
        assert 0 <= image.min() < image.max() <= 1
        assert image[0].max() == image[-1].max() == image[:, 0].max() == image[:, -1].max() == 0
    assert not torch.equal(data[0], data[1])
    with pytest.raises(IndexError, match="there are 5, got the number 5"):
        data[5]
    with pytest.raises(ValueError, match="Ellipses: size"):
        Ellipses(0, 1)
