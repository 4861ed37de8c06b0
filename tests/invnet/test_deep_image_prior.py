"""DeepImagePrior: what a network without structure must give, early stopping, and images of every kind."""

import numpy as np
import pytest
import torch
from torch import nn

import invnet
from invnet import MAP, DeepImagePrior, Physics
from invnet.nets import DnCNN, Hourglass
from invnet.noise import Gaussian, Poisson
from invnet.priors import TotalVariation
from invnet.reconstruct.early_stop import WindowedVariance
from operators import AveragePool, Convolution, FourierTransform, Identity, Mask, Matrix
from operators.solve import ConvergenceWarning

F64 = torch.float64


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random(*shape, seed=0, dtype=F64):
    return torch.randn(shape, generator=generator(seed), dtype=dtype)


class Free(nn.Module):
    """No structure at all: every pixel is a weight."""

    in_channels = 1

    def __init__(self, channels, *spatial):
        super().__init__()
        self.image = nn.Parameter(torch.rand(1, channels, *spatial))

    def forward(self, z):
        return self.image + 0 * z[:, :1]


def small(channels):
    return Hourglass(4, channels, width=8, skip=2, depth=2)


# -------------------------------------------------------------------- without structure, the objective is all


@pytest.mark.parametrize("dtype", [F64, torch.complex128])
def test_free_pixels_are_least_squares(dtype):
    A = torch.eye(20, 16, dtype=dtype) + 0.1 * random(20, 16, dtype=dtype)
    physics = Physics(Matrix(A, in_shape=(4, 4)), Gaussian(0.3))
    y = physics(random(3, 4, 4, dtype=dtype, seed=1), generator=generator())
    fit = DeepImagePrior(lambda c: Free(c, 4, 4), max_iter=2000, lr=0.01, average=0.9, patience=None)
    expected = torch.linalg.lstsq(A, y.mT).solution.mT.reshape(3, 4, 4)
    torch.testing.assert_close(fit(y, physics), expected, atol=1e-3, rtol=0)


def test_free_pixels_with_total_variation_are_map():
    physics = Physics(Convolution(invnet.data.gaussian_kernel(5, 0.6), (12, 12), padding="circular"), Gaussian(0.1))
    y = physics(random(2, 12, 12).cumsum(-1) / 4, generator=generator())
    by_map = MAP(TotalVariation(), 8.0, tol=1e-6, max_iter=20_000)
    fit = DeepImagePrior(
        lambda c: Free(c, 12, 12), prior=TotalVariation(), strength=8.0, max_iter=1500, lr=0.005, patience=None
    )
    least = by_map.objective(by_map(y, physics), y, physics)
    start = by_map.objective(physics.direct_inverse(y), y, physics) - least
    assert (by_map.objective(fit(y, physics), y, physics) - least < 5e-3 * start).all()


def test_poisson_noise_within_bounds():
    physics = Physics(Identity((4, 4)), Poisson(0.1))
    y = physics(torch.full((4, 4), 2.0, dtype=F64), generator=generator())
    fit = DeepImagePrior(
        lambda c: Free(c, 4, 4), bounds=(0.0, 10.0), max_iter=1500, lr=0.02, patience=None, average=0.9
    )
    torch.testing.assert_close(fit(y, physics), y, atol=1e-2, rtol=0)  # the likelihood's maximum is the measurement


# -------------------------------------------------------------------- early stopping


def test_windowed_variance_by_hand():
    images = random(30, 2, 5)
    images[10:16, 0] *= 0.01  # quiet: sample 0 is best where the window is within
    images[20:26, 1] *= 0.01
    stop = WindowedVariance(window=5, patience=8)
    at = {}
    for k, image in enumerate(images):
        stop.update(image, torch.full_like(image, k))
        for sample in range(2):
            if stop.done[sample] and sample not in at:
                at[sample] = k
        if k >= 4:
            expected = np.var(images[k - 4 : k + 1].numpy(), axis=0).mean(1)
            np.testing.assert_allclose(stop.variances, expected, rtol=1e-10)
    variances = np.array([np.var(images[k - 4 : k + 1].numpy(), axis=0).mean(1) for k in range(4, 30)])
    least = variances.argmin(0) + 4
    assert at == {0: least[0] + 8, 1: least[1] + 8} if least[1] + 8 < 30 else at == {0: least[0] + 8}
    assert stop.best[0].unique().item() == least[0]
    assert stop.best[1].unique().item() == least[1]


def test_it_stops_near_the_best_image_without_knowing_it():
    truth = invnet.data.sample_image("camera", size=32)
    physics = Physics(Identity((32, 32)), Gaussian(0.15))
    y = physics(truth, generator=generator())
    options = {"bounds": (0, 1), "lr": 0.02, "max_iter": 400}
    net = lambda c: Hourglass(8, c, width=32, depth=2)  # noqa: E731
    image, info = DeepImagePrior(net, window=40, patience=150, **options)(y, physics, return_info=True)
    assert info.converged
    assert info.iterations < 400
    long = DeepImagePrior(net, patience=None, average=0.0, **options)(y, physics)
    psnr = invnet.metrics.psnr
    assert psnr(image, truth) > psnr(y, truth) + 4
    assert psnr(image, truth) > psnr(long, truth) + 2
    assert len(info.objective) == len(info.residual) == info.iterations
    assert all(np.isinf(info.residual[:39]))
    assert int(np.argmin(info.residual)) == info.iterations - 150 - 1


def test_iterations_that_run_out_are_told():
    physics, y = Physics(Identity((8, 8))), random(8, 8)
    with pytest.warns(ConvergenceWarning, match="DeepImagePrior: Info.not converged after 5 iterations"):
        DeepImagePrior(small, max_iter=5)(y, physics)
    _, info = DeepImagePrior(small, max_iter=5, patience=None)(y, physics, return_info=True)
    assert info.converged


# -------------------------------------------------------------------- images of every kind

OPTIONS = {"max_iter": 4, "patience": None}


@pytest.mark.parametrize("batch", [(), (2,), (2, 3), (0,)])
@pytest.mark.parametrize("dtype", [torch.float32, F64, torch.complex64])
def test_any_batch_and_type(batch, dtype):
    physics = Physics(AveragePool((10, 12), 2), Gaussian(0.1))
    y = random(*batch, 5, 6, dtype=dtype)
    image, info = DeepImagePrior(small, **OPTIONS)(y, physics, return_info=True)
    assert image.shape == (*batch, 10, 12)
    assert image.dtype == dtype
    assert not image.requires_grad
    assert info.iterations == (4 if image.numel() else 0)


def test_samples_do_not_depend_on_the_batch():
    physics = Physics(Mask(torch.eye(8) < 1), Gaussian(0.1))
    y = random(2, 8, 8) * torch.tensor([1.0, 10.0])[:, None, None]
    fit = DeepImagePrior(small, prior=TotalVariation(), strength=5.0, **OPTIONS)
    together = fit(y, physics)
    for k in range(2):
        torch.testing.assert_close(together[k], fit(y[k], physics))


@pytest.mark.parametrize(
    ("in_shape", "joint", "channels"), [((3, 8, 8), False, 3), ((8, 8), True, 3), ((8, 8), False, 1)]
)
def test_channels(in_shape, joint, channels):
    asked = []

    def net(count):
        asked.append(count)
        return small(count)

    physics = Physics(Identity(in_shape))
    image = DeepImagePrior(net, joint_channels=joint, **OPTIONS)(random(2, 3, 8, 8), physics)
    assert image.shape == (2, 3, 8, 8)
    assert asked == [channels] * (6 // channels)


def test_complex_images_are_two_channels_and_real_ones_from_complex_data_one():
    asked = []

    def net(count):
        asked.append(count)
        return small(count)

    F = Mask(torch.rand(8, 8, generator=generator()) > 0.3) @ FourierTransform((8, 8))
    y = random(8, 8, dtype=torch.complex64)
    assert DeepImagePrior(net, **OPTIONS)(y, Physics(F)).is_complex()
    from operators import RealToComplex

    assert not DeepImagePrior(net, **OPTIONS)(y, Physics(F @ RealToComplex((8, 8)))).is_complex()
    assert asked == [2, 1]


def test_restarts_are_averaged():
    physics, y = Physics(Identity((8, 8)), Gaussian(0.1)), random(8, 8)
    both, info = DeepImagePrior(small, restarts=2, seed=5, **OPTIONS)(y, physics, return_info=True)
    alone = [DeepImagePrior(small, seed=seed, **OPTIONS)(y, physics) for seed in (5, 6)]
    torch.testing.assert_close(both, (alone[0] + alone[1]) / 2)
    assert not torch.equal(*alone)
    assert info.iterations == len(info.objective) == 8


def test_the_running_mean_of_results():
    class Steps(Free):
        def forward(self, z):
            images.append(super().forward(z))
            return images[-1]

    images = []
    physics, y = Physics(Identity((2, 2))), random(2, 2)
    scale = y.square().mean().sqrt()
    image = DeepImagePrior(lambda c: Steps(c, 2, 2), average=0.8, lr=0.1, **OPTIONS)(y, physics)
    weights = torch.tensor([0.8**k for k in (3, 2, 1, 0)], dtype=F64)
    mean = (torch.stack(images)[:, 0, 0] * weights[:, None, None]).sum(0) / weights.sum()
    torch.testing.assert_close(image, (scale * mean).detach())


def test_it_is_reproducible_and_leaves_the_global_seed_alone():
    physics, y = Physics(Identity((8, 8))), random(8, 8)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = DeepImagePrior(small, **OPTIONS)(y, physics)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    with torch.no_grad():
        assert torch.equal(DeepImagePrior(small, **OPTIONS)(y, physics), first)


# -------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: DeepImagePrior(DnCNN()), TypeError, "net takes a function that makes a network"),
        (lambda: DeepImagePrior(prior="tv"), TypeError, "prior takes an AnalysisPrior, got str"),
        (lambda: DeepImagePrior(strength=-1), ValueError, "strength must be at least 0"),
        (lambda: DeepImagePrior(average=1.0), ValueError, "average must be below 1"),
        (lambda: DeepImagePrior(bounds=(1, 0)), ValueError, "low must be below high"),
        (lambda: DeepImagePrior(patience=0), ValueError, "patience must be at least 1"),
        (lambda: DeepImagePrior(small)(torch.ones(8), Physics(Identity(8))), ValueError, "takes images of 2 spatial"),
        (
            lambda: DeepImagePrior(small, bounds=(0, 1))(
                random(8, 8, dtype=torch.complex64), Physics(Identity((8, 8)))
            ),
            TypeError,
            "bounds are for real images",
        ),
        (
            lambda: DeepImagePrior(lambda c: Free(2, 8, 8))(torch.ones(8, 8), Physics(Identity((8, 8)))),
            ValueError,
            r"Free must give \(1, 1, 8, 8\), but gave \(1, 2, 8, 8\)",
        ),
        (
            lambda: DeepImagePrior(lambda c: Free(c, 8, 8), lr=1e30)(torch.ones(8, 8), Physics(Identity((8, 8)))),
            FloatingPointError,
            "the objective is inf at iteration 2; a smaller lr",
        ),
    ],
)
def test_mistakes_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
