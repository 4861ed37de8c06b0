"""
Super-resolution with pretrained networks
=========================================

A photograph is made half as large, which loses its finest detail, and then enlarged again: by interpolation, by a
total-variation prior, and by networks whose weights come with the library. Run it by
``python examples/super_resolution.py --out super_resolution.png``.
"""

import argparse
import time

import invnet
import operators

SIZE = 256
FACTOR = 2


def main():
    """Enlarge with each method, print the table and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="super_resolution.png", help="the figure (default: super_resolution.png)")
    out = parser.parse_args().out

    truth = invnet.data.sample_image("astronaut", size=SIZE)
    physics = invnet.Physics(operators.Downsample((SIZE, SIZE), FACTOR))
    measurement = physics(truth)

    # There is no noise to speak of, so the strength of the prior is lambda itself, and small.
    methods = {
        "Bicubic": invnet.DirectInverse(),
        "MAP, total variation": invnet.MAP(invnet.priors.TotalVariation(), strength=1e-3),
        "SRCNN": invnet.pretrained("srcnn-x2"),
        "EDSR": invnet.pretrained("edsr-x2"),
    }
    images = {"Truth": truth, "Measurement": measurement}
    print(f"{'method':24}{'PSNR (dB)':>10}{'SSIM':>8}{'seconds':>9}")
    for name, method in methods.items():
        start = time.perf_counter()
        images[name] = method(measurement, physics).clamp(0, 1)
        seconds = time.perf_counter() - start
        psnr, ssim = (metric(images[name], truth) for metric in (invnet.metrics.psnr, invnet.metrics.ssim))
        print(f"{name:24}{psnr:10.2f}{ssim:8.3f}{seconds:9.2f}")
    rows = {f"{FACTOR} times larger": images}
    invnet.plot.compare(rows, reference="Truth", ssim=True, zoom=(30, 90, 60, 60), path=out)
    print(f"figure: {out}")


if __name__ == "__main__":
    main()
