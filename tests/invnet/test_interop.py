"""deepinv on our physics, and its physics and denoisers with us, against deepinv's own and dense linear algebra."""

import sys

import pytest
import torch

import invnet
import operators
from invnet.interop import denoiser_from_deepinv, from_deepinv, to_deepinv
from operators.testing import adjoint_error, check_operator
from tests.peers import deepinv

dinv = deepinv()
P = dinv.physics


def random(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def uniform(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


KERNEL = uniform(3, 3, seed=1) / 4.5
MASK = uniform(12, 10, seed=2) < 0.5
MAPS = random(3, 12, 10, seed=3, dtype=torch.complex64)


def blur(noise=None, size=(16, 16)):
    """Ours; deepinv's blur is a convolution, too."""
    return invnet.Physics(operators.Convolution(KERNEL, size, padding="circular"), noise)


def their_blur(noise=None):
    return P.Blur(KERNEL[None, None], padding="circular", noise_model=noise or P.ZeroNoise())


def mri(noise=None):
    return invnet.Physics(operators.CartesianMRI(MASK, MAPS), noise)


def their_mri(noise=None):
    mask = MASK.float()
    return P.MultiCoilMRI(mask=mask, coil_maps=MAPS[None], img_size=(2, 12, 10), noise_model=noise or P.ZeroNoise())


PAIRS = [
    pytest.param(blur, their_blur, (2, 1, 16, 16), id="blur"),
    pytest.param(mri, their_mri, (2, 2, 12, 10), id="MRI"),
]


# -------------------------------------------------------------------- our physics as deepinv's


@pytest.mark.parametrize(("ours", "theirs", "shape"), PAIRS)
def test_is_deepinvs_own_physics(ours, theirs, shape):
    mine, peer, x = to_deepinv(ours()), theirs(), random(*shape)
    assert isinstance(mine, P.LinearPhysics)
    y = peer.A(x)
    torch.testing.assert_close(mine.A(x), y)
    torch.testing.assert_close(mine(x), y)
    torch.testing.assert_close(mine.A_adjoint(y), peer.A_adjoint(y))
    torch.testing.assert_close(mine.A_adjoint_A(x), peer.A_adjoint(y))
    torch.testing.assert_close(mine.A_A_adjoint(y), peer.A(peer.A_adjoint(y)))
    assert mine.adjointness_test(x) < 1e-5
    assert mine.compute_sqnorm(x[:1], max_iter=3000, tol=1e-7, verbose=False).item() == pytest.approx(
        ours().operator.norm().item() ** 2, rel=0.01
    )


@pytest.mark.parametrize(("ours", "theirs", "shape"), PAIRS)
def test_proximal_map_and_pseudo_inverse(ours, theirs, shape):
    mine, peer, z = to_deepinv(ours()), theirs(), random(*shape)
    y = peer.A(random(*shape, seed=5))
    exact = {"solver": "CG", "max_iter": 300, "tol": 1e-6}
    torch.testing.assert_close(mine.prox_l2(z, y, 0.7), peer.prox_l2(z, y, 0.7, **exact), atol=1e-4, rtol=1e-3)
    gamma = torch.tensor([0.3, 2.0])
    each = torch.cat([peer.prox_l2(z[i : i + 1], y[i : i + 1], float(gamma[i]), **exact) for i in range(2)])
    torch.testing.assert_close(mine.prox_l2(z, y, gamma), each, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(mine.prox_l2(z, y, gamma.reshape(2, 1, 1, 1)), each, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(mine.prox_l2(0.0, y, 0.7), mine.prox_l2(torch.zeros_like(z), y, 0.7))
    torch.testing.assert_close(mine.prox_l2(None, y, 0.7), mine.prox_l2(torch.zeros_like(z), y, 0.7))
    back = mine.A(mine.A_dagger(y))
    torch.testing.assert_close(back, y, atol=1e-3, rtol=1e-3)


def test_gradients_of_prox_and_dagger():
    kernel = torch.nn.Parameter(KERNEL.double())
    A = operators.Convolution(kernel, (4, 5), padding="circular")
    physics = to_deepinv(invnet.Physics(A))
    z, y = (random(2, 1, 4, 5, seed=i, dtype=torch.float64).requires_grad_() for i in range(2))
    gamma = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(physics.prox_l2, (z, y, gamma))
    assert torch.autograd.gradcheck(physics.A_adjoint, (y,))
    loss = physics.prox_l2(z, y, gamma).square().sum()
    assert torch.autograd.grad(loss, kernel)[0].abs().sum() > 0
    assert [name for name, _ in physics.named_parameters()] == ["operator.kernel"]


def test_an_operator_of_colours_and_one_of_planes():
    x = random(2, 3, 8, 8)
    per_plane = to_deepinv(invnet.Physics(operators.Subsample((8, 8), 2)))
    assert per_plane.A(x).shape == (2, 3, 4, 4)
    together = to_deepinv(invnet.Physics(operators.Grayscale((3, 8, 8))))
    assert (together.A(x).shape, together.img_size) == ((2, 8, 8), (3, 8, 8))
    assert together.A_adjoint(together.A(x)).shape == x.shape


def test_real_images_of_complex_data():
    A = operators.FourierTransform((6, 5)) @ operators.RealToComplex((6, 5))
    physics = to_deepinv(invnet.Physics(A))
    x = random(2, 1, 6, 5)
    y = physics.A(x)
    assert y.shape == (2, 2, 1, 6, 5)
    assert physics.adjointness_test(x) < 1e-5
    torch.testing.assert_close(physics.A_dagger(y), x)


def test_moves_and_copies():
    physics = to_deepinv(blur(invnet.noise.Gaussian(0.1)), rng=torch.Generator().manual_seed(0))
    x = random(1, 1, 16, 16)
    copied = physics.clone()
    torch.testing.assert_close(copied(x), physics(x))
    assert physics.to("meta").A(x.to("meta")).device.type == "meta"


@pytest.mark.parametrize("kind", ["PGD", "HQS", "ADMM", "FISTA"])
@pytest.mark.parametrize(("ours", "theirs", "shape"), PAIRS)
def test_optimisers_find_what_they_find_on_deepinvs_physics(kind, ours, theirs, shape):
    y = theirs().A(random(*shape))
    images = []
    for physics in (to_deepinv(ours()), theirs()):
        model = getattr(dinv.optim, kind)(
            data_fidelity=dinv.optim.L2(), prior=dinv.optim.L1Prior(), lambda_reg=0.05, stepsize=0.02, max_iter=12
        )
        images.append(model(y, physics))
    torch.testing.assert_close(*images, atol=2e-3, rtol=1e-2)


def test_plug_and_play_and_diffusion_posterior_sampling_run():
    torch.manual_seed(0)
    physics = to_deepinv(blur(invnet.noise.Gaussian(0.05)))
    x = uniform(1, 1, 16, 16)
    y = physics(x)
    prior = dinv.optim.PnP(dinv.models.TVDenoiser(n_it_max=20))
    model = dinv.optim.PGD(data_fidelity=dinv.optim.L2(), prior=prior, stepsize=0.5, sigma_denoiser=0.02, max_iter=30)
    assert (model(y, physics) - x).norm() < (y - x).norm()
    denoiser = dinv.models.DRUNet(1, 1, nc=[8, 8, 8, 8], nb=1, pretrained=None)
    sample = dinv.sampling.DPS(denoiser, num_steps=3)(y, physics)
    assert sample.shape == x.shape
    assert torch.isfinite(sample).all()


def test_our_networks_are_denoisers_for_deepinv():
    torch.manual_seed(0)
    net = invnet.nets.DRUNet(widths=(8, 16), blocks=1).eval()
    prior = dinv.optim.PnP(net)
    model = dinv.optim.HQS(data_fidelity=dinv.optim.L2(), prior=prior, stepsize=0.5, sigma_denoiser=0.1, max_iter=2)
    with torch.no_grad():
        assert model(uniform(2, 1, 16, 16), to_deepinv(blur())).shape == (2, 1, 16, 16)


@pytest.mark.parametrize("name", ["sup", "mc", "sure", "r2r", "ei", "splitting"])
@pytest.mark.filterwarnings(
    "ignore:Mask generator not defined:UserWarning", "ignore:At least one input physics:UserWarning"
)
def test_losses(name):
    torch.manual_seed(0)
    physics = to_deepinv(blur(invnet.noise.Gaussian(0.1)))
    net = dinv.models.ArtifactRemoval(dinv.models.DnCNN(1, 1, depth=3, nf=8, pretrained=None))
    x = uniform(2, 1, 16, 16)
    y = physics(x)
    loss = {
        "sup": dinv.loss.SupLoss(),
        "mc": dinv.loss.MCLoss(),
        "sure": dinv.loss.SureGaussianLoss(sigma=0.1),
        "r2r": dinv.loss.R2RLoss(),
        "ei": dinv.loss.EILoss(dinv.transform.Shift()),
        "splitting": dinv.loss.SplittingLoss(split_ratio=0.6),
    }[name]
    model = loss.adapt_model(net)
    model.train()
    draws = {"update_parameters": True} if name in ("r2r", "splitting") else {}
    value = loss(x_net=model(y, physics, **draws), x=x, y=y, physics=physics, model=model).mean()
    value.backward()
    assert torch.isfinite(value)
    assert sum(float(p.grad.abs().sum()) for p in net.parameters() if p.grad is not None) > 0


def test_the_trainer_trains_through_our_operator(tmp_path):
    torch.manual_seed(0)
    physics = to_deepinv(blur(invnet.noise.Gaussian(0.02)))
    images = torch.nn.functional.interpolate(uniform(16, 1, 4, 4), 16)
    y = physics(images).detach()
    pairs = [{"x": x, "y": data} for x, data in zip(images, y, strict=True)]
    net = dinv.models.ArtifactRemoval(dinv.models.UNet(1, 1, scales=2, batch_norm=False))
    trainer = dinv.Trainer(
        model=net,
        physics=physics,
        optimizer=torch.optim.Adam(net.parameters(), 3e-3),
        train_dataloader=torch.utils.data.DataLoader(pairs, batch_size=8),
        epochs=15,
        losses=dinv.loss.SupLoss(),
        save_path=tmp_path,
        device="cpu",
        verbose=False,
        show_progress_bar=False,
        non_blocking_transfers=False,
    )
    before = (net(y, physics) - images).square().mean().item()
    trainer.train()
    after = (net(y, physics) - images).square().mean().item()
    assert after < 0.8 * before


# -------------------------------------------------------------------- noise, both ways

NOISES = [
    (invnet.noise.Gaussian(0.3), lambda: P.GaussianNoise(0.3)),
    (invnet.noise.Poisson(0.2), lambda: P.PoissonNoise(0.2)),
    (invnet.noise.PoissonGaussian(0.2, 0.1), lambda: P.PoissonGaussianNoise(0.2, 0.1)),
    (invnet.noise.Uniform(0.6), lambda: P.UniformNoise(0.3)),
    (invnet.noise.SaltAndPepper(0.4), lambda: P.SaltPepperNoise(0.2, 0.2)),
]


@pytest.mark.parametrize(("ours", "theirs"), NOISES)
def test_noise_is_translated_both_ways(ours, theirs):
    A = operators.Identity((200, 200))
    mine = to_deepinv(invnet.Physics(A, ours), rng=torch.Generator().manual_seed(0))
    assert type(mine.noise_model) is type(theirs())
    got, expected = dict(mine.noise_model.named_buffers()), dict(theirs().named_buffers())
    for name in set(expected) - {"initial_random_state"}:
        torch.testing.assert_close(got[name], expected[name])
    back = from_deepinv(P.Denoising(noise_model=theirs()), img_size=(1, 200, 200))
    assert repr(back.noise) == repr(ours).replace("0.6)", f"{2 * torch.tensor(0.3).item():g})")
    # Draws of both have the same mean and spread (to four standard errors of 40 000 entries).
    x = torch.full((1, 1, 200, 200), 0.7)
    a = mine(x)
    b = back(x[0], generator=torch.Generator().manual_seed(1))
    assert a.mean().item() == pytest.approx(b.mean().item(), abs=4 * 0.5 / 200)
    assert a.std().item() == pytest.approx(b.std().item(), rel=0.05)


def test_noise_levels_of_each_sample():
    sigma = torch.tensor([0.1, 2.0])
    mine = to_deepinv(invnet.Physics(operators.Identity((50, 50)), invnet.noise.Gaussian(sigma.reshape(2, 1, 1, 1))))
    torch.testing.assert_close(mine.noise_model.sigma, sigma)
    assert mine(torch.zeros(2, 1, 50, 50)).std((1, 2, 3)).tolist() == pytest.approx([0.1, 2.0], rel=0.1)
    back = from_deepinv(P.Denoising(noise_model=P.GaussianNoise(sigma)), img_size=(1, 50, 50))
    assert back.noise.sigma.shape == (2, 1, 1, 1)


def test_counts_that_are_not_normalized():
    physics = from_deepinv(P.Denoising(noise_model=P.PoissonNoise(0.1, normalize=False)), img_size=(1, 60, 60))
    y = physics(torch.full((1, 60, 60), 0.5), generator=torch.Generator().manual_seed(0))
    assert y.mean().item() == pytest.approx(5.0, rel=0.05)
    assert torch.equal(y, y.round())


# -------------------------------------------------------------------- deepinv's physics as ours


def theirs(kind):
    generator = torch.Generator().manual_seed(0)
    kernel = uniform(1, 1, 3, 3)
    return {
        "Blur": lambda: (P.Blur(kernel, padding="valid"), (2, 5, 6)),
        "BlurFFT": lambda: (P.BlurFFT((1, 6, 6), kernel), None),
        "Inpainting": lambda: (P.Inpainting((1, 4, 5), mask=0.5, rng=generator), None),
        "Downsampling": lambda: (P.Downsampling((1, 8, 8), factor=2, filter="bicubic"), (1, 8, 8)),
        "Decolorize": lambda: (P.Decolorize(), (3, 4, 4)),
        "SinglePixelCamera": lambda: (P.SinglePixelCamera(m=5, img_size=(1, 4, 4)), None),
        "MRI": lambda: (P.MRI(mask=MASK[:5, :6].float(), img_size=(2, 5, 6)), None),
        "MultiCoilMRI": lambda: (
            P.MultiCoilMRI(mask=MASK[:5, :6].float(), coil_maps=MAPS[None, :, :5, :6], img_size=(2, 5, 6)),
            None,
        ),
        "ours": lambda: (to_deepinv(invnet.Physics(operators.Subsample((4, 6), 2))), None),
    }[kind]()


KINDS = [
    "Blur", "BlurFFT", "Inpainting", "Downsampling", "Decolorize", "SinglePixelCamera", "MRI", "MultiCoilMRI", "ours",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_deepinvs_physics_keep_the_promises_of_our_operators(kind):
    check_operator(from_deepinv(*theirs(kind)).operator)


@pytest.mark.parametrize("kind", KINDS[:6])
def test_is_deepinvs_map(kind):
    physics, size = theirs(kind)
    A = from_deepinv(physics, size).operator
    x = random(3, *A.in_shape)
    torch.testing.assert_close(A(x), physics.A(x))
    torch.testing.assert_close(A.adjoint(physics.A(x)), physics.A_adjoint(physics.A(x)))
    torch.testing.assert_close(A(x[0]), physics.A(x)[0])


def test_channels_of_mri_become_complex_numbers():
    A = from_deepinv(their_mri()).operator
    assert (A.in_shape, A.out_shape) == ((12, 10), (3, 12, 10))
    x = random(2, 12, 10, dtype=torch.complex64)
    torch.testing.assert_close(A(x), mri().operator(x))
    y = random(2, 3, 12, 10, dtype=torch.complex64)
    torch.testing.assert_close(A.adjoint(y), mri().operator.adjoint(y))


@pytest.mark.parametrize(
    "make", [lambda: P.Tomography(angles=6, img_width=8, normalize=False), lambda: P.CompressedSensing(5, (1, 8, 8))]
)
def test_physics_that_fix_their_precision_compute_in_it(make):
    physics = make()
    A = from_deepinv(physics, (1, 8, 8)).operator
    x = random(2, 1, 8, 8)
    torch.testing.assert_close(A(x), physics.A(x))
    torch.testing.assert_close(A(x.double()).float(), A(x))
    assert A(x.double()).dtype == torch.float64
    assert adjoint_error(A) < 1e-6
    torch.testing.assert_close(A.double()(x), physics.A(x))


def test_our_reconstructors_on_deepinvs_physics():
    torch.manual_seed(0)
    measured, ours = their_blur(P.GaussianNoise(0.05)), blur(invnet.noise.Gaussian(0.05))
    physics = from_deepinv(measured, img_size=(1, 16, 16))
    y = measured(uniform(1, 1, 16, 16))[0]
    tikhonov = invnet.MAP(invnet.priors.Tikhonov(), strength=30.0)
    torch.testing.assert_close(tikhonov(y, physics)[0], tikhonov(y[0], ours), atol=1e-4, rtol=1e-3)
    tv = invnet.MAP(invnet.priors.TotalVariation(), strength=2.0, max_iter=2000)
    torch.testing.assert_close(tv(y, physics)[0], tv(y[0], ours), atol=2e-2, rtol=0)


def test_gradients_reach_deepinvs_parameters():
    physics = their_blur()
    physics.filter = KERNEL[None, None].clone().requires_grad_()
    A = from_deepinv(physics, img_size=(1, 16, 16)).operator
    x = random(2, 1, 16, 16)
    (g,) = torch.autograd.grad(A(x).square().sum(), A.physics.filter)
    direct = KERNEL[None, None].clone().requires_grad_()
    (expected,) = torch.autograd.grad(their_blur().A(x, filter=direct).square().sum(), direct)
    torch.testing.assert_close(g, expected)


def test_an_adjoint_that_is_none_is_replaced():
    class Wrong(P.LinearPhysics):
        def A(self, x, **kwargs):  # noqa: N802 (deepinv's names)
            return x.roll(1, -1)

        def A_adjoint(self, y, **kwargs):  # noqa: N802
            return y  # not rolled back

    A = from_deepinv(Wrong(), img_size=(1, 4, 4)).operator
    assert not A.foreign.has_exact_adjoint
    assert adjoint_error(A) < 1e-6


def test_a_sensor_without_noise():
    physics = their_blur()
    physics.sensor_model = lambda y: y.clamp(0, 0.5)
    ours = from_deepinv(physics, img_size=(1, 16, 16))
    x = uniform(1, 16, 16)
    torch.testing.assert_close(ours(x), physics(x[None])[0])
    there = to_deepinv(invnet.Physics(blur().operator, sensor=invnet.sensor.Saturation(0.0, 0.5)))
    torch.testing.assert_close(there(x[None])[0], ours(x))


# -------------------------------------------------------------------- denoisers


def test_deepinvs_denoiser_in_plug_and_play():
    torch.manual_seed(0)
    physics = blur(invnet.noise.Gaussian(0.05), (24, 24))
    x = torch.zeros(2, 24, 24)
    x[:, 6:16, 8:20] = 1.0
    y = physics(x, generator=torch.Generator().manual_seed(0))
    denoiser = denoiser_from_deepinv(dinv.models.TVDenoiser(n_it_max=50), channels=1)
    image = invnet.PlugAndPlay(denoiser, sigma=0.05)(y, physics)
    assert (image - x).norm() < 0.6 * (y - x).norm()


def test_deepinvs_networks_on_complex_images():
    torch.manual_seed(0)
    net = dinv.models.DRUNet(2, 2, nc=[8, 8, 8, 8], nb=1, pretrained=None)
    denoiser = denoiser_from_deepinv(net, channels=2)
    x = random(3, 16, 16, dtype=torch.complex64)
    sigma = torch.tensor([0.1, 0.2, 0.3])
    with torch.no_grad():
        got = denoiser(x, sigma)
        expected = net(torch.stack([x.real, x.imag], 1), sigma)
    torch.testing.assert_close(got, torch.complex(*expected.unbind(1)))


# -------------------------------------------------------------------- what is refused


def test_to_deepinv_refuses_in_words():
    with pytest.raises(TypeError, match=r"to_deepinv: takes an invnet\.Physics, got Identity"):
        to_deepinv(operators.Identity(3))
    both = invnet.Physics(operators.Identity((3, 3)), invnet.noise.Gaussian(0.1), invnet.sensor.Saturation())
    with pytest.raises(ValueError, match="deepinv has the sensor after the noise"):
        to_deepinv(both)
    for noise in (invnet.noise.SaltAndPepper(0.1, low=-1.0), invnet.noise.Gaussian(torch.ones(4, 4))):
        with pytest.raises(ValueError, match="to_deepinv: deepinv"):
            to_deepinv(invnet.Physics(operators.Identity((4, 4)), noise))
    with pytest.raises(
        ValueError, match=r"takes complex numbers as two channels \(B, 2, ...\), got shape \(1, 1, 12, 10\)"
    ):
        to_deepinv(mri()).A(torch.ones(1, 1, 12, 10))
    with pytest.raises(ValueError, match="Convolution: takes an input of shape"):
        to_deepinv(blur()).A(torch.ones(1, 1, 8, 8))


@pytest.mark.parametrize("function", [to_deepinv, from_deepinv])
def test_a_missing_deepinv_is_named_with_the_command(monkeypatch, function):
    sys.modules["invnet.interop.to_deepinv"]._physics_class.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "deepinv"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "deepinv", None)
    with pytest.raises(ImportError, match=r'deepinv is needed here .* try: pip install "invnet\[deepinv\]"'):
        function(invnet.Physics(operators.Identity(3)))


def test_from_deepinv_refuses_in_words():
    with pytest.raises(TypeError, match=r"from_deepinv: takes a deepinv\.physics\.LinearPhysics, got Identity"):
        from_deepinv(operators.Identity(3))
    with pytest.raises(TypeError, match="from_deepinv: PhaseRetrieval is not linear"):
        from_deepinv(P.PhaseRetrieval(B=P.Denoising()), img_size=(1, 4, 4))
    with pytest.raises(ValueError, match="a stacked physics measures lists of tensors"):
        from_deepinv(P.stack(P.Denoising(), their_blur()), img_size=(1, 8, 8))
    with pytest.raises(ValueError, match=r"Blur does not know its images' size; img_size=\(C, H, W\)"):
        from_deepinv(their_blur())
    with pytest.raises(ValueError, match=r"does not take an image of the size \(3, 4, 4\)"):
        from_deepinv(P.CompressedSensing(5, (1, 8, 8)), img_size=(3, 4, 4))
    with pytest.raises(ValueError, match="there is no noise here such as GammaNoise"):
        from_deepinv(P.Denoising(noise_model=P.GammaNoise(1.0)), img_size=(1, 4, 4))
    saturated = their_blur(P.GaussianNoise(0.1))
    saturated.sensor_model = lambda y: y.clamp(0, 1)
    with pytest.raises(ValueError, match="this physics has one after it"):
        from_deepinv(saturated, img_size=(1, 8, 8))
    A = from_deepinv(their_blur(), img_size=(1, 8, 8)).operator
    with pytest.raises(ValueError, match=r"from_deepinv\[Blur\]: takes a tensor on its device cpu, got meta"):
        A(torch.ones(1, 8, 8, device="meta"))
    with pytest.raises(TypeError, match=r"denoiser_from_deepinv: takes a deepinv\.models\.Denoiser"):
        denoiser_from_deepinv(torch.nn.Identity(), channels=1)
