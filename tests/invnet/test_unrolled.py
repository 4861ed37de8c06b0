"""Unrolled networks: classical iterations when the networks are known maps, exact gradients, and training."""

import pytest
import torch
from torch import nn

import invnet
from invnet import LearnedPrimalDual, Physics, PlugAndPlay, Unrolled
from invnet.nets import DnCNN, DRUNet, OnImages, UNet
from invnet.noise import Gaussian, Poisson
from operators import AveragePool, Convolution, FourierTransform, Identity, Mask, Matrix, RealToComplex
from tests.peers import deepinv

F64 = torch.float64
METHODS = ["proximal-gradient", "variational", "modl", "itnet", "hqs"]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random(*shape, seed=0, dtype=F64):
    return torch.randn(shape, generator=generator(seed), dtype=dtype)


class Linear(nn.Module):
    """A linear map of the last dimension."""

    def __init__(self, matrix):
        super().__init__()
        self.matrix = nn.Parameter(matrix)

    def forward(self, x, sigma=None):
        size = 1 if sigma is None else 1 + sigma[..., None]
        return (self.matrix @ x[..., None])[..., 0] * size


N, S = 6, 0.3
A = random(8, N)
PHYSICS = Physics(Matrix(A), Gaussian(S))
Y = PHYSICS(random(2, 3, N, seed=1), generator=generator())


def by_hand(unrolled, matrices):
    """The iterations in matrices; but for hqs, the noise's variance is nowhere: it cancels."""
    x, norm, method = PHYSICS.direct_inverse(Y)[..., None], torch.linalg.matrix_norm(A, 2), unrolled.method
    peak = x.abs().amax((-2, -1), keepdim=True)
    for k, M in enumerate(matrices):
        t = unrolled.log_scalars[k % len(unrolled.log_scalars)].exp()
        gradient = A.T @ (A @ x - Y[..., None]) / (1.001 * norm) ** 2
        if method == "proximal-gradient":
            x = M @ (x - t * gradient)
        elif method == "variational":
            x = x - t * gradient - M @ x
        elif method == "itnet":
            x = M @ (x - t * PHYSICS.direct_inverse((A @ x)[..., 0] - Y)[..., None])
        elif method == "modl":
            x = closest(M @ x, t * norm**2)
        else:
            level = unrolled.log_levels[k].exp() * (S / (0.01 * peak * norm)) ** unrolled.noise_shares[k]
            x = (1 + level) * M @ closest(x, t * (S / (peak * level)) ** 2)
    return x[..., 0]


def closest(z, damping):
    """The image near z that explains the data."""
    return torch.linalg.solve(A.T @ A + damping * torch.eye(N, dtype=F64), A.T @ Y[..., None] + damping * z)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_linear_networks_are_matrices_and_so_are_their_gradients(method, shared, checkpointing):
    nets = Linear(0.5 * random(N, N, seed=2)) if shared else [Linear(0.5 * random(N, N, seed=k)) for k in (2, 3, 4)]
    unrolled = Unrolled(nets, 3, method, checkpointing=checkpointing).double()
    with torch.no_grad():
        unrolled.log_scalars.add_(0.1 * torch.arange(1, 1 + len(unrolled.log_scalars)))
    image = unrolled(Y, PHYSICS)
    matrices = [nets.matrix] * 3 if shared else [net.matrix for net in nets]
    expected = by_hand(unrolled, matrices)
    torch.testing.assert_close(image, expected, atol=1e-7, rtol=1e-6)
    parameters = list(unrolled.parameters())
    assert len(parameters) == (2 if shared else 4) + 2 * (method == "hqs")
    gradients = torch.autograd.grad(image.square().sum(), parameters)
    for value, truth in zip(gradients, torch.autograd.grad(expected.square().sum(), parameters), strict=True):
        torch.testing.assert_close(value, truth, atol=1e-5, rtol=1e-5)


def test_a_denoiser_without_training_is_plug_and_play():
    net = DnCNN(depth=3, width=4, norm=None).double()
    physics = Physics(Convolution(invnet.data.gaussian_kernel(5, 1.0), (12, 12), padding="same"), Gaussian(0.1))
    y = physics(random(2, 12, 12), generator=generator())
    plugged = PlugAndPlay(net, "pgd", max_iter=5, tol=0)(y, physics, return_info=True)[0]
    torch.testing.assert_close(Unrolled(net, 5)(y, physics).detach(), plugged)


def test_hqs_without_training_is_plug_and_play():
    net = DnCNN(depth=3, width=4, norm=None, noise_conditioned=True).double()
    physics = Physics(Convolution(invnet.data.gaussian_kernel(5, 1.0), (12, 12)), Gaussian(0.1))
    y = physics(random(2, 12, 12), generator=generator())
    sizes = physics.direct_inverse(y).abs().amax((-2, -1))
    with torch.no_grad():
        image = Unrolled(net, 4, "hqs")(y, physics)
        for sample, measured, size in zip(image, y, sizes, strict=True):  # each is brought to a peak of one
            scaled = Physics(physics.operator, Gaussian(0.1 / size.item()))
            levels = (49 / 255, 0.1 / (size * physics.operator.norm()).item())
            plugged = size * PlugAndPlay(net, sigma=levels, max_iter=4)(measured / size, scaled)
            torch.testing.assert_close(sample, plugged, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_channels_of_an_image_stay_together(method):
    """Whether the operator is declared on them or takes them as batch: of hqs, they have one scale."""
    net = DnCNN(3, depth=3, width=4, norm=None, noise_conditioned=method == "hqs")
    y = torch.tensor([1.0, 0.3, 0.02])[:, None, None] * random(2, 3, 8, 8, dtype=torch.float32)
    unrolled = Unrolled(net, 2, method)
    within, before = (unrolled(y, Physics(2 * Identity(shape))) for shape in ((3, 8, 8), (8, 8)))
    torch.testing.assert_close(within, before)


def test_hqs_has_no_unit():
    net = DnCNN(depth=3, width=4, norm=None, noise_conditioned=True)
    unrolled, physics, y = Unrolled(net, 2, "hqs"), Physics(Identity((8, 8))), random(2, 8, 8, dtype=torch.float32)
    torch.testing.assert_close(unrolled(1000 * y, physics), 1000 * unrolled(y, physics), atol=0.01, rtol=1e-4)
    assert torch.isfinite(unrolled(0 * y, physics)).all()


def test_modl_is_that_of_deepinv():
    dinv = deepinv()
    mask = (torch.rand(8, 8, generator=generator()) > 0.4).double()

    class Denoiser(nn.Module):
        def forward(self, x, sigma=None):
            return torch.tanh(x) + 0.1 * x.roll(1, -1)

    peer = dinv.models.MoDL(denoiser=Denoiser(), num_iter=4)
    y = mask * random(2, 1, 8, 8)
    # Theirs is four times (data, denoiser), with d = 1; ours three times (denoiser, data), after a first data step.
    ours, physics = Unrolled(Denoiser(), 3, "modl"), Physics(Mask(mask))
    physics.direct_inverse = lambda y: 2 * y / (mask + 1)
    with torch.no_grad():
        ours.log_scalars.zero_()
        expected = peer(y, dinv.physics.Inpainting((1, 8, 8), mask=mask[None]))[:, 0]
        torch.testing.assert_close(Denoiser()(ours(y[:, 0], physics)), expected, atol=1e-5, rtol=1e-5)


def test_noise_of_different_levels_weighs_the_data():
    sigmas = torch.linspace(0.1, 1, 8, dtype=F64)
    physics = Physics(Matrix(A), Gaussian(sigmas))
    unrolled = Unrolled(nn.Identity(), 1)
    start, step = physics.direct_inverse(Y), 0.1**2 / (1.001 * torch.linalg.matrix_norm(A, 2)) ** 2
    expected = start - step * ((start @ A.T - Y) / sigmas**2) @ A
    torch.testing.assert_close(unrolled(Y, physics).detach(), expected)


@pytest.mark.parametrize("method", METHODS)
def test_counts_are_taken_as_least_squares(method):
    net, y = Linear(torch.eye(N, dtype=F64)), Y.abs()
    exact, counts = Physics(Matrix(A)), Physics(Matrix(A), Poisson())
    torch.testing.assert_close(Unrolled(net, 2, method)(y, counts), Unrolled(net, 2, method)(y, exact))


def test_the_norm_may_be_given():
    A = Mask(torch.rand(8, 8, generator=generator()) > 0.3)
    physics, y = Physics(A, Gaussian(0.1)), random(8, 8)
    A.norm = None  # it is not asked for
    for method in METHODS:
        net = DnCNN(depth=2, width=2, noise_conditioned=method == "hqs")
        assert Unrolled(net, 2, method, norm=1.0)(y, physics).shape == (8, 8)
    assert LearnedPrimalDual(iterations=1, width=4, norm=1.0)(y, physics).shape == (8, 8)


# -------------------------------------------------------------------- images of every kind, training


def network(method, channels):
    return DRUNet(channels, widths=(4, 8), blocks=1) if method == "hqs" else UNet(channels, width=4, depth=1)


KINDS = {
    **{method: lambda c, method=method: Unrolled(network(method, c), 2, method) for method in METHODS},
    "primal-dual": lambda c: LearnedPrimalDual(
        iterations=2, width=4, complex_image=c == 2, complex_data=c == 2, checkpointing=True
    ),
}


@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
@pytest.mark.parametrize("kind", KINDS)
def test_any_batch_and_type(kind, batch):
    torch.manual_seed(0)  # of the networks' weights: narrow ones may begin with all their units off
    for dtype in (torch.float32, F64, torch.complex64):
        physics = Physics(AveragePool((8, 12), 2), Gaussian(0.1))
        unrolled = KINDS[kind](2 if dtype.is_complex else 1)
        image, info = unrolled(random(*batch, 4, 6, dtype=dtype), physics, return_info=True)
        assert image.shape == (*batch, 8, 12)
        assert image.dtype == dtype
        assert info.iterations == 2
        image.abs().sum().backward()
        last = {"primal.1.net.layers.4.weight", "dual.1.net.layers.4.weight"}
        for name, value in unrolled.named_parameters():
            assert value.grad is not None, name
            assert torch.isfinite(value.grad).all(), name
        if kind == "primal-dual":
            assert all(dict(unrolled.named_parameters())[name].grad.abs().sum() > 0 for name in last)


def test_memory_does_not_change_the_result_of_learned_primal_dual():
    physics, y = Physics(Identity((8, 8))), random(2, 8, 8, dtype=torch.float32)
    plain = LearnedPrimalDual(iterations=3, width=4)
    saving = LearnedPrimalDual(iterations=3, width=4, checkpointing=True)
    saving.load_state_dict(plain.state_dict())
    results = [net(y, physics) for net in (plain, saving)]
    torch.testing.assert_close(*results)
    gradients = [
        torch.autograd.grad(r.sum(), list(net.parameters()), allow_unused=True)
        for r, net in zip(results, (plain, saving), strict=True)
    ]
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b)


def test_learned_primal_dual_by_hand():
    """With convolutions that only pass their centre on, an iteration is a sum that can be written down."""
    physics, y = Physics(2 * Identity((3, 4))), random(3, 4)
    net = LearnedPrimalDual(iterations=1, memory=2, width=4).double()
    assert sum(p.numel() for p in LearnedPrimalDual().parameters()) == 10 * (
        (7 * 32 + 32 * 32 + 32 * 5) * 9 + (6 * 32 + 32 * 32 + 32 * 5) * 9 + 2 * (32 + 32 + 5) + 4 * 32
    )
    with torch.no_grad():
        for value in net.parameters():
            value.zero_()
        for update, channel in ((net.dual[0].net, 3), (net.primal[0].net, 2)):
            update.layers[0].weight[0, channel, 1, 1] = 1.0  # of (h, A f, y) the data, of (f, A.H h) the adjoint
            update.layers[1].weight.fill_(1.0)  # PReLU as the identity
            update.layers[2].weight[0, 0, 1, 1] = 1.0
            update.layers[3].weight.fill_(1.0)
            update.layers[4].weight[0, 0, 1, 1] = 1.0
        # h_0 = y / |A| and f_0 = A.H h_0 / |A|, with A twice the identity.
        torch.testing.assert_close(net(y, physics), y / 2)


def test_learned_primal_dual_begins_with_the_direct_inverse():
    """As updates of zeros show; and its weights are of the size that Xavier's rule gives."""
    physics, y = Physics(AveragePool((8, 8), 2)), random(2, 4, 4)
    net = LearnedPrimalDual(iterations=2, width=64, start="direct inverse").double()
    weights = net.primal[0].net.layers[2].weight
    assert weights.std().item() == pytest.approx((2 / (9 * 64 + 9 * 64)) ** 0.5, rel=0.05)
    with torch.no_grad():
        for value in net.parameters():
            value.zero_()
        torch.testing.assert_close(net(y, physics), physics.direct_inverse(y))


def test_real_images_from_complex_data():
    F = Mask(torch.rand(8, 8, generator=generator()) > 0.5) @ FourierTransform((8, 8)) @ RealToComplex((8, 8))
    y = random(2, 8, 8, dtype=torch.complex64)
    assert LearnedPrimalDual(iterations=1, width=4, complex_data=True)(y, Physics(F)).dtype == torch.float32
    for method in METHODS:
        net = DnCNN(depth=2, width=2, noise_conditioned=method == "hqs")
        assert Unrolled(net, 2, method)(y, Physics(F)).dtype == torch.float32


@pytest.mark.parametrize("kind", KINDS)
def test_training_improves_on_the_direct_inverse(kind):
    torch.manual_seed(0)
    physics = Physics(Mask(torch.rand(12, 12, generator=generator()) > 0.5), Gaussian(0.02))
    x = random(16, 12, 12, dtype=torch.float32).cumsum(-1).cumsum(-2) / 4
    y = physics(x, generator=generator())
    if kind == "primal-dual":
        method = LearnedPrimalDual(iterations=3, width=8)
    else:
        method = Unrolled(DnCNN(depth=3, width=8, norm=None, noise_conditioned=kind == "hqs"), 3, kind)
    optimizer = torch.optim.Adam(method.parameters(), lr=5e-3)
    for _ in range(80):
        optimizer.zero_grad()
        loss = (method(y, physics) - x).square().mean()
        loss.backward()
        optimizer.step()
    assert loss < 0.7 * (physics.direct_inverse(y) - x).square().mean()


def test_state_is_loaded():
    first, other = (Unrolled([DnCNN(depth=2, width=2) for _ in range(2)]) for _ in range(2))
    other.load_state_dict(first.state_dict())
    physics, y = Physics(Identity((8, 8))), random(8, 8)
    assert torch.equal(first(y, physics), other(y, physics))


# -------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Unrolled(torch.relu), TypeError, "a sequence of them, got builtin"),
        (lambda: Unrolled([torch.relu]), TypeError, "nets takes a torch.nn.Module or a sequence of them, got builtin"),
        (lambda: Unrolled([]), TypeError, "a sequence of them, got none"),
        (lambda: Unrolled([UNet(), UNet()], 3), ValueError, "2 networks are for as many iterations, got iterations=3"),
        (lambda: Unrolled(UNet(), 0), ValueError, "iterations must be at least 1, got 0"),
        (lambda: Unrolled(UNet(), method="admm"), ValueError, "method takes one of proximal-gradient"),
        (lambda: Unrolled(UNet(), method="hqs"), ValueError, "hqs takes networks that are told the noise level"),
        (lambda: Unrolled(OnImages(UNet()), method="hqs"), ValueError, "hqs takes networks that are told the noise"),
        (lambda: Unrolled(UNet(), norm=0), ValueError, "norm must be positive"),
        (lambda: Unrolled(nn.Flatten())(torch.ones(2, 4, 4), Physics(Identity((4, 4)))), ValueError, "network 0 took"),
        (lambda: Unrolled(DnCNN(3))(torch.ones(4, 4), Physics(Identity((4, 4)))), ValueError, "DnCNN of 3 channels"),
        (lambda: LearnedPrimalDual(memory=1), ValueError, "memory must be at least 2, got 1"),
        (lambda: LearnedPrimalDual(start="ones"), ValueError, "start"),
        (lambda: LearnedPrimalDual(dims=4), ValueError, "dims takes 1, 2 or 3"),
        (
            lambda: LearnedPrimalDual()(torch.ones(4), Physics(Matrix(torch.ones(4, 16), in_shape=(4, 4)))),
            ValueError,
            "takes data of at least 2 dimensions, got 1",
        ),
        (
            lambda: LearnedPrimalDual()(random(4, 4, dtype=torch.complex64), Physics(Identity((4, 4)))),
            TypeError,
            "was made for real data, got complex ones",
        ),
    ],
)
def test_mistakes_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
