"""Learned priors: what is promised of them for any parameters, by autograd, matrices and finite differences."""

import copy
import math
import pickle

import pytest
import torch

import invnet
from invnet.nets import DnCNN, OnImages
from invnet.optimize import Progress, admm, descend
from invnet.priors import (
    ConvexRidge,
    FieldOfExperts,
    GradientStep,
    ProximalDenoiser,
    SmoothPrior,
    TotalVariation,
    WeaklyConvexRidge,
)
from invnet.priors.filters import squared_norm

F64 = torch.float64


def random(*shape, seed=0, dtype=F64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def scrambled(prior, seed=0):
    """The prior with parameters that no training would choose, so that what holds for them holds for any."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in prior.parameters():
            p.add_(0.3 * (p.abs().mean() + 0.1) * torch.randn(p.shape, generator=generator))
    return prior


def smooth_net(channels=1):
    net = torch.nn.Sequential(
        torch.nn.Conv2d(channels, 4, 3, padding=1), torch.nn.SiLU(), torch.nn.Conv2d(4, channels, 3, padding=1)
    )
    return OnImages(WithLevel(net), channels=channels, dims=2)


class WithLevel(torch.nn.Module):
    """A network that takes the noise level as a factor."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, sigma):
        level = sigma.reshape(-1, 1, 1, 1) if isinstance(sigma, torch.Tensor) and sigma.ndim else sigma
        return x - level * self.net(x)


FILTERED = {
    "convex": lambda **o: ConvexRidge(channels=(3, 6), size=3, **o),
    "weakly convex": lambda **o: WeaklyConvexRidge(sigma=0.1, channels=(3, 6), size=3, knots=21, **o),
    "convex, of the weakly convex kind": lambda **o: WeaklyConvexRidge(
        sigma=0.1, channels=(6,), size=5, knots=21, weak_convexity=0.0, **o
    ),
    "experts": lambda **o: FieldOfExperts(size=3, **o),
}
PRIORS = {name: (lambda make=make: scrambled(make())) for name, make in FILTERED.items()}
PRIORS["gradient step"] = lambda: GradientStep(smooth_net(), sigma=0.2)
filtered = pytest.mark.parametrize("make", FILTERED.values(), ids=FILTERED)
every = pytest.mark.parametrize("make", PRIORS.values(), ids=PRIORS)


def spread(*shape, dtype=F64, seed=0):
    """Images whose responses lie within the knots and beyond."""
    scales = torch.logspace(-2, 0, shape[0], dtype=F64).reshape(-1, *(1 for _ in shape[1:]))
    return scales * random(*shape, seed=seed, dtype=dtype)


# -------------------------------------------------------------------- what the papers say


def test_parameters_are_as_many_as_in_the_papers():
    count = lambda prior: sum(p.numel() for p in prior.parameters())  # noqa: E731
    # 49 (8 + 8 * 32) + 32 * 21 + 2, and 25 (4 + 4 * 8 + 8 * 60) + 60 * 11 + 2 * 101 + 1.
    assert count(ConvexRidge()) == 13_610
    assert count(WeaklyConvexRidge()) == 13_763
    assert count(FieldOfExperts()) == 24 * 25 + 24


def test_cosine_experts_are_the_discrete_cosine_transform():
    import scipy.fft

    patch = random(5, 5).numpy()
    expected = scipy.fft.dctn(patch, norm="ortho").ravel()[1:]
    responses = FieldOfExperts().filters().double().reshape(24, 25) @ torch.from_numpy(patch).ravel()
    torch.testing.assert_close(responses, torch.from_numpy(expected), atol=1e-6, rtol=0)


def test_a_field_of_experts_is_its_formula():
    filters, weights, x = random(3, 3, 3), torch.tensor([0.5, 1.0, 2.0], dtype=F64), random(6, 7)
    prior = FieldOfExperts(filters, weights, unit=0.5)
    patches = x.unfold(0, 3, 1).unfold(1, 3, 1)
    z = torch.einsum("hwij,kij->khw", patches, filters) / 0.5
    expected = (weights * torch.log1p(z**2 / 2).sum((1, 2))).sum()
    assert prior(x).item() == pytest.approx(expected.item(), rel=1e-12)


@filtered
def test_a_bank_is_a_sum_over_patches(make):
    prior, x = scrambled(make(boundary="valid")).double(), random(9, 8)
    filters = prior.filters()
    n = filters.shape[-1]
    expected = torch.einsum("hwij,kij->khw", x.unfold(0, n, 1).unfold(1, n, 1), filters)
    torch.testing.assert_close(prior.bank(x[None, None])[0], expected)
    circular = scrambled(make(boundary="circular")).double()
    tiled = x.repeat(3, 3)[9 - n // 2 : 18 + n // 2, 8 - n // 2 : 16 + n // 2]
    expected = torch.einsum("hwij,kij->khw", tiled.unfold(0, n, 1).unfold(1, n, 1), circular.filters())
    torch.testing.assert_close(circular.bank(x[None, None])[0], expected)


# -------------------------------------------------------------------- gradients


@every
@pytest.mark.parametrize("dtype", [F64, torch.complex128])
def test_the_gradient_is_that_of_the_value(make, dtype):
    prior, x = make().double(), spread(3, 9, 8, dtype=dtype).requires_grad_()
    (expected,) = torch.autograd.grad(prior(x).sum(), x)
    scale = expected.abs().max().item()
    torch.testing.assert_close(prior.gradient(x), expected, atol=1e-9 * scale, rtol=0)
    value, slope = prior.value_and_gradient(x)
    torch.testing.assert_close(slope, expected, atol=1e-9 * scale, rtol=0)
    torch.testing.assert_close(value, prior(x))


@every
def test_the_gradient_is_that_of_differences(make):
    prior, x, v = make().double(), spread(3, 9, 8), random(3, 9, 8, seed=1)
    h = 1e-6
    slope = (prior(x + h * v) - prior(x - h * v)) / (2 * h)
    torch.testing.assert_close((prior.gradient(x) * v).sum((-2, -1)), slope, rtol=2e-4, atol=1e-4)


@every
def test_a_gradient_has_gradients_in_the_parameters(make):
    prior, x, v = make().double(), spread(3, 9, 8), random(3, 9, 8, seed=1)
    product = (prior.gradient(x) * v).sum()
    product.backward()
    name, p = max(prior.named_parameters(), key=lambda entry: entry[1].grad.abs().max().item())
    index = p.grad.abs().argmax().item()
    h = 1e-6
    values = []
    for sign in (1, -1):
        other = copy.deepcopy(prior)
        with torch.no_grad():
            dict(other.named_parameters())[name].view(-1)[index] += sign * h
            values.append((other.gradient(x) * v).sum().item())
    assert p.grad.view(-1)[index].item() == pytest.approx((values[0] - values[1]) / (2 * h), rel=1e-3)


# -------------------------------------------------------------------- the bounds


@filtered
@pytest.mark.parametrize("boundary", ["valid", "circular"])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_the_bounds_hold(make, boundary, dims):
    prior = scrambled(make(dims=dims, boundary=boundary)).double()
    shape = [(40,), (11, 9), (7, 8, 6)][dims - 1]
    lipschitz, weak = prior.lipschitz.item(), prior.weak_convexity.item()
    for seed in range(10):
        x = spread(20, *shape, seed=seed)
        y = x + spread(20, *shape, seed=seed + 100).flip(0)
        change, step = prior.gradient(x) - prior.gradient(y), x - y
        axes = tuple(range(1, 1 + dims))
        squares = step.square().sum(axes)
        assert bool((change.square().sum(axes) <= (lipschitz * (1 + 1e-9)) ** 2 * squares).all())
        assert bool(((change * step).sum(axes) >= -(weak * (1 + 1e-9) + 1e-9) * squares).all())


@pytest.mark.parametrize("make", [FILTERED["convex"], FILTERED["convex, of the weakly convex kind"]])
def test_convex_priors_are_convex_along_lines(make):
    prior = scrambled(make())
    assert prior.weak_convexity == 0
    x, v, t = spread(20, 12, 12), spread(20, 12, 12, seed=1).flip(0), torch.linspace(-2, 2, 21, dtype=F64)
    along = prior(x + t[:, None, None, None] * v)
    bends = along[2:] - 2 * along[1:-1] + along[:-2]
    assert bool((bends >= -1e-9 * along.abs().max()).all())


def test_denoising_with_the_weakly_convex_prior_is_convex():
    prior = scrambled(WeaklyConvexRidge(sigma=0.1, channels=(4, 6), size=3))
    with torch.no_grad():
        prior.log_mu.fill_(-20.0)  # only the concave part
    x, v, t = spread(20, 12, 12), spread(20, 12, 12, seed=1).flip(0), torch.linspace(-2, 2, 21, dtype=F64)
    points = x + t[:, None, None, None] * v
    concave, fit = prior(points), points.square().sum((-2, -1)) / (2 * 0.1**2)
    assert (concave[2:] - 2 * concave[1:-1] + concave[:-2]).max() <= 1e-9 * concave.abs().max()
    both = concave + fit
    assert bool((both[2:] - 2 * both[1:-1] + both[:-2] >= -1e-9 * both.abs().max()).all())


def test_the_norm_of_filters_is_bounded_closely():
    for dims, size in ((1, 7), (2, 5), (3, 3)):
        filters = random(4, 1, *[size] * dims)
        shape = [(101,), (31, 32), (9, 10, 11)][dims - 1]
        spectra = torch.fft.fftn(filters, s=shape, dim=tuple(range(2, 2 + dims)))
        exact = spectra.abs().square().sum(0).max().item()  # of the circular convolution, for this size
        assert exact <= squared_norm(filters).item() * (1 + 1e-12)
        assert squared_norm(filters).item() < 1.3 * exact


@filtered
def test_the_adjoint_of_a_bank_is_exact(make):
    for boundary in ("valid", "circular"):
        bank = scrambled(make(boundary=boundary)).bank
        x = random(2, 1, 9, 12)
        z = random(*bank(x).shape, seed=1)
        left, right = (bank(x) * z).sum().item(), (x * bank.adjoint(z)).sum().item()
        assert left == pytest.approx(right, rel=1e-12)


@filtered
def test_constants_cost_nothing(make):
    prior, x = scrambled(make()), random(9, 9)
    if not isinstance(prior, FieldOfExperts):  # its scrambled filters have means
        torch.testing.assert_close(prior(x + 5), prior(x))
        assert prior(torch.full((9, 9), 3.0, dtype=F64)).item() == pytest.approx(0, abs=1e-9)
        assert prior(x) > prior(0 * x)


# -------------------------------------------------------------------- images


@every
@pytest.mark.parametrize("batch", [(), (0,), (2, 3)])
def test_any_batch_is_one_image_after_the_other(make, batch):
    prior, x = make().double(), random(*batch, 9, 8)
    with torch.no_grad():
        value, slope = prior.value_and_gradient(x)
        assert value.shape == batch
        assert slope.shape == x.shape
        for index in torch.cartesian_prod(*map(torch.arange, batch)) if len(batch) > 1 and 0 not in batch else []:
            one, its = prior.value_and_gradient(x[tuple(index)])
            torch.testing.assert_close(value[tuple(index)], one)
            torch.testing.assert_close(slope[tuple(index)], its)


@pytest.mark.parametrize("name", ["weakly convex", "gradient step"])
def test_each_sample_may_have_its_own_noise_level(name):
    prior, x, levels = PRIORS[name](), random(2, 3, 9, 8), torch.tensor([0.05, 0.2])
    value, slope = prior.at(levels).value_and_gradient(x)
    for i, level in enumerate(levels.tolist()):
        one, its = prior.at(level).value_and_gradient(x[i])
        torch.testing.assert_close(value[i], one, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(slope[i], its, rtol=1e-5, atol=1e-5)
    assert prior.sigma != 0.05
    with pytest.raises(ValueError, match=r"sigma has the shape of the batch \(2, 3\)"):
        prior.at(torch.ones(4))(x)


@filtered
def test_complex_images_are_two(make):
    prior, x = scrambled(make()), random(2, 9, 8, dtype=torch.complex128)
    torch.testing.assert_close(prior(x), prior(x.real) + prior(x.imag))
    torch.testing.assert_close(prior.gradient(x), torch.complex(prior.gradient(x.real), prior.gradient(x.imag)))


def test_a_network_of_two_channels_takes_complex_images():
    prior = GradientStep(smooth_net(2), sigma=0.2)
    x = random(3, 9, 8, dtype=torch.complex64).requires_grad_()
    assert prior(x).shape == (3,)
    (expected,) = torch.autograd.grad(prior(x).sum(), x)
    torch.testing.assert_close(prior.gradient(x), expected)


@every
def test_the_proximal_map_is_the_minimum(make):
    prior, x = make(), 0.3 * random(2, 9, 8)
    step = torch.tensor([0.2, 0.8], dtype=F64) * 0.01
    z = prior.prox(x, step)
    # At the minimum the gradient vanishes; of splines it is continuous.
    rest = z - x + step[:, None, None] * prior.gradient(z)
    assert rest.norm() < 3e-3 * x.norm()
    value = lambda z: step * prior(z) + 0.5 * (z - x).square().sum((-2, -1))  # noqa: E731
    for seed in range(5):
        assert bool((value(z + 0.01 * random(2, 9, 8, seed=seed)) >= value(z)).all())


@every
def test_copies_are_the_same(make):
    prior, x = make(), random(9, 8)
    with torch.no_grad():
        for other in (copy.deepcopy(prior), pickle.loads(pickle.dumps(prior))) if "net" not in vars(prior) else ():
            torch.testing.assert_close(other(x), prior(x), rtol=0, atol=0)
        before = prior(x)
        state = {name: 1.5 * p for name, p in prior.state_dict().items()}
        prior.load_state_dict(state)
        assert prior(x) != before  # nothing that was computed from the old parameters stays


# -------------------------------------------------------------------- denoisers to train


def test_implicit_gradients_are_those_of_differences():
    prior = scrambled(WeaklyConvexRidge(channels=(2, 3), size=3, knots=11)).double()
    with torch.no_grad():
        prior.log_mu.fill_(1.0)
    denoise = ProximalDenoiser(prior, tol=1e-12, max_iter=5000)
    y, v = 0.2 * random(2, 8, 8), random(2, 8, 8, seed=1)
    y.requires_grad_()
    (denoise(y, 0.3) * v).sum().backward()
    h = 1e-5
    for p in (prior.log_mu, prior.bank.filters[0], prior.log_scaling.values):
        index = p.grad.abs().argmax().item()
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                p.view(-1)[index] += sign * h
                values.append((denoise(y, 0.3) * v).sum().item())
                p.view(-1)[index] -= sign * h
        assert p.grad.view(-1)[index].item() == pytest.approx((values[0] - values[1]) / (2 * h), rel=2e-2)
    with torch.no_grad():
        w = random(2, 8, 8, seed=2)
        change = ((denoise(y + h * w, 0.3) - denoise(y - h * w, 0.3)) * v).sum().item() / (2 * h)
    assert (y.grad * w).sum().item() == pytest.approx(change, rel=2e-2)


def test_many_steps_are_the_minimum():
    prior = scrambled(ConvexRidge(channels=(2, 3), size=3)).double()
    y = 0.2 * random(2, 8, 8)
    with torch.no_grad():
        minimum = ProximalDenoiser(prior, tol=1e-10, max_iter=3000)(y, 0.1)
        stepped = ProximalDenoiser(prior, steps=3000)(y, 0.1)
    torch.testing.assert_close(stepped, minimum, atol=1e-4, rtol=0)
    torch.testing.assert_close(minimum, prior.prox(y, 0.01), atol=1e-3, rtol=0)


@pytest.mark.parametrize("steps", [None, 10])
def test_training_improves_the_denoiser(steps):
    torch.manual_seed(0)
    image = invnet.data.sample_image("camera", size=64)
    generator = torch.Generator().manual_seed(0)
    prior = WeaklyConvexRidge(channels=(8,), size=3)
    denoise = ProximalDenoiser(prior, steps=steps, tol=1e-3, max_iter=20)
    optimizer = torch.optim.Adam(prior.parameter_groups())
    losses = []
    for _ in range(25):
        noisy = image + 0.1 * torch.randn(image.shape, generator=generator)
        loss = (denoise(noisy, 0.1) - image).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3])
    assert losses[-1] < 0.1**2  # better than nothing


def test_a_gradient_step_denoiser_is_trained_through():
    prior = GradientStep(smooth_net(), sigma=0.1)
    x = random(3, 8, 8, dtype=torch.float32)
    prior.denoise(x, torch.tensor([0.1, 0.2, 0.3])).square().sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in prior.parameters())
    torch.testing.assert_close(prior.denoise(x), x - 0.01 * prior.gradient(x))


# -------------------------------------------------------------------- the algorithms


def test_descent_finds_stationary_points_and_never_rises():
    def value(x):
        return (x**4 - 3 * x**2 + x).sum(-1)  # two valleys along each coordinate

    def both(x):
        return value(x), 4 * x**3 - 6 * x + 1

    start = 3 * random(50, 4)
    progress = Progress(1, objective=value, tol=1e-8, max_iter=500, every=1)
    x = descend(start, value, both, progress)
    assert bool(progress.converged.all())
    assert both(x)[1].abs().max() < 1e-5
    heights = torch.stack(progress.objectives)
    assert bool((heights.diff(dim=0) <= 1e-12 * heights[:-1].abs() + 1e-12).all())


def test_descent_keeps_to_a_set():
    value = lambda x: (x - 3).square().sum(-1)  # noqa: E731
    progress = Progress(1, objective=None, tol=1e-10, max_iter=100)
    x = descend(torch.zeros(2), value, lambda x: (value(x), 2 * (x - 3)), progress, lambda x: x.clamp(-1, 1))
    torch.testing.assert_close(x, torch.ones(2))


def test_descent_says_when_it_meets_no_numbers():
    value = lambda x: torch.full(x.shape[:-1], math.nan)  # noqa: E731
    with pytest.raises(FloatingPointError, match="NaN"):
        descend(torch.zeros(2), value, lambda x: (value(x), x), Progress(1, None, 1e-6, 10))
    spike = lambda x: torch.where((x == 0).all(-1), 0.0, math.nan)  # noqa: E731
    with pytest.raises(FloatingPointError, match="no step along the gradient"):
        descend(torch.zeros(2), spike, lambda x: (spike(x), torch.ones_like(x)), Progress(1, None, 1e-6, 10))


def test_admm_takes_several_terms():
    y = random(7)
    progress = Progress(1, None, tol=1e-9, max_iter=2000)
    soft = lambda z, step: z.sign() * (z.abs() - 0.3 * step).clamp_min(0)  # noqa: E731
    box = lambda z, step: z.clamp(-0.5, 0.5)  # noqa: E731
    step = torch.tensor(7.0, dtype=F64)
    x = admm(torch.zeros_like(y), lambda z, step: (z + step * y) / (1 + step), [soft, box], progress, step)
    expected = (y.sign() * (y.abs() - 0.3).clamp_min(0)).clamp(-0.5, 0.5)
    torch.testing.assert_close(x, expected, atol=1e-6, rtol=0)


def test_a_diverging_iteration_says_so():
    progress = Progress(1, None, 1e-6, 10, every=1)
    progress.iterations = 3
    with pytest.raises(FloatingPointError, match="diverged: after 3 iterations"):
        progress.record(torch.zeros(2), torch.full((2,), math.inf), torch.tensor(math.nan))


# -------------------------------------------------------------------- wrong input


def poisoned():
    prior = ConvexRidge(channels=(2,), size=3)
    with torch.no_grad():
        prior.bank.filters[0][0, 0, 0, 0] = math.nan
        return prior(torch.zeros(9, 9))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ConvexRidge(size=4), ValueError, "ConvexRidge: size must be odd and at least 3, got 4"),
        (lambda: ConvexRidge(channels=()), ValueError, "channels take those after at least one convolution"),
        (lambda: ConvexRidge(channels=(0,)), ValueError, "channels must be at least 1, got 0"),
        (lambda: ConvexRidge(knots=20), ValueError, "knots must be odd and at least 5, got 20"),
        (lambda: ConvexRidge(dims=4), ValueError, "dims takes 1, 2 or 3, got 4"),
        (lambda: ConvexRidge(boundary="zeros"), ValueError, "boundary takes one of circular, valid, got 'zeros'"),
        (lambda: ConvexRidge(tol=0), ValueError, "tol must be positive"),
        (
            lambda: ConvexRidge()(torch.zeros(9, 5)),
            ValueError,
            r"at least 6 pixels along each of 2.*got shape \(9, 5\)",
        ),
        (lambda: ConvexRidge()(torch.zeros(9)), ValueError, "at least 2 dimensions"),
        (lambda: ConvexRidge()(torch.zeros(9, 9, dtype=torch.int64)), TypeError, "floating-point or complex"),
        (poisoned, ValueError, "ConvexRidge: the filters have 1 NaN or infinite entries"),
        (lambda: WeaklyConvexRidge(sigma=-0.1), ValueError, "WeaklyConvexRidge: sigma must be positive, got -0.1"),
        (lambda: WeaklyConvexRidge().at(torch.tensor([0.1, 0.0])), ValueError, "sigma must be positive and finite"),
        (lambda: WeaklyConvexRidge().at("0.1"), TypeError, "sigma takes a real number"),
        (lambda: WeaklyConvexRidge(weak_convexity=-1), ValueError, "weak_convexity must be at least 0, got -1"),
        (lambda: WeaklyConvexRidge(levels=(0.1, 1)), ValueError, "levels take a positive number and a count"),
        (lambda: FieldOfExperts(weights=torch.ones(23)), ValueError, r"weights take 24 real numbers.*\(23,\)"),
        (lambda: FieldOfExperts(weights=-torch.ones(24)), ValueError, "weights must be positive, got -1"),
        (lambda: FieldOfExperts(torch.full((2, 3, 3), math.nan)), ValueError, "filters must be finite, got 18 NaN"),
        (lambda: FieldOfExperts(torch.ones(2, 3, 4)), ValueError, r"filters take a real tensor .*got .*\(2, 3, 4\)"),
        (lambda: FieldOfExperts(unit=0), ValueError, "unit must be positive"),
        (lambda: FieldOfExperts()(torch.zeros(4, 9)), ValueError, "at least 5 pixels"),
        (lambda: GradientStep("net"), TypeError, "GradientStep: net takes a torch.nn.Module, got str"),
        (lambda: GradientStep(DnCNN(depth=3), sigma=0.0), ValueError, "sigma must be positive"),
        (lambda: GradientStep(DnCNN(3, depth=3))(torch.zeros(9, 9)), ValueError, "at least 3 dimensions"),
        (
            lambda: GradientStep(DnCNN(3, depth=3)).gradient(torch.zeros(1, 9, 9)),
            ValueError,
            r"DnCNN of 3 channels takes real images of shape \(..., 3, H, W\), got \(1, 9, 9\)",
        ),
        (lambda: ProximalDenoiser(TotalVariation()), TypeError, "prior takes one with a gradient, got TotalVariation"),
        (lambda: ProximalDenoiser(ConvexRidge(), steps=0), ValueError, "steps must be at least 1"),
        (lambda: ProximalDenoiser(ConvexRidge())(torch.zeros(32, 32), -1.0), ValueError, "sigma must be positive"),
        (
            lambda: ProximalDenoiser(GradientStep(DnCNN(depth=3)), steps=2)(torch.zeros(9, 9), 0.1),
            ValueError,
            "steps need a Lipschitz constant, and GradientStep knows none",
        ),
        (lambda: SmoothPrior(), TypeError, "abstract"),
    ],
)
def test_wrong_input_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_network_of_another_shape_is_refused():
    class Cut(torch.nn.Module):
        def forward(self, x, sigma):
            return x[..., 1:]

    with pytest.raises(ValueError, match=r"GradientStep: the network took \(9, 9\) and must give the same shape"):
        GradientStep(OnImages(Cut(), 1, 2))(torch.zeros(9, 9))
