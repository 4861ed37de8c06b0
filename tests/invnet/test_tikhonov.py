"""The Tikhonov prior: formulas in matrices, and MAP as the Wiener filter."""

import numpy as np
import pytest
import torch

import invnet
from invnet import MAP, Physics
from invnet.noise import Gaussian
from invnet.priors import Tikhonov
from operators import Convolution, FiniteDifference, Matrix

F64 = torch.float64


def random(*shape, seed=0, dtype=F64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def precision(of, shape):
    """P with ``R(x) = x^H P x / 2``."""
    D = FiniteDifference(shape).to_matrix()
    return D.T @ D if of == "gradient" else torch.eye(int(np.prod(shape)), dtype=F64)


@pytest.mark.parametrize("batch", [(), (3,), (2, 3), (0,)])
@pytest.mark.parametrize("dtype", [F64, torch.complex128])
@pytest.mark.parametrize("shape", [(7,), (4, 5), (2, 3, 4)])
@pytest.mark.parametrize("of", ["gradient", "image"])
def test_value_and_proximal_map_are_those_of_a_matrix(of, shape, dtype, batch):
    prior, P = Tikhonov(of, dims=len(shape)), precision(of, shape)
    x = random(*batch, *shape, dtype=dtype)
    flat = x.reshape(*batch, P.shape[0])
    expected = 0.5 * (flat.conj() * (flat @ P.to(dtype))).sum(-1).real
    torch.testing.assert_close(prior(x), expected)
    step = torch.rand(batch, dtype=F64, generator=torch.Generator().manual_seed(1))
    matrix = torch.linalg.inv(torch.eye(len(P), dtype=F64) + step[..., None, None] * P).to(dtype)
    torch.testing.assert_close(prior.prox(x, step), (matrix @ flat[..., None])[..., 0].reshape(x.shape))


@pytest.mark.parametrize("of", ["gradient", "image"])
def test_a_step_of_zero_changes_nothing(of):
    for dtype in (torch.float32, F64):
        x = random(3, 4, 5, dtype=dtype)
        torch.testing.assert_close(Tikhonov(of).prox(x, torch.tensor([0.0, 1e-12, 0.0])), x, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("of", ["gradient", "image"])
def test_map_is_the_linear_estimate(of):
    A, s, strength = random(20, 16), 0.2, 3.0
    physics = Physics(Matrix(A, in_shape=(4, 4)), Gaussian(s))
    y = physics(random(5, 4, 4), generator=torch.Generator().manual_seed(1))
    x = MAP(Tikhonov(of), strength, tol=1e-11, max_iter=20_000)(y, physics)
    expected = torch.linalg.solve(A.T @ A + strength * s**2 * precision(of, (4, 4)), A.T @ y.T).T
    torch.testing.assert_close(x.flatten(1), expected, atol=1e-7, rtol=0)


def test_it_restores_a_photograph():
    truth = invnet.data.sample_image("camera", size=64)
    physics = Physics(Convolution(invnet.data.gaussian_kernel(9, 1.5), (64, 64), padding="circular"), Gaussian(0.02))
    y = physics(truth, generator=torch.Generator().manual_seed(0))
    x = MAP(Tikhonov(), 100.0)(y, physics)
    assert invnet.metrics.psnr(x, truth) > invnet.metrics.psnr(y, truth) + 1


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="Tikhonov: of takes one of gradient, image, got 'laplacian'"):
        Tikhonov("laplacian")
    with pytest.raises(ValueError, match="takes images of at least 2 dimensions"):
        Tikhonov()(torch.ones(4))
