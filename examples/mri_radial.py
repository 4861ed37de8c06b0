"""
Radial MRI of an object that changes
====================================

Every frame takes a few spokes at golden angles, far too few for an image. The signal of every pixel decays, each at a
rate of its own, and all such decays are nearly mixtures of three. So the images of all frames are three coefficient
images times a small matrix, and that is written as it is said: ``block_diag(frames) @ ChannelMix(decays, ...)``. Run it
by ``python examples/mri_radial.py --out radial.png``; it needs the extra "mri".
"""

import argparse
import time

import torch

import invnet
import operators
from operators import mri

SIZE, COILS, FRAMES, SPOKES, COMPONENTS = 128, 6, 16, 13, 3


def decaying_object():
    """Frames of an image whose regions decay at different rates, ``(frames, H, W)``, and the times of the frames."""
    image = invnet.data.sample_image("cat", size=SIZE)
    axis = torch.linspace(-1, 1, SIZE)
    inside = axis[:, None] ** 2 + axis**2 < 0.75
    rates = 0.3 + 2 * (axis[:, None] - axis + 2) / 4  # from corner to corner
    times = torch.linspace(0, 1.5, FRAMES)
    return inside * image * torch.exp(-rates * times[:, None, None]), times


def sensitivities():
    """Coils in a ring around the object."""
    axis = torch.linspace(-1, 1, SIZE)
    angles = 2 * torch.pi * torch.arange(COILS)[:, None, None] / COILS
    distance = (axis[:, None] - 1.3 * angles.sin()) ** 2 + (axis - 1.3 * angles.cos()) ** 2
    maps = torch.polar(1 / (0.5 + distance), distance)
    return maps / maps.abs().square().sum(0).sqrt()


def subspace(times):
    """The main components of the decays of all rates that may occur, ``(frames, components)``."""
    rates = torch.linspace(0.1, 3, 200)
    components, _, _ = torch.linalg.svd(torch.exp(-rates * times[:, None]))
    return components[:, :COMPONENTS] + 0j


def timed(name, function):
    """What the function gives; its seconds are printed."""
    start = time.perf_counter()
    result = function()
    print(f"{name:34}{time.perf_counter() - start:7.2f} s")
    return result


def main():
    """Simulate, reconstruct in three ways and draw three of the frames."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="radial.png", help="the figure's file (default: radial.png)")
    out = parser.parse_args().out

    truth, times = decaying_object()
    maps = sensitivities()
    spokes = mri.radial_trajectory((SIZE, SIZE), FRAMES * SPOKES, 2 * SIZE).unflatten(0, (FRAMES, SPOKES))
    frames = operators.block_diag([mri.NonCartesianMRI(points, (SIZE, SIZE), maps) for points in spokes])
    physics = invnet.Physics(frames, noise=invnet.noise.Gaussian(0.01))
    y = physics(truth + 0j, generator=torch.Generator().manual_seed(0))

    decays = operators.ChannelMix(subspace(times), (COMPONENTS, SIZE, SIZE))
    in_subspace = frames @ decays
    methods = {
        "Gridding": lambda: frames.direct_inverse(y),
        "CG-SENSE of each frame": lambda: operators.solve.lstsq(frames, y, damping=0.02, tol=1e-3),
        "CG-SENSE in the subspace": lambda: decays(operators.solve.lstsq(in_subspace, y, damping=0.02, tol=1e-3)),
    }
    images = {name: timed(name, method).abs() for name, method in methods.items()}
    images = {"Truth": truth, **images}
    chosen = (0, FRAMES // 3, FRAMES - 1)
    rows = {f"t = {times[i]:.1f}": {name: series[i] for name, series in images.items()} for i in chosen}
    invnet.plot.compare(rows, reference="Truth", value_range=None, path=out)
    print(f"figure: {out}")


if __name__ == "__main__":
    main()
