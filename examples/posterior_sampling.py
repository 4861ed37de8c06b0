"""
Posterior sampling: several images that explain one measurement
===============================================================

A photograph that was made three times smaller does not tell the large image: many explain it. Samplers draw some of
them with a denoiser as the prior, whose weights come with the library. Their mean is an estimate, and their standard
deviation shows where the measurement leaves the image open: along edges and in fine detail. Run it by
``python examples/posterior_sampling.py --out posterior_sampling.png``.
"""

import argparse
import time

import torch

import invnet
import operators

SIZE = 96
FACTOR = 3
NOISE = 0.01
SAMPLES = 4


def main():
    """Draw samples by each method, print the table and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="posterior_sampling.png", help="the figure (default: posterior_sampling.png)")
    out = parser.parse_args().out

    truth = invnet.data.sample_image("camera", size=SIZE)
    physics = invnet.Physics(operators.Downsample((SIZE, SIZE), FACTOR), noise=invnet.noise.Gaussian(NOISE))
    measurement = physics(truth, generator=torch.Generator().manual_seed(0))

    denoiser = invnet.pretrained("denoiser-gray")
    levels = (50 / 255, 0.01)  # the denoiser was trained for no more noise than the first
    methods = {
        "DiffPIR": invnet.DiffPIR(denoiser, samples=SAMPLES, sigma=levels, max_iter=30),
        "DPS": invnet.DPS(denoiser, samples=SAMPLES, sigma=levels, max_iter=30),
    }
    rows = {}
    print(f"{'method':10}{'PSNR of a sample':>18}{'of the mean (dB)':>18}{'spread':>9}{'error':>9}{'seconds':>9}")
    for name, method in methods.items():
        start = time.perf_counter()
        mean, info = method(measurement, physics, return_info=True)
        seconds = time.perf_counter() - start
        spread = info.standard_deviation
        rows[name] = {
            "Truth": truth,
            "Measurement": measurement,
            "A sample": info.samples[0].clamp(0, 1),
            "Another": info.samples[1].clamp(0, 1),
            "Mean": mean.clamp(0, 1),
            "Spread": spread,
            "Error": (mean - truth).abs(),
        }
        psnr = [invnet.metrics.psnr(image.clamp(0, 1), truth).item() for image in (info.samples[0], mean)]
        error = (mean - truth).square().mean().sqrt()
        size = spread.square().mean().sqrt()
        print(f"{name:10}{psnr[0]:18.2f}{psnr[1]:18.2f}{size:9.4f}{error:9.4f}{seconds:9.2f}")
    invnet.plot.compare(rows, reference="Truth", data_columns=("Spread", "Error"), panel_width=1.6, path=out)
    print(f"figure: {out}")


if __name__ == "__main__":
    main()
