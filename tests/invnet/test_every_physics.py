"""Every reconstructor with every physics: it runs, and it improves on the direct inverse of a real photograph."""

import json
from itertools import chain

import pytest
import torch

import invnet
from invnet import DirectInverse, LearnedPrimalDual, PlugAndPlay, PostProcess, Reconstructor, Unrolled
from invnet.nets import DnCNN, DRUNet, UNet
from tests.invnet.matrix.__main__ import DOCS, FAMILIES, page
from tests.invnet.matrix.recipes import RECIPES, UNROLLED, measured
from tests.invnet.matrix.scenes import OPERATORS, error, scene

N = 32


def exported():
    """The reconstructors that users can make."""
    found = [getattr(invnet, name) for name in invnet.__all__]
    return {each.__name__ for each in found if isinstance(each, type) and issubclass(each, Reconstructor)} - {
        "Reconstructor"
    }


def test_no_reconstructor_is_forgotten():
    assert {recipe.partition(",")[0] for recipe in RECIPES} == exported()


def test_no_method_of_unrolled_is_forgotten():
    with pytest.raises(ValueError, match="takes one of") as refused:
        Unrolled(UNet(), 1, "unknown")
    assert f"takes one of {', '.join(UNROLLED)}, got" in str(refused.value)
    s = scene("denoise", 16)
    assert [untrained(s).method for _, untrained, *_ in UNROLLED.values()] == list(UNROLLED)


def test_no_physics_is_left_out_of_the_tables():
    assert list(chain(*FAMILIES.values())) == list(OPERATORS)


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("recipe", [name for name in RECIPES if name != "DirectInverse"])
def test_it_improves_on_the_direct_inverse(recipe, name):
    s = scene(name, N)
    image, _, _ = measured(recipe, s)
    assert image.dtype == s.truth.dtype
    assert image.shape == s.truth.shape
    assert error(image, s) < error(DirectInverse()(s.y, s.physics), s)


def test_the_page_is_that_of_the_measured_numbers():
    results = json.loads((DOCS / "matrix.json").read_text())
    assert (DOCS / "matrix.rst").read_text() == page(results)
    assert set(results["cells"]) <= set(RECIPES)


@pytest.mark.parametrize("recipe", [name for name in RECIPES if name != "DirectInverse"])
def test_the_table_improves_on_the_direct_inverse(recipe):
    cells = json.loads((DOCS / "matrix.json").read_text())["cells"]
    for name, cell in cells.get(recipe, {}).items():
        assert cell["psnr"] > cells["DirectInverse"][name]["psnr"], name


def networks(s):
    thin = {"complex_image": s.truth.is_complex(), "complex_data": s.y.is_complex(), "iterations": 2, "width": 4}

    def dncnn(told=False):
        return DnCNN(s.parts, depth=3, width=4, dims=s.dims, noise_conditioned=told)

    return {
        "PostProcess": PostProcess(UNet(s.parts, width=4, depth=2, dims=s.dims, residual=True)),
        **{method: Unrolled(dncnn(method == "hqs"), 2, method) for method in UNROLLED},
        "LearnedPrimalDual": LearnedPrimalDual(dims=s.dims, **thin),
    }


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("method", networks(scene("denoise", N)))
def test_networks_run_and_have_gradients(method, name):
    s = scene(name, N)
    net = networks(s)[method]
    image = net(torch.stack([s.y, 2 * s.y]), s.physics)
    assert image.shape == (2, *s.truth.shape)
    assert image.dtype == s.truth.dtype
    image.abs().square().sum().backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in net.parameters())
    assert sum(p.grad.abs().sum().item() for p in net.parameters() if p.grad is not None) > 0


@pytest.mark.parametrize("name", OPERATORS)
def test_networks_plug_in(name):
    s = scene(name, N)
    image = PlugAndPlay(DRUNet(s.parts, widths=(4, 8), blocks=1, dims=s.dims), max_iter=2)(s.y, s.physics)
    assert image.shape == s.truth.shape
