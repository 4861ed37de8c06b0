"""
Sparse-view CT with trained networks
====================================

Fewer views are less dose: a slice of a human chest, from a clinical scanner, is seen from 60 directions. Filtered
backprojection shows streaks, which the prior of total variation removes, and so do two models that come with the
library: a network that corrects the backprojection, and four networks with steps towards the data between them.
Run it by ``python examples/ct_sparse_view.py --out ct_sparse_view.png``.
"""

import argparse
import math
import time

import torch

import invnet
import operators

VIEWS, NOISE = 60, 0.5  # of a line integral, where the largest value of a pixel is one


def main():
    """Reconstruct in four ways, print the table and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="ct_sparse_view.png", help="the figure's file (default: ct_sparse_view.png)")
    out = parser.parse_args().out

    truth = invnet.data.ct_slice()
    axis = torch.linspace(-1, 1, len(truth))
    truth = truth / truth.max() * (axis[:, None] ** 2 + axis**2 < 1)  # the circle that every view sees
    angles = torch.arange(VIEWS, dtype=torch.float64) * (math.pi / VIEWS)
    physics = invnet.Physics(operators.ParallelBeam(truth.shape, angles), noise=invnet.noise.Gaussian(NOISE))
    sinogram = physics(truth, generator=torch.Generator().manual_seed(0))

    methods = {
        "Filtered backprojection": invnet.DirectInverse(),
        "MAP, total variation": invnet.MAP(invnet.priors.TotalVariation(), 8.0, bounds=(0, 1), tol=2e-5),
        "ct-unet": invnet.pretrained("ct-unet"),
        "ct-itnet": invnet.pretrained("ct-itnet"),
    }
    images = {"Truth": truth}
    print(f"{'method':26}{'PSNR (dB)':>10}{'SSIM':>8}{'seconds':>9}")
    for name, method in methods.items():
        start = time.perf_counter()
        images[name] = method(sinogram, physics)
        seconds = time.perf_counter() - start
        psnr, ssim = invnet.metrics.psnr(images[name], truth), invnet.metrics.ssim(images[name], truth)
        print(f"{name:26}{psnr:10.2f}{ssim:8.3f}{seconds:9.2f}")
    invnet.plot.compare({f"{VIEWS} views": images}, reference="Truth", ssim=True, zoom=(40, 36, 40, 40), path=out)
    print(f"figure: {out}")


if __name__ == "__main__":
    main()
