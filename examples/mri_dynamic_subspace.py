"""
MRI in a subspace: relaxation maps from few radial spokes
=========================================================

After an excitation the signal of a pixel decays with its time constant T2, which tells tissues apart. A scan takes
images at several echo times, and to be short only a few spokes of each. Whatever their T2, all decays are nearly
mixtures of three; so the images of all echoes are three coefficient images times a small matrix, and that is written as
it is said: ``block_diag(echoes) @ ChannelMix(decays, ...)``. The object is a real slice of a head (a sample file of
matplotlib), whose T2 is made up from its intensities. Run it by
``python examples/mri_dynamic_subspace.py --out subspace.png``; it needs the extras "mri" and "plot".
"""

import argparse
import time

import torch
from torch.nn import functional as F

import invnet
import operators
from operators import mri

SIZE, COILS, SPOKES, COMPONENTS = 128, 6, 9, 3
ECHO_TIMES = torch.linspace(10, 150, 12)  # in ms


def head():
    """A slice of a head, its intensities from 0 to 1, and the mask of the object."""
    image = F.avg_pool2d(invnet.data.mr_slice()[None], 256 // SIZE)[0]
    image = (image / image.quantile(0.995)).clamp(max=1)
    return image, image > 0.12


def echoes(image, inside):
    """The images at the echo times, and T2 in ms: from 40 to 160, longer where the image is brighter."""
    t2 = torch.where(inside, 40 + 120 * image, 0)
    decays = torch.exp(-ECHO_TIMES[:, None, None] / t2.clamp(min=1))
    return inside * image * decays, t2


def sensitivities():
    """Coils in a ring around the object."""
    axis = torch.linspace(-1, 1, SIZE)
    angles = 2 * torch.pi * torch.arange(COILS)[:, None, None] / COILS
    distance = (axis[:, None] - 1.3 * angles.sin()) ** 2 + (axis - 1.3 * angles.cos()) ** 2
    maps = torch.polar(1 / (0.5 + distance), distance)
    return maps / maps.abs().square().sum(0).sqrt()


def subspace():
    """The main components of the decays of every T2 that may occur, ``(echoes, components)``."""
    t2 = torch.linspace(20, 300, 500)
    components, _, _ = torch.linalg.svd(torch.exp(-ECHO_TIMES[:, None] / t2))
    return components[:, :COMPONENTS] + 0j


def fitted_t2(images):
    """T2 at each pixel, by a straight line through the logarithms, each with the weight of its signal."""
    signal = images.abs().clamp(min=1e-4)
    weights = signal.square()
    times = ECHO_TIMES[:, None, None]

    def mean(values):
        return (weights * values).sum(0) / weights.sum(0)

    spread = mean((times - mean(times)) ** 2)
    slope = mean((times - mean(times)) * signal.log()) / spread
    return (-1 / slope.clamp(max=-1e-4)).clamp(max=300)


def main():
    """Simulate, reconstruct in three ways, print the errors and draw the first echo, the last one and T2."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="subspace.png", help="the figure's file (default: subspace.png)")
    out = parser.parse_args().out

    image, inside = head()
    truth, t2 = echoes(image, inside)
    maps = sensitivities()
    spokes = mri.radial_trajectory((SIZE, SIZE), len(ECHO_TIMES) * SPOKES, 2 * SIZE).unflatten(0, (-1, SPOKES))
    scan = operators.block_diag([mri.NonCartesianMRI(points, (SIZE, SIZE), maps) for points in spokes])
    physics = invnet.Physics(scan, noise=invnet.noise.Gaussian(0.005))
    y = physics(truth + 0j, generator=torch.Generator().manual_seed(0))

    decays = operators.ChannelMix(subspace(), (COMPONENTS, SIZE, SIZE))
    methods = {
        "Gridding": lambda: scan.direct_inverse(y),
        "CG-SENSE of each echo": lambda: operators.solve.lstsq(scan, y, damping=0.02, tol=1e-3),
        "CG-SENSE in the subspace": lambda: decays(operators.solve.lstsq(scan @ decays, y, damping=0.02, tol=1e-3)),
    }
    first, last, relaxation = f"{ECHO_TIMES[0]:.0f} ms", f"{ECHO_TIMES[-1]:.0f} ms", "T2"
    rows = {first: {"Truth": truth[0]}, last: {"Truth": truth[-1]}, relaxation: {"Truth": t2}}
    print(f"{SPOKES} spokes for each of {len(ECHO_TIMES)} echoes; {round(torch.pi / 2 * SIZE)} fill k-space")
    print(f"{'':26}{'error of echoes':>17}{'median error of T2':>20}{'seconds':>9}")
    for name, method in methods.items():
        start = time.perf_counter()
        images = method()
        seconds = time.perf_counter() - start
        error = (images - truth).norm() / truth.norm()
        found = fitted_t2(images)
        off = ((found - t2).abs() / t2.clamp(min=1))[inside].median()
        print(f"{name:26}{error:17.1%}{off:20.1%}{seconds:9.1f}")
        for label, panel in [(first, images[0].abs()), (last, images[-1].abs()), (relaxation, inside * found)]:
            rows[label][name] = panel
    invnet.plot.compare(rows, reference="Truth", value_range=None, path=out)
    print(f"figure: {out}")


if __name__ == "__main__":
    main()
