"""
Inpaint with an untrained network: Deep Image Prior
===================================================

The network has seen no image but the measured pixels of this one: that it is convolutional, of several scales, is all
its knowledge. It is fitted to the pixels that are there, and stops by itself before it fits their noise. Run it by
``python examples/deep_image_prior.py --out deep_image_prior.png``; it takes minutes on a processor.
"""

import argparse
import sys
import time

import torch

import invnet
import operators

NOISE = 0.05


def network(channels):
    """An hourglass that is thinner than the original, for a small image."""
    return invnet.nets.Hourglass(in_channels=16, out_channels=channels, width=32, depth=4)


def main():
    """Reconstruct, print the table and the course of the fit, and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="deep_image_prior.png", help="the figure's file")
    parser.add_argument("--size", type=int, default=128, help="the image's size in pixels (default: 128)")
    parser.add_argument("--iterations", type=int, default=1500, help="iterations at most (default: 1500)")
    arguments = parser.parse_args()

    generator = torch.Generator().manual_seed(0)
    shape = (arguments.size, arguments.size)
    truth = invnet.data.sample_image("astronaut", size=arguments.size, gray=False)
    holes = operators.Mask(torch.rand(shape, generator=generator) > 0.5)
    physics = invnet.Physics(holes, noise=invnet.noise.Gaussian(NOISE))
    measurement = physics(truth, generator=generator)

    methods = {
        "MAP, total variation": invnet.MAP(invnet.priors.TotalVariation(joint_channels=True), strength=12.0),
        "Deep image prior": invnet.DeepImagePrior(
            network,
            joint_channels=True,
            bounds=(0, 1),
            max_iter=arguments.iterations,
            patience=arguments.iterations // 4,
            progress=sys.stderr.isatty(),  # it takes a minute
        ),
    }
    images = {"Truth": truth, "Measurement": measurement}
    print(f"{'method':24}{'PSNR (dB)':>10}{'SSIM':>8}{'seconds':>9}  course")
    for name, method in methods.items():
        start = time.perf_counter()
        image, info = method(measurement, physics, return_info=True)
        seconds = time.perf_counter() - start
        images[name] = image.clamp(0, 1)
        psnr = invnet.metrics.psnr(images[name], truth, dims=3)
        ssim = invnet.metrics.ssim(images[name], truth, color=True)
        print(f"{name:24}{psnr:10.2f}{ssim:8.3f}{seconds:9.2f}  {info}")
    invnet.plot.compare({"50 % missing, noise 0.05": images}, reference="Truth", ssim=True, path=arguments.out)
    print(f"figure: {arguments.out}")


if __name__ == "__main__":
    main()
