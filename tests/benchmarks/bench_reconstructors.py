"""Reconstructors around networks beside deepinv's: run with ``python tests/benchmarks/bench_reconstructors.py``."""

import sys
import time
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[2]))

import invnet
import operators
from tests.benchmarks.harness import compare, environment
from tests.peers import deepinv


class Clock(nn.Module):
    """What it wraps, and the processor's seconds spent in it."""

    def __init__(self, function):
        super().__init__()
        self.function, self.seconds = function, 0.0

    def forward(self, *args):
        start = time.process_time()
        result = self.function(*args)
        self.seconds += time.process_time() - start
        return result


def plug_and_play_overhead(depth, size=256, iterations=100):
    """The share of a plug-and-play reconstruction that is neither denoiser nor operator, in processor time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that wait for one another would count, too
    blur = operators.Convolution(invnet.data.gaussian_kernel(9, 1.5), (size, size), padding="circular")
    physics = invnet.Physics(blur, noise=invnet.noise.Gaussian(0.02))
    y = physics(invnet.data.sample_image("camera", size=size), generator=torch.Generator().manual_seed(0))
    net = invnet.nets.DnCNN(depth=depth).eval()
    nn.init.zeros_(net.layers[-1].weight)  # untrained, it would amplify
    denoiser = Clock(invnet.nets.OnImages(net))
    gradient = Clock(physics.likelihood_gradient)
    physics.likelihood_gradient = gradient
    # What loads when it is first used is no part of an iteration.
    invnet.PlugAndPlay(denoiser, "pgd", max_iter=2, tol=0)(y, physics, return_info=True)
    denoiser.seconds = gradient.seconds = 0.0
    method = invnet.PlugAndPlay(denoiser, "pgd", max_iter=iterations, tol=0)
    start = time.process_time()
    method(y, physics, return_info=True)
    total = time.process_time() - start
    torch.set_num_threads(threads)
    share = 1 - (denoiser.seconds + gradient.seconds) / total
    print(f"PlugAndPlay, {iterations} iterations, DnCNN of {depth} layers, {size}x{size}, one thread: {total:.2f} s,")
    print(f"  of it outside denoiser and operator {100 * share:.1f} % (limit 3 %)\n")


def training_steps(batch=32, size=40):
    """A step of training for DnCNN of 17 layers and what is beside it, on the same data."""
    x = torch.rand(batch, 1, size, size)

    def step_of(net):
        optimizer = torch.optim.Adam(net.parameters())

        def step():
            optimizer.zero_grad()
            (net(x, 0.1) - x).square().mean().backward()
            optimizer.step()

        return step

    peers = deepinv().models
    nets = {
        "invnet DnCNN, 17 layers": invnet.nets.DnCNN(),
        "invnet DnCNN, without batch norm": invnet.nets.DnCNN(norm=None),
        "deepinv DnCNN, 17 layers (no norm)": peers.DnCNN(1, 1, depth=17, pretrained=None),
        "invnet DRUNet, widths 32 to 256": invnet.nets.DRUNet(widths=(32, 64, 128, 256)),
    }
    steps = {name: step_of(net) for name, net in nets.items()}
    compare(steps, "deepinv DnCNN, 17 layers (no norm)", f"training step, {batch}x{size}x{size}", rounds=5)


def denoising(size=256):
    """An image through the networks."""
    x = torch.rand(1, 1, size, size)
    peers = deepinv().models
    nets = {
        "invnet DnCNN, 17 layers": invnet.nets.DnCNN().eval(),
        "invnet DRUNet, widths 32 to 256": invnet.nets.DRUNet(widths=(32, 64, 128, 256)).eval(),
        "deepinv DnCNN, 17 layers (no norm)": peers.DnCNN(1, 1, depth=17, pretrained=None).eval(),
    }
    with torch.no_grad():
        calls = {name: (lambda net=net: net(x, 0.1)) for name, net in nets.items()}
        compare(calls, "deepinv DnCNN, 17 layers (no norm)", f"one image, {size}x{size}", rounds=5)


def main():
    """Print the tables."""
    print(environment())
    plug_and_play_overhead(depth=3)
    plug_and_play_overhead(depth=17, iterations=10)
    denoising()
    training_steps()


if __name__ == "__main__":
    main()
