"""Networks: the papers' sizes, other libraries' outputs with the same weights, and how they behave as modules."""

import copy

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from invnet.nets import EDSR, SRCNN, VDSR, DnCNN, DRUNet, Hourglass, OnImages, SRGANDiscriminator, SRResNet, UNet
from operators import Downsample
from tests.peers import deepinv


def random(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def count(net):
    return sum(p.numel() for p in net.parameters())


def shuffled(net, seed=0):
    """The network with weights and statistics drawn at random, so that no part of it is trivial."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in [*net.named_parameters(), *net.named_buffers()]:
            if name.endswith("running_var"):
                value.copy_(0.5 + torch.rand(value.shape, generator=generator))
            elif value.dtype.is_floating_point:
                value.add_(0.1 * torch.randn(value.shape, generator=generator))
    return net


def convolutions(net):
    return [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]


def copy_convolutions(source, target):
    """Copy convolutions in the order in which the networks list them; biases that are missing become zero."""
    with torch.no_grad():
        for a, b in zip(convolutions(source), convolutions(target), strict=True):
            b.weight.copy_(a.weight)
            if b.bias is not None:
                b.bias.copy_(torch.zeros_like(b.bias) if a.bias is None else a.bias)


# -------------------------------------------------------------------- sizes


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        # The authors' PyTorch code: https://github.com/cszn/DnCNN, "0.56M" and "0.67M".
        (lambda: DnCNN(), 2 * 576 + 64 + 15 * (36864 + 128)),
        (lambda: DnCNN(depth=20), 2 * 576 + 64 + 18 * (36864 + 128)),
        (lambda: DnCNN(bias_free=True), 2 * 576 + 15 * (36864 + 64)),
        # Counted by hand from Ronneberger's figure 1, and as widely reported for it.
        (lambda: UNet(norm=None), 31_030_593),
        (lambda: UNet(3, 1), 31_037_633),  # https://github.com/milesial/Pytorch-UNet
        (lambda: SRCNN(), 8_032 + 97),  # the paper's 8 032 weights (section 4.3.2), and biases
        (lambda: SRCNN(sizes=(9, 5, 5)), 57_184 + 97),
        (lambda: VDSR(), 664_704 + 19 * 64 + 1),
        (lambda: SRResNet(), 1_549_462),
        (lambda: EDSR(1), (9 + 1) * 48 + 17 * (48 * 9 + 1) * 48 + (48 * 9 + 1) * 4),
        (lambda: SRGANDiscriminator(), 23_565_505),
        (lambda: DRUNet(), 32_638_656),
        (lambda: DRUNet(3), 32_640_960),
        (lambda: DRUNet(widths=(32, 64, 128, 256)), 8_160_096),
        (lambda: Hourglass(), 2_217_831),  # as the authors' denoising notebook prints
    ],
)
def test_parameter_counts(net, expected):
    assert count(net()) == expected


def multiplications(net, size=128):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, 1, size, size), 0.1)
    return counter.get_total_flops() / 2 / size**2


def test_the_small_drunet_costs_no_more_than_dncnn():
    assert multiplications(DRUNet(widths=(32, 64, 128, 256))) < multiplications(DnCNN())


# -------------------------------------------------------------------- peers with the same weights


def test_dncnn_is_that_of_deepinv():
    peer = deepinv().models.DnCNN(1, 1, depth=5, nf=8, pretrained=None)
    shuffled(peer)
    net = DnCNN(depth=5, width=8, norm=None)
    ours = [m for m in net.layers if isinstance(m, nn.Conv2d)]
    theirs = [peer.in_conv, *peer.conv_list, peer.out_conv]
    with torch.no_grad():
        for a, b in zip(theirs, ours, strict=True):
            b.weight.copy_(a.weight)
            b.bias.copy_(a.bias)
        # Theirs adds what the last layer gives, ours takes it off as in the paper.
        ours[-1].weight.neg_()
        ours[-1].bias.neg_()
    x = random(2, 1, 9, 12)
    torch.testing.assert_close(net(x), peer(x), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_bias_free_normalisation_is_that_of_deepinv(training):
    from invnet.nets.base import BiasFreeBatchNorm

    deepinv()
    from deepinv.models.unet import BFBatchNorm2d

    ours, theirs = BiasFreeBatchNorm(3, eps=0), BFBatchNorm2d(3, eps=0)
    for norm in (ours, theirs):
        norm.train(training)
        with torch.no_grad():
            norm.weight.copy_(torch.tensor([1.0, 2.0, 3.0]))
            norm.running_var.copy_(torch.tensor([1.0, 0.5, 3.0]))
    x = random(4, 3, 5, 5)
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.running_var, theirs.running_var)


@pytest.mark.parametrize("residual", [True, False])
def test_unet_is_that_of_deepinv(residual):
    peer = shuffled(deepinv().models.UNet(1, 1, residual=residual, scales=4, channels_per_scale=[4, 8, 16, 32])).eval()
    net = UNet(width=4, depth=3, up="nearest", residual=residual).eval()
    order = [
        *(getattr(peer, f"Conv{k}") for k in (1, 2, 3, 4)),
        *(getattr(peer, f"Up{k}") for k in (4, 3, 2)),
        *(getattr(peer, f"Up_conv{k}") for k in (4, 3, 2)),
        peer.Conv_1x1,
    ]
    theirs = [m for part in order for m in part.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    ours = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    with torch.no_grad():
        for a, b in zip(theirs, ours, strict=True):
            if a.bias is not None and b.bias is None:  # a bias before a normalisation does what its shift does
                a.bias.zero_()
            b.load_state_dict({name: value for name, value in a.state_dict().items() if name in b.state_dict()})
    x = random(2, 1, 24, 32)
    torch.testing.assert_close(net(x), peer(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("sigma", [0.1, torch.tensor([0.1, 0.3])])
def test_drunet_is_that_of_deepinv(sigma):
    peer = deepinv().models.DRUNet(1, 1, nc=(4, 8, 12, 16), nb=2, pretrained=None)
    net = DRUNet(1, widths=(4, 8, 12, 16), blocks=2)
    order = [peer.m_head, *_encoder(peer), peer.m_body, *_decoder(peer), peer.m_tail]
    theirs = [m for part in order for m in part.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    with torch.no_grad():
        for a, b in zip(theirs, convolutions(net), strict=True):
            b.weight.copy_(a.weight)
    x = random(2, 1, 40, 48)
    torch.testing.assert_close(net(x, sigma), peer(x, sigma), atol=1e-6, rtol=1e-5)


def _encoder(peer):
    """The blocks of each scale, then the strided convolutions, as ours lists them."""
    downs = [peer.m_down1, peer.m_down2, peer.m_down3]
    return [*(down[:-1] for down in downs), *(down[-1:] for down in downs)]


def _decoder(peer):
    ups = [peer.m_up3, peer.m_up2, peer.m_up1]
    return [*(up[:1] for up in ups), *(up[1:] for up in ups)]


# -------------------------------------------------------------------- what follows from the architecture


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("noise_conditioned", [False, True])
def test_a_bias_free_network_scales_with_the_image(dims, noise_conditioned):
    net = shuffled(DnCNN(depth=4, width=8, dims=dims, bias_free=True, noise_conditioned=noise_conditioned)).eval()
    x = random(2, 1, *[9] * dims)
    torch.testing.assert_close(net(7 * x, 0.7), 7 * net(x, 0.1), rtol=1e-4, atol=1e-4)


def test_drunet_scales_with_image_and_noise_level():
    net = DRUNet(widths=(4, 8), blocks=1)
    x = random(1, 1, 9, 9)
    torch.testing.assert_close(net(5 * x, 0.5), 5 * net(x, 0.1), rtol=1e-4, atol=1e-5)


def test_a_residual_network_whose_last_layer_is_zero_is_the_identity():
    x = random(1, 1, 17, 23)
    nets = [DnCNN(depth=3, width=4), UNet(width=4, depth=2, residual=True), VDSR(depth=3, width=4)]
    nets += [DRUNet(widths=(4, 8), noise_conditioned=False, reduction=step, residual=True) for step in (1, 2)]
    lasts = [nets[0].layers[-1], nets[1].last, nets[2].layers[-1], nets[3].last, nets[4].last]
    for net, last in zip(nets, lasts, strict=True):
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        assert torch.equal(net(x), x)


def test_each_sample_has_its_noise_level():
    net = DnCNN(depth=3, width=4, noise_conditioned=True, norm=None)
    x = random(3, 1, 8, 8)
    sigmas = torch.tensor([0.1, 0.2, 0.5])
    together = net(x, sigmas)
    for k in range(3):
        torch.testing.assert_close(together[k : k + 1], net(x[k : k + 1], sigmas[k].item()))
    torch.testing.assert_close(together, net(x, sigmas[:, None, None, None]))  # a map of levels
    torch.testing.assert_close(together, net(x, sigmas[:, None, None, None].expand(3, 1, 8, 8)))


# -------------------------------------------------------------------- as modules

NETS = {
    "DnCNN": lambda dims: DnCNN(depth=3, width=4, dims=dims),
    "DnCNN bias-free": lambda dims: DnCNN(depth=3, width=4, dims=dims, bias_free=True, noise_conditioned=True),
    "UNet": lambda dims: UNet(width=4, depth=2, dims=dims, residual=True),
    "UNet linear": lambda dims: UNet(width=4, depth=2, dims=dims, up="linear", norm="instance"),
    "UNet group": lambda dims: UNet(width=4, depth=2, dims=dims, up="nearest", norm="group", noise_conditioned=True),
    "SRCNN": lambda dims: SRCNN(dims=dims, sizes=(5, 1, 3), widths=(4, 4)),
    "VDSR": lambda dims: VDSR(dims=dims, depth=3, width=4),
    "DRUNet": lambda dims: DRUNet(dims=dims, widths=(4, 8), blocks=1),
    "Hourglass": lambda dims: Hourglass(1, 1, dims=dims, width=4, skip=2, depth=2),
    "Hourglass without skips": lambda dims: Hourglass(1, 1, dims=dims, width=4, skip=0, depth=2, up="nearest"),
}


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("name", NETS)
def test_any_size_and_dimensions(name, dims):
    net = NETS[name](dims)
    assert net.dims == dims
    for size in [(8, 8, 8), (11, 6, 9), (3, 2, 5)]:
        x = random(2, 1, *size[:dims])
        result = net(x, 0.1)
        assert result.shape == x.shape
        assert torch.isfinite(result).all()


@pytest.mark.parametrize("name", [name for name in NETS if NETS[name](1).multiple > 1])
def test_sizes_that_do_not_fit_are_padded_by_the_edge(name):
    net = NETS[name](1).eval()
    x = random(1, 1, 15)
    padded = torch.cat([x, x[..., -1:]], -1)
    torch.testing.assert_close(net(x, 0.1), net(padded, 0.1)[..., :15])


@pytest.mark.parametrize("name", NETS)
def test_gradients_reach_every_parameter(name):
    net = NETS[name](2).double()
    x = random(2, 1, 9, 12, dtype=torch.float64).requires_grad_()
    net(x, 0.1).square().sum().backward()
    assert x.grad.abs().sum() > 0
    for parameter, value in net.named_parameters():
        assert value.grad is not None, parameter
        assert torch.isfinite(value.grad).all(), parameter


@pytest.mark.parametrize("name", NETS)
def test_gradients_are_right(name):
    net = NETS[name](1).double().eval()
    x = random(1, 1, 6, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: net(x, 0.1), x)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", NETS)
def test_precision_is_that_of_the_weights(name, dtype):
    net = NETS[name](2).to(dtype)
    assert net(random(1, 1, 8, 8).to(dtype), torch.tensor(0.1)).dtype == dtype


@pytest.mark.parametrize("name", NETS)
def test_compiles_and_exports(name):
    net = NETS[name](2).eval()
    x, sigma = random(1, 1, 9, 12), torch.tensor([0.1])
    expected = net(x, sigma)
    torch.compiler.reset()  # the networks share their `forward`, which is compiled for at most eight of them
    compiled = torch.compile(net, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, sigma), expected)
    exported = torch.export.export(net, (x, sigma), strict=False).module()
    torch.testing.assert_close(exported(x, sigma), expected)


@pytest.mark.parametrize("name", NETS)
def test_state_and_copies(name):
    net = shuffled(NETS[name](2)).eval()
    other = NETS[name](2).eval()
    other.load_state_dict(net.state_dict())
    x = random(1, 1, 8, 8)
    assert torch.equal(net(x, 0.1), other(x, 0.1))
    assert torch.equal(net(x, 0.1), copy.deepcopy(net)(x, 0.1))


def test_super_resolution_by_pixel_shuffling():
    x = random(2, 3, 5, 6)
    for scale in (1, 2, 4):
        assert SRResNet(scale=scale, blocks=1, width=4)(x).shape == (2, 3, 5 * scale, 6 * scale)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_edsr_begins_as_bicubic_interpolation(scale):
    x = random(2, 3, 12, 9)
    bicubic = Downsample((12 * scale, 9 * scale), scale).direct_inverse(x)
    net = EDSR(scale=scale, blocks=1, width=4)
    inner = (..., slice(2 * scale, -2 * scale), slice(2 * scale, -2 * scale))  # borders are continued otherwise
    torch.testing.assert_close(net(x)[inner], bicubic[inner], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(shuffled(net)(x)[inner], bicubic[inner], atol=1e-2)


def test_the_discriminator_takes_any_size():
    net = SRGANDiscriminator(1, width=2, dense=4)
    for size in [(96, 96), (50, 70)]:
        assert net(random(3, 1, *size)).shape == (3,)
    with pytest.raises(ValueError, match=r"SRGANDiscriminator: takes images of shape \(batch, 1, H, W\), got \(3, 2"):
        net(random(3, 2, 96, 96))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: DnCNN(depth=1), ValueError, "DnCNN: depth must be at least 2, got 1"),
        (lambda: DnCNN(dims=4), ValueError, "DnCNN: dims takes 1, 2 or 3, got 4"),
        (lambda: DnCNN(1, 2), ValueError, "residual network gives as many channels"),
        (lambda: DnCNN(bias_free=True, norm="group"), ValueError, "bias-free network takes the norm batch or None"),
        (lambda: DnCNN(norm="batches"), ValueError, "DnCNN: norm takes one of batch, instance, group"),
        (lambda: UNet(1, 3, residual=True), ValueError, "UNet: a residual network gives as many"),
        (lambda: UNet(up="shuffle"), ValueError, "UNet: up takes one of transpose, nearest, linear"),
        (lambda: UNet(width=0), ValueError, "UNet: width must be at least 1"),
        (lambda: SRCNN(sizes=(9, 2, 5)), ValueError, "SRCNN: sizes takes odd numbers"),
        (lambda: SRResNet(scale=3), ValueError, "SRResNet: scale takes a power of two, got 3"),
        (lambda: EDSR(scale=0), ValueError, "EDSR: scale must be at least 1, got 0"),
        (lambda: EDSR(blocks=0), ValueError, "EDSR: blocks must be at least 1, got 0"),
        (lambda: DRUNet(widths=()), ValueError, "DRUNet: widths takes at least one entry"),
        (lambda: VDSR(depth=1), ValueError, "VDSR: depth must be at least 2"),
        (
            lambda: DnCNN()(torch.zeros(8, 8)),
            ValueError,
            r"DnCNN: takes images of shape \(batch, 1, H, W\), got \(8, 8\)",
        ),
        (lambda: DnCNN(3)(torch.zeros(2, 1, 8, 8)), ValueError, r"shape \(batch, 3, H, W\), got \(2, 1, 8, 8\)"),
        (lambda: DnCNN()(torch.zeros(1, 1, 8, 8, dtype=torch.complex64)), TypeError, "real floating-point tensor"),
        (
            lambda: DRUNet()(torch.zeros(1, 1, 8, 8)),
            TypeError,
            r"DRUNet: is noise-conditioned, call it as net\(x, sigma",
        ),
        (lambda: DRUNet()(torch.zeros(1, 1, 8, 8), -0.1), ValueError, "sigma must be finite and at least 0, got -0.1"),
        (lambda: DRUNet()(torch.zeros(2, 1, 8, 8), torch.ones(3)), ValueError, r"DRUNet: takes sigma as a number"),
    ],
)
def test_mistakes_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


# -------------------------------------------------------------------- the door


class Affine(nn.Module):
    """Knows what it got: returns ``2 x + sigma``, and remembers the shape."""

    def __init__(self, channels=1, dims=2):
        super().__init__()
        self.in_channels, self.dims = channels, dims

    def forward(self, x, sigma=None):
        self.shape, self.sigma = tuple(x.shape), sigma
        if isinstance(sigma, torch.Tensor) and sigma.ndim:
            sigma = sigma.reshape(-1, *(1 for _ in x.shape[1:]))
        return 2 * x + (0 if sigma is None else sigma)


@pytest.mark.parametrize("batch", [(), (2,), (2, 3), (0,)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64])
def test_images_of_any_batch_real_or_complex(batch, dtype):
    x = random(*batch, 4, 5, dtype=dtype)
    net = Affine()
    result = OnImages(net)(x)
    assert result.dtype == dtype
    torch.testing.assert_close(result, 2 * x)
    number = x.numel() // 20 * (2 if dtype.is_complex else 1)
    assert net.shape == (number, 1, 4, 5)  # an odd number of channels: the parts go apart


def test_channels_come_from_the_dimension_before_space():
    net = Affine(3)
    x = random(2, 6, 3, 4, 5)
    torch.testing.assert_close(OnImages(net)(x), 2 * x)
    assert net.shape == (12, 3, 4, 5)
    with pytest.raises(ValueError, match=r"of 3 channels takes real images of shape \(..., 3, H, W\), got \(2, 4, 5\)"):
        OnImages(net)(x[0, :2, 0])


def test_complex_parts_are_pairs_of_channels():
    class Conjugate(nn.Module):
        in_channels, dims = 4, 1

        def forward(self, x):
            return x * torch.tensor([1.0, -1.0, 1.0, -1.0])[:, None]

    x = random(3, 2, 7, dtype=torch.complex64)
    assert torch.equal(OnImages(Conjugate())(x), x.conj().resolve_conj())
    net = Affine(2)
    OnImages(net)(random(3, 4, 5, dtype=torch.complex64))
    assert net.shape == (3, 2, 4, 5)
    OnImages(net, complex_as="images")(random(3, 2, 4, 5, dtype=torch.complex64))
    assert net.shape == (6, 2, 4, 5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_noise_levels_of_the_batch(dtype):
    x, net = random(2, 3, 4, 5, dtype=dtype), Affine()
    shift = 1 + 1j if dtype.is_complex else 1
    torch.testing.assert_close(OnImages(net)(x, 0.5), 2 * x + 0.5 * shift)
    assert net.sigma == 0.5
    each = torch.rand(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(OnImages(net)(x, each), 2 * x + each[..., None, None] * shift)
    first = each[:, 0]
    torch.testing.assert_close(OnImages(net)(x, first), 2 * x + first[:, None, None, None] * shift)
    with pytest.raises(ValueError, match=r"sigma has the shape of the batch \(2, 3\) or of its first dim"):
        OnImages(net)(x, torch.ones(3))


def test_the_scale_of_images_is_that_of_the_network():
    x = random(2, 4, 5)
    torch.testing.assert_close(OnImages(Affine(), scale=10.0)(x, 0.5), 2 * x + 0.5)
    net = Affine()
    OnImages(net, scale=10.0)(x, 0.5)
    assert net.sigma == 0.05


def test_the_network_computes_in_its_precision():
    net = DnCNN(depth=2, width=2)
    x = random(3, 8, 8, dtype=torch.float64)
    result = OnImages(net)(x)
    assert result.dtype == torch.float64
    torch.testing.assert_close(result[:, None].float(), net(x[:, None].float()))


def test_colour_to_grey_and_back():
    x = random(2, 3, 8, 8)
    assert OnImages(DnCNN(3, 1, depth=2, width=2, residual=False))(x).shape == (2, 8, 8)
    assert OnImages(DnCNN(1, 3, depth=2, width=2, residual=False))(x).shape == (2, 3, 3, 8, 8)


def test_networks_from_elsewhere():
    peer = deepinv().models.DnCNN(1, 1, depth=3, pretrained=None)
    x = random(2, 3, 8, 8)
    expected = peer(x.reshape(6, 1, 8, 8), 0.1).reshape(2, 3, 8, 8)
    torch.testing.assert_close(OnImages(peer, channels=1, dims=2)(x, 0.1), expected)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: OnImages(3), TypeError, "takes a network or another callable, got int"),
        (lambda: OnImages(nn.Identity()), TypeError, "Identity has no in_channels, so channels must be given"),
        (lambda: OnImages(Affine(3), complex_as="channels"), ValueError, "takes an even number of them, got 3"),
        (lambda: OnImages(Affine(), scale=0), ValueError, "scale must be positive, got 0"),
        (
            lambda: OnImages(Affine())(torch.zeros(4)),
            ValueError,
            r"takes real images of shape \(..., H, W\), got \(4,\)",
        ),
        (lambda: OnImages(nn.Flatten(), 1, 2)(torch.zeros(4, 4)), ValueError, r"Flatten took .* but gave \(1, 16\)"),
        (lambda: OnImages(Affine())(torch.zeros(4, 4, dtype=torch.int32)), TypeError, "floating-point or complex"),
    ],
)
def test_mistakes_at_the_door(call, error, words):
    with pytest.raises(error, match=words):
        call()
