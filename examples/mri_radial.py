"""
Radial MRI: gridding, CG-SENSE and total variation
==================================================

Spokes through the centre of k-space, at golden angles, sample its centre densely and its rim sparsely. Gridding makes
up for that by weights, the others by solving for the image. Here there are a fifth of the spokes that fill k-space. Run
it by ``python examples/mri_radial.py --out radial.png``; it needs the extras "mri" and "plot".
"""

import argparse
import time

import torch

import invnet
import operators
from operators import mri

SIZE, COILS, SPOKES = 192, 8, 60


def scene():
    """An object that is smaller than the field of view."""
    axis = torch.linspace(-1, 1, SIZE)
    return (axis[:, None] ** 2 + axis**2 < 0.75) * invnet.data.sample_image("cat", size=SIZE)


def sensitivities():
    """Coils in a ring around the object."""
    axis = torch.linspace(-1, 1, SIZE)
    angles = 2 * torch.pi * torch.arange(COILS)[:, None, None] / COILS
    distance = (axis[:, None] - 1.3 * angles.sin()) ** 2 + (axis - 1.3 * angles.cos()) ** 2
    maps = torch.polar(1 / (0.5 + distance), distance)
    return maps / maps.abs().square().sum(0).sqrt()


def main():
    """Simulate, reconstruct in four ways, print the errors and draw the images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="radial.png", help="the figure's file (default: radial.png)")
    out = parser.parse_args().out

    truth, maps = scene(), sensitivities()
    trajectory = mri.radial_trajectory((SIZE, SIZE), SPOKES, 2 * SIZE)
    A = mri.NonCartesianMRI(trajectory, (SIZE, SIZE), maps)
    by_cells = mri.NonCartesianMRI(trajectory, (SIZE, SIZE), maps, density="voronoi")
    physics = invnet.Physics(A, noise=invnet.noise.Gaussian(0.01))
    y = physics(truth + 0j, generator=torch.Generator().manual_seed(0))

    methods = {
        "Gridding, Pipe-Menon": lambda: A.direct_inverse(y),
        "Gridding, Voronoi": lambda: by_cells.direct_inverse(y),
        "CG-SENSE": lambda: operators.solve.lstsq(A, y, damping=0.05, tol=1e-3),
        "Total variation": lambda: invnet.MAP(invnet.priors.TotalVariation(), 40)(y, physics),
    }
    images = {"Truth": truth}
    print(f"{SPOKES} spokes of {2 * SIZE} samples, {COILS} coils")
    print(f"{'':24}{'error':>8}{'seconds':>9}")
    for name, method in methods.items():
        start = time.perf_counter()
        image = method()
        seconds = time.perf_counter() - start
        print(f"{name:24}{(image - truth).norm() / truth.norm():8.1%}{seconds:9.1f}")
        images[name] = image.abs()
    invnet.plot.compare({"radial": images}, reference="Truth", path=out)
    print(f"figure: {out}")


if __name__ == "__main__":
    main()
