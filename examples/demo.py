"""
Restore photographs from three kinds of measurements
====================================================

Camera shake with noise, 70 % missing pixels, and a quarter of the resolution: each is a linear operator, and the same
two reconstructors invert all of them, the operator's direct inverse and the most probable image under a prior.
Run it by ``make demo``, or ``python examples/demo.py --out demo.png``.
"""

import argparse
import time

import torch

import invnet
import operators

SIZE = 256
STRENGTH = 12.0  # of the prior: it belongs to photographs in [0, 1], not to a measurement


def photographs_and_physics(generator):
    """What is measured in the demo, and how, by the kind of measurement."""
    shape = (SIZE, SIZE)
    blur = operators.Convolution(invnet.data.motion_kernel(31, generator=generator), shape, padding="valid")
    holes = operators.Mask(torch.rand(shape, generator=generator) > 0.7)
    coarse = operators.Downsample(shape, factor=4)
    return {
        "Camera shake, 31x31": ("astronaut", invnet.Physics(blur, noise=invnet.noise.Gaussian(0.01))),
        "70 % missing": ("cat", invnet.Physics(holes, noise=invnet.noise.Gaussian(0.02))),
        "4x fewer pixels": ("coffee", invnet.Physics(coarse, noise=invnet.noise.Gaussian(0.005))),
    }


def restore(photograph, physics, generator):
    """Measure a photograph and reconstruct it both ways: images by name, and seconds by name."""
    truth = invnet.data.sample_image(photograph, size=SIZE, gray=False)
    measurement = physics(truth, generator=generator)
    methods = {
        "Direct inverse": invnet.DirectInverse(),
        "MAP, total variation": invnet.MAP(invnet.priors.TotalVariation(joint_channels=True), STRENGTH),
    }
    images, seconds = {"Truth": truth, "Measurement": measurement}, {}
    for name, method in methods.items():
        start = time.perf_counter()
        images[name] = method(measurement, physics).clamp(0, 1)
        seconds[name] = time.perf_counter() - start
    return images, seconds


def main():
    """Reconstruct, print the table and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="demo.png", help="the figure's file (default: demo.png)")
    out = parser.parse_args().out

    generator = torch.Generator().manual_seed(0)
    rows = {}
    print(f"{'measurement':22}{'method':24}{'PSNR (dB)':>10}{'SSIM':>8}{'seconds':>9}")
    for label, (photograph, physics) in photographs_and_physics(generator).items():
        images, seconds = restore(photograph, physics, generator)
        for name, duration in seconds.items():
            psnr = invnet.metrics.psnr(images[name], images["Truth"], dims=3)
            ssim = invnet.metrics.ssim(images[name], images["Truth"], color=True)
            print(f"{label:22}{name:24}{psnr:10.2f}{ssim:8.3f}{duration:9.2f}")
        rows[label] = images
    invnet.plot.compare(rows, reference="Truth", ssim=True, path=out)
    print(f"figure: {out}")


if __name__ == "__main__":
    main()
