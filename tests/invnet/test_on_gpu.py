"""The reconstructors on a GPU: what they need is moved with them, and the image is there too."""

import copy

import pytest
import torch

import invnet
import operators
from invnet import DirectInverse
from tests.invnet.matrix.recipes import RECIPES
from tests.invnet.matrix.scenes import error, generator, scene

NAMES = ("deblur", "Cartesian MRI", "parallel beam")

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
    pytest.mark.filterwarnings("ignore::operators.solve.ConvergenceWarning"),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("recipe", [name for name in RECIPES if name != "DirectInverse"])
def test_it_improves_on_the_direct_inverse(recipe, name):
    s = scene(name, 32)
    torch.manual_seed(0)  # of the networks' weights
    method = copy.deepcopy(RECIPES[recipe](s)).to("cuda")  # a pretrained network within it serves other tests, too
    image = method(s.y.to("cuda"), copy.deepcopy(s.physics).to("cuda"))
    assert image.is_cuda
    assert image.dtype == s.truth.dtype
    assert error(image.detach().cpu(), s) < error(DirectInverse()(s.y, s.physics), s)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training(precision):
    torch.manual_seed(0)
    net = invnet.nets.DnCNN(depth=3, width=8).to("cuda")
    images = torch.rand(8, 1, 16, 16, generator=generator())
    options = invnet.TrainOptions(steps=30, batch_size=4, lr=1e-2, precision=precision, ema=0.9, progress=False)
    physics = invnet.Physics(operators.Identity((16, 16)), invnet.noise.Gaussian(0.5)).to("cuda")
    result = invnet.train(net, images, physics=physics, options=options)
    assert sum(result.losses[-5:]) < sum(result.losses[:5])
    assert all(parameter.is_cuda for parameter in net.parameters())
