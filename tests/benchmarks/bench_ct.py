"""Projection and backprojection beside the peers: run with ``python tests/benchmarks/bench_ct.py``.

All in 32 bits. In the first tables there are as many detectors as pixels in a row, which see the circle that the image
holds. deepinv has that as an option; by default it pads the image to its diagonal and measures all of the square, which
the tables "whole square" time, ours with the same detectors. ASTRA is timed through its fast path, data in its own
memory; a peer that cannot be imported is left out. The last table is the normal operator: Joseph's adjoint after
forward, and the Toeplitz gram of the Fourier model; ``docs/draw_gram_growth.py`` draws its growth.
"""

import math
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it runs as a script

from operators import FanBeam, ParallelBeam
from tests import peers
from tests.benchmarks.harness import compare, environment

SIZES = [(256, 180), (512, 360)]
BATCHES = [1, 8]


def both(operator, size, batch):
    """Forward and adjoint of one of our operators."""
    x = torch.rand(batch, size, size)
    y = operator(x)
    return (lambda: operator(x)), (lambda: operator.adjoint(y))


def astra_pair(size, geometry, projector, batch):
    """ASTRA on its CPU: it has no batch, so that images are taken one after the other."""
    astra = peers.astra()
    volume = astra.create_vol_geom(size, size)
    projector_id = astra.create_projector(projector, geometry, volume)
    image = astra.data2d.create("-vol", volume, torch.rand(size, size).numpy())
    sinogram = astra.data2d.create("-sino", geometry, 0)
    algorithms = []
    for kind, names in (
        ("FP", ("ProjectionDataId", "VolumeDataId")),
        ("BP", ("ProjectionDataId", "ReconstructionDataId")),
    ):
        config = astra.astra_dict(kind) | {"ProjectorId": projector_id, names[0]: sinogram, names[1]: image}
        algorithms.append(astra.algorithm.create(config))
    return [lambda a=a: [astra.algorithm.run(a) for _ in range(batch)] for a in algorithms]


def deepinv_pair(size, angles, batch, circle):
    """deepinv's Tomography: rotation by grid_sample, its adjoint by autograd; and the number of its detectors."""
    physics = peers.deepinv().physics.Tomography(
        angles=torch.rad2deg(angles.float()), img_width=size, circle=circle, normalize=False
    )
    x = torch.rand(batch, 1, size, size)
    y = physics.A(x)
    return (lambda: physics.A(x)), (lambda: physics.A_adjoint(y)), y.shape[-2]


def skimage_forward(size, angles, batch):
    """scikit-image's radon, which has no adjoint."""
    from skimage.transform import radon

    place = np.arange(size) - (size - 1) / 2
    inside = place[:, None] ** 2 + place**2 < (size / 2 - 2) ** 2
    image, degrees = torch.rand(size, size).numpy() * inside, np.rad2deg(angles.numpy())
    return lambda: [radon(image, degrees, circle=True) for _ in range(batch)]


def torchtomo_pair(projector, size, batch):
    """torchtomo: plain torch on the CPU."""
    x = torch.rand(batch, 1, size, size)
    y = projector(x)
    return (lambda: projector(x)), (lambda: projector.backproject(y))


def parallel_table(size, views, batch):
    """A table of forward and one of adjoint for the parallel beam."""
    angles = torch.arange(views, dtype=torch.float64) * math.pi / views
    forward, adjoint = {}, {}
    ours = ParallelBeam((size, size), angles, size)
    forward["ours"], adjoint["ours"] = both(ours, size, batch)
    fourier = ParallelBeam((size, size), angles, model="fourier", tolerance=1e-3)
    forward["ours, Fourier model 1e-3"], adjoint["ours, Fourier model 1e-3"] = both(fourier, size, batch)
    if peers.has("astra"):
        geometry = peers.astra().create_proj_geom("parallel", 1.0, size, angles.numpy())
        forward["ASTRA linear"], adjoint["ASTRA linear"] = astra_pair(size, geometry, "linear", batch)
    forward["deepinv, circle=True"], adjoint["deepinv, circle=True"], _ = deepinv_pair(size, angles, batch, True)
    if peers.has("torchtomo"):
        import torchtomo

        projector = torchtomo.ParallelBeam(size, views, size, angles=angles.float())
        forward["torchtomo"], adjoint["torchtomo"] = torchtomo_pair(projector, size, batch)
    forward["scikit-image"] = skimage_forward(size, angles, batch)
    show(forward, adjoint, f"parallel, {size}^2, {views} views, batch {batch}")


def whole_square_table(size, views, batch):
    """The same with detectors that cover the image's diagonal, beside deepinv's default."""
    angles = torch.arange(views, dtype=torch.float64) * math.pi / views
    forward, adjoint = {}, {}
    forward["deepinv"], adjoint["deepinv"], detectors = deepinv_pair(size, angles, batch, False)
    forward["ours"], adjoint["ours"] = both(ParallelBeam((size, size), angles, detectors), size, batch)
    show(forward, adjoint, f"whole square, {size}^2, {views} views, {detectors} detectors, batch {batch}")


def fan_table(size, views, batch):
    """The same for the fan beam, with twice as many detectors."""
    angles = torch.arange(views, dtype=torch.float64) * 2 * math.pi / views
    source, detector = 2.0 * size, 2.0 * size
    forward, adjoint = {}, {}
    ours = FanBeam((size, size), angles, 2 * size, source, detector, detector_spacing=1.2)
    forward["ours"], adjoint["ours"] = both(ours, size, batch)
    if peers.has("astra"):
        geometry = peers.astra().create_proj_geom("fanflat", 1.2, 2 * size, angles.numpy(), source, detector)
        forward["ASTRA line"], adjoint["ASTRA line"] = astra_pair(size, geometry, "line_fanflat", batch)
    if peers.has("torchtomo"):
        import torchtomo

        projector = torchtomo.FanBeam(size, views, 2 * size, source, detector, det_spacing=1.2, angles=angles.float())
        forward["torchtomo"], adjoint["torchtomo"] = torchtomo_pair(projector, size, batch)
    show(forward, adjoint, f"fan, {size}^2, {views} views, batch {batch}")


def show(forward, adjoint, title):
    """Print both tables."""
    compare(forward, "ours", f"forward: {title}", rounds=5)
    compare(adjoint, "ours", f"adjoint: {title}", rounds=5)


def gram_table(size, views):
    """The normal operator by both models."""
    angles = torch.arange(views, dtype=torch.float64) * math.pi / views
    x = torch.rand(size, size)
    joseph = ParallelBeam((size, size), angles, size)
    gram = ParallelBeam((size, size), angles, model="fourier").gram
    candidates = {
        "Joseph, adjoint after forward": lambda: joseph.adjoint(joseph(x)),
        "Fourier, Toeplitz": lambda: gram(x),
    }
    compare(candidates, "Fourier, Toeplitz", f"gram: {size}^2, {views} views")


def main():
    """All tables."""
    print(environment(), end="\n\n")
    for size, views in SIZES:
        for batch in BATCHES:
            parallel_table(size, views, batch)
            whole_square_table(size, views, batch)
    for size, views in SIZES:
        fan_table(size, views, 1)
    for size in (256, 512, 1024):
        gram_table(size, size * 360 // 512)


if __name__ == "__main__":
    main()
