"""Every shipped network goes through `torch.export` and ONNX, for any batch and size that it takes as they are."""

import functools

import pytest
import torch
from torch.export import Dim, export

import invnet
from invnet.nets import EDSR, SRCNN, VAE, VDSR, DnCNN, DRUNet, Hourglass, SRGANDiscriminator, SRResNet, UNet

NETS = {
    "DnCNN": lambda: DnCNN(depth=3, width=4),
    "DnCNN with a noise level": lambda: DnCNN(depth=3, width=4, noise_conditioned=True, bias_free=True),
    "DRUNet": lambda: DRUNet(widths=(4, 8), blocks=1),
    "UNet": lambda: UNet(width=4, depth=1, residual=True),
    "UNet by interpolation": lambda: UNet(width=4, depth=1, up="linear", norm="group"),
    "SRCNN": lambda: SRCNN(sizes=(5, 1, 3), widths=(8, 4)),
    "VAE": lambda: VAE(latent=2, width=4, depth=1),
    "VDSR": lambda: VDSR(depth=3, width=4),
    "EDSR": lambda: EDSR(1, scale=2, blocks=1, width=4),
    "SRResNet": lambda: SRResNet(1, scale=2, blocks=1, width=4),
    "SRGANDiscriminator": lambda: SRGANDiscriminator(1, width=2, dense=4),
    "Hourglass": lambda: Hourglass(2, 1, width=4, depth=1),
}
NO_NETWORKS = {"OnImages"}


def test_every_network_is_here():
    assert {name.partition(" ")[0] for name in NETS} == set(invnet.nets.__all__) - NO_NETWORKS


def built(name):
    torch.manual_seed(0)
    net = NETS[name]().eval()
    for module in net.modules():  # batch normalisation that does something
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2.0)
    return net


def arguments(net, batch, height, width):
    generator = torch.Generator().manual_seed(batch)
    x = torch.rand(batch, net.in_channels, height, width, generator=generator)
    levels = 0.1 + 0.1 * torch.rand(batch, generator=generator)
    return (x, levels) if getattr(net, "noise_conditioned", False) else (x,)


@functools.cache
def program(name):
    """The network for any batch; and for any size, or any multiple of what its scales divide."""
    net = built(name)
    multiple = 2**net.depth if isinstance(net, VAE) else getattr(net, "multiple", 1)
    h, w = (Dim(name, min=32 // multiple, max=4096 // multiple) for name in ("h", "w"))
    image = {0: Dim("batch", max=4096), 2: multiple * h, 3: multiple * w}
    if isinstance(net, SRGANDiscriminator):  # its features are averaged to a fixed size
        image = {0: image[0]}
    args = arguments(net, 2, 32, 48)
    return export(net, args, dynamic_shapes=(image, {0: image[0]})[: len(args)])


@pytest.mark.parametrize("name", NETS)
def test_torch_export(name):
    net = built(name)
    exported = program(name).module()
    size = (32, 48) if name == "SRGANDiscriminator" else (40, 36)
    for batch in (1, 3):
        args = arguments(net, batch, *size)
        with torch.no_grad():
            torch.testing.assert_close(exported(*args), net(*args), atol=1e-6, rtol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")  # of ONNX's
@pytest.mark.parametrize("name", NETS)
def test_onnx_in_onnxruntime(name, tmp_path):
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    net, path = built(name), tmp_path / "net.onnx"
    torch.onnx.export(program(name), f=path, verbose=False)
    onnx.checker.check_model(onnx.load(path))
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    size = (32, 48) if name == "SRGANDiscriminator" else (40, 36)
    for batch in (1, 3):
        args = arguments(net, batch, *size)
        names = [given.name for given in session.get_inputs()]
        (got,) = session.run(None, {n: a.numpy() for n, a in zip(names, args, strict=True)})
        with torch.no_grad():
            torch.testing.assert_close(torch.from_numpy(got), net(*args), atol=1e-5, rtol=1e-5)


def test_a_size_that_scales_do_not_divide_is_exported_as_it_is():
    """Sizes that are padded are fixed in the exported program: a network pads by what it finds."""
    net = built("UNet")
    args = arguments(net, 2, 33, 30)
    with torch.no_grad():
        torch.testing.assert_close(export(net, args).module()(*args), net(*args))
