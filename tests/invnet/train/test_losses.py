"""The losses, on cases where theory says what the best model is."""

import copy
import math

import pytest
import torch
from skimage.metrics import structural_similarity
from torch import nn

from invnet import Info, Physics, PostProcess, Reconstructor, train
from invnet.data import Measurements, Pairs, Patches, sample_image
from invnet.losses import (
    SURE,
    Adversarial,
    Batch,
    DataSplitting,
    Equivariance,
    EvidenceBound,
    MeasurementConsistency,
    Noise2Noise,
    Supervised,
)
from invnet.nets import VAE, DnCNN, OnImages
from invnet.noise import Gaussian, Poisson, PoissonGaussian, Uniform
from operators import AveragePool, Identity, Mask
from operators.mri import CartesianMRI
from tests.invnet.train.models import Scale, options, random

WIENER = 1 / (1 + 0.5**2)  # the best weight for images of variance 1 and noise of standard deviation 0.5


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


@pytest.mark.parametrize(("distance", "expected"), [("l2", math.exp(0.5)), ("l1", 1.0)])
def test_supervised_training_reaches_the_mean_or_the_median(distance, expected):
    """Of lognormal images that one measurement may come from."""
    net = Scale()
    data = Pairs(random(8000, 8).exp(), torch.ones(8000, 8))
    train(net, data, Supervised(distance), options=options(steps=600))
    assert net.weight.item() == pytest.approx(expected, abs=0.04)


def test_similarity_is_greatest_for_the_image_itself():
    x = torch.rand(40, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    net = Scale(1.0)
    result = train(net, Pairs(x, x / 2), Supervised("ssim"), options=options(steps=300))
    assert net.weight.item() == pytest.approx(2.0, abs=0.01)
    assert result.losses[-1] < 1e-4


# ---------------------------------------------------------------- measurements in pairs, or alone


def test_noise2noise_reaches_the_supervised_optimum():
    """Though it never sees an image: Wiener's weight, for noise of mean zero that is not even Gaussian."""
    x = random(4000, 8)
    noise = 0.5 * 12**0.5 * (torch.rand(2, 4000, 8, generator=torch.Generator().manual_seed(1)) - 0.5)
    net = Scale()
    train(net, Measurements(x + noise[0], x + noise[1]), Noise2Noise(), options=options(steps=400))
    assert net.weight.item() == pytest.approx(WIENER, abs=0.01)
    net = Scale()
    train(net, x, Noise2Noise(), physics=Physics(Identity(8), Uniform(0.5 * 12**0.5)), options=options(steps=400))
    assert net.weight.item() == pytest.approx(WIENER, abs=0.01)


def test_noise2noise_with_l1_reaches_the_median():
    """Of noise of median zero, though of mean one."""
    x = torch.ones(4000, 8)
    seconds = x + random(4000, 8).exp() - 1
    net = Scale()
    train(net, Measurements(x, seconds), Noise2Noise("l1"), options=options(steps=400))
    assert net.weight.item() == pytest.approx(1.0, abs=0.02)


def test_noise2noise_through_an_operator():
    method = PostProcess(OnImages(Scale()))
    physics = Physics(2 * Identity(8), Gaussian(1.0))
    train(method, random(4000, 8), Noise2Noise(), physics=physics, options=options(steps=400))
    assert method.net.net.weight.item() == pytest.approx(WIENER, abs=0.01)


def test_measurement_consistency_reproduces_the_measurement():
    method = PostProcess(OnImages(Scale()))
    data, physics = Measurements(random(500, 8)), Physics(3 * Identity(8), Gaussian(1.0))
    result = train(method, data, MeasurementConsistency(), physics=physics, options=options(steps=400))
    assert method.net.net.weight.item() == pytest.approx(1.0, abs=1e-3)
    assert result.losses[-1] < 1e-5


# ---------------------------------------------------------------- SURE


NOISES = {
    "gaussian": Gaussian(0.3),
    "a level for each pixel": Gaussian(torch.linspace(0.1, 0.5, 8)),
    "poisson": Poisson(0.2),
    "both": PoissonGaussian(0.2, 0.3),
}


def check_unbiased(model, physics, x):
    """The estimate and the error of many batches differ by less than four standard errors, which are small."""
    y = physics(x, generator=torch.Generator().manual_seed(2))
    generator, batches = torch.Generator().manual_seed(3), list(zip(x.split(200), y.split(200), strict=True))
    risks = torch.stack([SURE()(model, Batch(y=part, physics=physics), generator).detach() for _, part in batches])
    errors = torch.stack(
        [(physics.clean(model(b, physics)) - physics.clean(a)).abs().square().mean() for a, b in batches]
    )
    deviation = (risks - errors).std() / len(batches) ** 0.5
    assert deviation < 0.02 * errors.mean()
    assert abs((risks - errors).mean()) < 4 * deviation


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("factor", [1, 2])
def test_sure_of_a_linear_estimator_is_its_error_in_expectation(noise, factor):
    x = torch.rand(40_000, 8, generator=torch.Generator().manual_seed(0)) + 0.5
    matrix = random(8, 8, seed=1) / 3
    check_unbiased(lambda y, physics: y @ matrix, Physics(factor * Identity(8), NOISES[noise]), x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_sure_of_a_nonlinear_estimator(dtype):
    def shrink(y, physics):
        return y * (1 - 1 / (1 + 3 * y.abs().square()))

    check_unbiased(shrink, Physics(Identity(8), Gaussian(0.4)), random(40_000, 8, dtype=dtype))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_sure_reaches_the_supervised_optimum(precision):
    y = random(4000, 1, 8, 1) + 0.5 * random(4000, 1, 8, 1, seed=1)
    layer = nn.Conv2d(1, 1, 1, bias=False)
    method = PostProcess(OnImages(layer, channels=1, dims=2))
    chosen = options(steps=300, precision=precision)
    train(method, Measurements(y), SURE(), physics=Physics(Identity((8, 1)), Gaussian(0.5)), options=chosen)
    assert layer.weight.item() == pytest.approx(WIENER, abs=0.02)


def test_sure_teaches_networks_with_kinks():
    """The exact divergence of a ReLU network has no gradient for its kinks, and leaves it at the noise."""
    image = sample_image("camera", size=96)
    y = image + 0.1 * random(96, 96)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        method = PostProcess(DnCNN(depth=3, width=12, norm=None))
    chosen = options(steps=150, batch_size=8, lr=3e-3)
    physics = Physics(Identity((24, 24)), Gaussian(0.1))
    patches = Patches(y[None], 24, per_image=500)
    train(method, Measurements(patches), SURE(), physics=physics, options=chosen)
    with torch.no_grad():
        error = (method(y, Physics(Identity((96, 96)))) - image).square().mean()
    assert error < 0.6 * 0.1**2


@pytest.mark.parametrize("step", [0.01, 0.1])
def test_sure_of_nothing_counted(step):
    """No variance, no derivative: only the distance is left."""
    physics = Physics(Identity(8), Poisson(0.1))
    value = SURE(step)(lambda y, physics: y + 1, Batch(y=torch.zeros(2, 8), physics=physics), torch.Generator())
    assert value == 1


def test_sure_validates_too():
    data, physics = Measurements(random(50, 8)), Physics(Identity(8), Gaussian(0.5))
    result = train(Scale(), data, SURE(), physics=physics, validation=data, options=options(steps=20))
    assert result.metric == "loss"
    assert math.isfinite(result.best[1])


# ---------------------------------------------------------------- splitting


class Cross(Reconstructor):
    """A linear map of two pixels: one weight for the pixel itself, one for the other."""

    def __init__(self):
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(2))

    def _reconstruct(self, y, physics):
        return self.weights[0] * y + self.weights[1] * y.flip(-1), Info()


def test_splitting_learns_to_predict_an_entry_from_the_others():
    """Of two pixels with a covariance, from noisy data alone: the regression of the one image pixel on the other's
    measurement, which is what a supervised loss learns."""
    covariance, sigma = 0.8, 0.5
    first = random(4000)
    x = torch.stack([first, covariance * first + (1 - covariance**2) ** 0.5 * random(4000, seed=1)], 1)
    physics = Physics(Identity(2), Gaussian(sigma))
    method = Cross()
    y = physics(x, generator=torch.Generator().manual_seed(2))
    train(method, Measurements(y), DataSplitting(0.5), physics=physics, options=options(steps=400))
    assert method.weights[1].item() == pytest.approx(covariance / (1 + sigma**2), abs=0.02)


class Mirror(Reconstructor):
    """K-space of real images: one weight for the sample itself, one for that at the opposite frequency."""

    def __init__(self, operator):
        super().__init__()
        self.operator, self.weights = operator, nn.Parameter(torch.zeros(2))

    def _reconstruct(self, y, physics):
        return self.operator.adjoint(self.weights[0] * y + self.weights[1] * y.flip(-1).conj()), Info()


def test_ssdu_learns_the_symmetry_of_k_space():
    """Of real images opposite samples are conjugate: from noisy k-space alone, one is predicted from the other with
    Wiener's weight, of a variance of one beside the noise of two parts."""
    sigma, centre = 0.5, torch.arange(9) == 4
    A = CartesianMRI(torch.ones(9, dtype=torch.bool), in_shape=(1, 9))
    physics, method = Physics(A, Gaussian(sigma)), Mirror(A)
    y = physics(random(4000, 1, 9) + 0j, generator=torch.Generator().manual_seed(2))
    loss = DataSplitting(0.5, always=centre)
    train(method, Measurements(y), loss, physics=physics, options=options(steps=400))
    assert method.weights[1].item() == pytest.approx(1 / (1 + 2 * sigma**2), abs=0.02)


class Watch(Reconstructor):
    """Remembers what it was given."""

    def _reconstruct(self, y, physics):
        self.given = y, physics
        return physics.direct_inverse(y), Info()


@pytest.mark.parametrize("coils", [None, 3])
def test_ssdu_thins_the_sampled_lines_and_keeps_the_structure(coils):
    mask = torch.arange(16) % 2 == 0
    centre = (torch.arange(16) - 8).abs() <= 2
    maps = None if coils is None else random(coils, 8, 16, dtype=torch.complex64, seed=3)
    A = CartesianMRI(mask, maps, in_shape=(8, 16))
    y = A(random(2, 8, 16, dtype=torch.complex64))
    watch, loss = Watch(), DataSplitting(0.4, "l1-l2", always=centre)
    value = loss(watch, Batch(y=y, physics=Physics(A)), torch.Generator().manual_seed(0))
    seen, given = watch.given
    thinned = given.operator
    assert isinstance(thinned, CartesianMRI)
    assert thinned.mask.sum() == 8 - 2  # 0.4 of the five sampled lines beyond the centre
    assert (thinned.mask & centre).sum() == 3
    assert torch.equal(seen, thinned.mask * y)
    held = (mask & ~thinned.mask).expand(A.out_shape)
    a, b = A(thinned.direct_inverse(seen))[..., held], y[..., held]
    expected = (a - b).norm() / b.norm() + (a - b).abs().sum() / b.abs().sum()
    torch.testing.assert_close(value, expected)


def test_splitting_of_other_operators():
    keep = torch.arange(12) % 3 > 0
    generator = torch.Generator().manual_seed(0)
    watch = Watch()
    DataSplitting(0.25)(watch, Batch(y=torch.ones(2, 12), physics=Physics(Mask(keep))), generator)
    assert watch.given[1].operator.mask.sum() == 6  # of eight
    DataSplitting(0.25)(watch, Batch(y=torch.ones(2, 6, 1), physics=Physics(AveragePool((12, 2), 2))), generator)
    assert (watch.given[0] == 0).sum() == 2 * 2  # 1.5 of six, rounded
    assert torch.equal(watch.given[1].operator(torch.ones(12, 2)), watch.given[0][0])


# ---------------------------------------------------------------- equivariance


class Linear(Reconstructor):
    """A matrix."""

    def __init__(self, size):
        super().__init__()
        self.matrix = nn.Parameter(torch.zeros(size, size))

    def _reconstruct(self, y, physics):
        return y @ self.matrix.T, Info()


def test_equivariance_recovers_what_is_not_measured():
    """Periodic signals of two frequencies, of which five of twelve pixels are measured: the set of signals is
    invariant to shifts, and a linear map is exact on it. Consistency alone leaves the other pixels at zero."""
    angle = 2 * math.pi * torch.arange(12) / 12
    waves = torch.stack([angle.cos(), angle.sin(), (2 * angle).cos(), (2 * angle).sin()])
    x = (random(2000, 4) @ waves)[:, None]
    keep = torch.zeros(1, 12, dtype=torch.bool)
    keep[0, [0, 2, 3, 7, 8]] = True
    physics = Physics(Mask(keep))
    errors = []
    for loss in (MeasurementConsistency(), MeasurementConsistency() + Equivariance("shifts")):
        method = Linear(12)
        train(method, Measurements(physics(x)), loss, physics=physics, options=options(steps=600))
        errors.append(((method(physics(x), physics) - x).square().mean() / x.square().mean()).item())
    assert errors[0] > 0.5
    assert errors[1] < 1e-4


def test_transforms():
    x = random(2, 3, 5)
    generator = torch.Generator().manual_seed(0)
    seen = []
    for name in ("shifts", "rotations"):
        copies = {tuple(Equivariance(name).transform(x, generator).flatten().tolist()) for _ in range(300)}
        seen.append(len(copies))
        assert all(sorted(copy) == sorted(x.flatten().tolist()) for copy in copies)
    assert seen == [15, 4]  # all of them
    square = random(1, 4, 4)
    copies = {tuple(Equivariance("rotations").transform(square, generator).flatten().tolist()) for _ in range(300)}
    assert len(copies) == 8
    assert Equivariance(lambda x, generator: -x).transform(x, None) is not x


def test_a_sum_reconstructs_once():
    calls = []

    def model(y, physics):
        calls.append(y)
        return y

    physics = Physics(Identity(8), Gaussian(0.1))
    batch = Batch(y=random(2, 8), x=random(2, 8, seed=1), physics=physics)
    loss = MeasurementConsistency() + (Supervised("l1") + 2 * Supervised()) * 0.5
    expected = 0.5 * (batch.x - batch.y).abs().mean() + (batch.x - batch.y).square().mean()
    torch.testing.assert_close(loss(model, batch, torch.Generator()), expected)
    assert len(calls) == 1
    assert loss.name == "1 MeasurementConsistency + 0.5 Supervised + 1 Supervised"


# ---------------------------------------------------------------- adversarial


class Shift(nn.Module):
    """Adds a number to noise: a generator whose images have any mean."""

    def __init__(self):
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(()))

    def forward(self, y):
        return y + self.mean


class Threshold(nn.Module):
    """The odds rise linearly with the mean of an image."""

    def __init__(self):
        super().__init__()
        self.slope, self.place = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return self.slope * x.flatten(1).mean(1) + self.place


def none(a, b):
    return 0 * a.sum()


def test_adversarial_training_makes_the_distributions_equal():
    """Reconstructions of mean zero, images of mean two: in balance the discriminator can't tell them apart."""
    net, discriminator = Shift(), Threshold()
    loss = Adversarial(discriminator, weight=1.0, distance=none, lr=0.02)
    data = Pairs(random(4000, 1) + 2, random(4000, 1, seed=1))
    result = train(net, data, loss, options=options(steps=1000, lr=0.02, ema=0.99))
    assert net.mean.item() == pytest.approx(2.0, abs=0.15)
    assert sum(result.losses[-200:]) / 200 == pytest.approx(math.log(2), abs=0.03)  # of a discriminator that guesses


def test_the_discriminator_takes_a_step_of_its_own():
    x, y = random(6, 1, 4), random(6, 1, 4, seed=1)
    net, discriminator = Shift(), Threshold()
    twin = copy.deepcopy(discriminator)
    optimizer = torch.optim.Adam(twin.parameters(), 0.1)
    odds = torch.cat([twin(x), twin(net(y).detach())])
    labels = torch.cat([torch.ones(6), torch.zeros(6)])
    (2 * nn.functional.binary_cross_entropy_with_logits(odds, labels)).backward()
    optimizer.step()
    loss = Adversarial(discriminator, weight=0.3, lr=0.1)
    value = loss(lambda y, physics: net(y), Batch(x=x, y=y), torch.Generator())
    assert torch.equal(discriminator.slope, twin.slope)
    expected = (y - x).square().mean() + 0.3 * nn.functional.binary_cross_entropy_with_logits(twin(y), torch.ones(6))
    torch.testing.assert_close(value, expected)
    value.backward()
    assert discriminator.slope.grad is not None  # of its own step, not of the value
    torch.testing.assert_close(discriminator.slope.grad, twin.slope.grad)
    with torch.no_grad():
        loss(lambda y, physics: net(y), Batch(x=x, y=y), torch.Generator())
    assert torch.equal(discriminator.slope, twin.slope)


def test_a_checkpoint_keeps_the_discriminator_and_its_optimizer(tmp_path):
    data = Pairs(random(40, 1) + 2, random(40, 1, seed=1))

    def run(steps, checkpoint=None):
        net = Shift()
        loss = Adversarial(Threshold(), weight=1.0, lr=0.1)
        chosen = options(steps=steps, schedule="constant")
        result = train(net, data, loss, options=chosen, checkpoint=checkpoint, resume=checkpoint is not None)
        return result.losses

    whole = run(10)
    run(5, tmp_path / "c")
    assert run(10, tmp_path / "c") == whole


# ---------------------------------------------------------------- mistakes

KNOWN = {"x": random(2, 8), "y": random(2, 8), "physics": Physics(Identity(8), Gaussian(0.1))}


def on(loss, *names, **more):
    return loss(direct, Batch(**{name: KNOWN[name] for name in names}, **more), torch.Generator())


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: on(Supervised(), "y"), ValueError, "Supervised: needs the images x, but the batch has y alone"),
        (lambda: on(Noise2Noise(), "y"), ValueError, "Noise2Noise: needs a second measurement of each image"),
        (lambda: on(MeasurementConsistency(), "y", "x"), ValueError, "needs the physics of the measurements"),
        (lambda: on(SURE(), "y"), ValueError, "SURE: needs the physics"),
        (
            lambda: on(SURE(), "y", physics=Physics(Identity(8), Uniform(1))),
            TypeError,
            "SURE: knows the noise Gaussian, Poisson and PoissonGaussian, got Uniform",
        ),
        (lambda: on(SURE(), "y", physics=Physics(Identity(8))), TypeError, "got NoneType"),
        (lambda: on(Equivariance(), "y"), ValueError, "Equivariance: needs the physics"),
        (lambda: Equivariance("zoom"), ValueError, "transform takes one of shifts, rotations, got 'zoom'"),
        (lambda: DataSplitting(1.0), ValueError, "DataSplitting: held_out must be between 0 and 1, got 1.0"),
        (lambda: DataSplitting(always=torch.ones(3)), TypeError, "always takes a boolean tensor, got torch.float32"),
        (
            lambda: on(DataSplitting(always=torch.ones(3).bool()), "y", "physics"),
            ValueError,
            r"always has the shape \(8,\) of the samples of Identity, got \(3,\)",
        ),
        (lambda: on(DataSplitting(0.01), "y", "physics"), ValueError, "can't hold out 0.01 of 8 samples"),
        (lambda: Adversarial("D"), TypeError, "discriminator takes a torch.nn.Module, got str"),
        (lambda: Adversarial(Threshold(), -1), ValueError, "weight must be at least 0, got -1"),
        (lambda: Adversarial(Threshold(), lr=0), ValueError, "lr must be positive, got 0"),
        (lambda: SURE(0), ValueError, "SURE: step must be positive, got 0"),
        (lambda: SURE() + 1, TypeError, "unsupported operand"),
        (lambda: "2" * SURE(), TypeError, "SURE: a factor takes a real number"),
    ],
)
def test_mistakes_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


# ---------------------------------------------------------------- autoencoders


class NormalNumbers(VAE):
    """Images of independent normal numbers: z plus a deviation s, of which the bound knows all but s and a gain."""

    def __init__(self):
        super().__init__(latent=1, width=2, depth=1)
        self.gain = nn.Parameter(torch.tensor(0.5))

    def encode(self, x):
        variance = (self.gain / self.log_sigma.exp()).square() + 1  # of the exact posterior, its inverse
        return self.gain * x / self.log_sigma.exp() ** 2 / variance, -variance.log().expand_as(x)

    def decode(self, z):
        return self.gain * z


def test_the_evidence_bound_finds_the_variance_of_the_images():
    """With the exact posterior it is -log p(x): its minimum has gain^2 + s^2 at the images' variance."""
    net, x = NormalNumbers(), 0.7 * random(4000, 1, 2, 2)
    result = train(net, Measurements(x), EvidenceBound(net), options=options(steps=400))
    assert (net.gain**2 + (2 * net.log_sigma).exp()).item() == pytest.approx(0.49, abs=0.03)
    entropy = 0.5 * math.log(2 * math.pi * math.e * 0.49)
    assert sum(result.losses[-100:]) / 100 == pytest.approx(entropy, abs=0.03)


def test_the_evidence_bound_takes_images_with_and_without_channels():
    net, x = VAE(width=2, depth=1), random(3, 8, 8)
    results = [EvidenceBound(net)(direct, Batch(y=y, x=x), torch.Generator().manual_seed(0)) for y in (x, 2 * x)]
    results.append(EvidenceBound(net)(direct, Batch(y=x[:, None]), torch.Generator().manual_seed(0)))
    assert results[0] == results[1] == results[2]
    with pytest.raises(TypeError, match=r"EvidenceBound: net takes an invnet.nets.VAE, got DnCNN"):
        EvidenceBound(DnCNN(depth=3))
