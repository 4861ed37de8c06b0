"""
Calibrate a scanner from its own measurements
=============================================

The rotation axis is not where it should be, and the stage stopped at other angles than the ones it was sent to. Both
are fitted to the measurements: a projection's gradients reach its geometry. Filtered backprojection shows what was lost
and what is found again. The object is a real CT slice from pydicom's wheel.
Run it by ``python examples/ct_calibration.py --out calibration.png``.
"""

import argparse
import math

import torch
from tqdm import trange

import invnet
import operators

VIEWS, DETECTORS = 120, 200
OFFSET = 3.4  # of the detector from the rotation axis, in pixels
JITTER = math.radians(0.7)  # standard deviation of the angles
NOISE = 0.05
STEPS = 250


def scan(image, generator):
    """The true angles, and the measurements with the true geometry."""
    nominal = torch.arange(VIEWS, dtype=torch.float64) * math.pi / VIEWS
    jitter = JITTER * torch.randn(VIEWS, generator=generator, dtype=torch.float64)
    angles = nominal + jitter - jitter.mean()  # the mean angle is a rotation of the image: no data can tell it
    A = operators.ParallelBeam(image.shape, angles, DETECTORS, detector_offset=OFFSET)
    physics = invnet.Physics(A, noise=invnet.noise.Gaussian(NOISE))
    return nominal, angles, physics(image, generator=generator)


def fit(y, shape, nominal):
    """Fit angles and offset to the measurements, from the nominal geometry.

    Each step reconstructs the image with the geometry of the moment, projects it, and moves the geometry to where the
    projections come closer to what was measured.
    """
    angles = torch.nn.Parameter(nominal.clone())
    offset = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))
    A = operators.ParallelBeam(shape, angles, y.shape[-1], detector_offset=offset)
    optimizer = torch.optim.Adam([{"params": [offset], "lr": 0.2}, {"params": [angles], "lr": 1e-3}])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in trange(STEPS, desc="calibration", leave=False):
        optimizer.zero_grad()
        with torch.no_grad():
            image = A.filtered_backprojection(y, "hann")
        (A(image) - y).square().mean().backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            angles += nominal.mean() - angles.mean()
    return angles.detach(), offset.item()


def main():
    """Simulate the scan, calibrate, print the table and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="calibration.png", help="the figure's file (default: calibration.png)")
    out = parser.parse_args().out

    generator = torch.Generator().manual_seed(0)
    image = invnet.data.ct_slice()
    nominal, true, y = scan(image, generator)
    found, offset = fit(y, image.shape, nominal)

    geometries = {"Nominal": (nominal, 0.0), "Found": (found, offset), "True": (true, OFFSET)}
    images = {"Object": image}
    print(f"{'geometry':12}{'offset (pixels)':>17}{'angles off by (deg)':>21}{'PSNR (dB)':>11}")
    for name, (angles, shift) in geometries.items():
        A = operators.ParallelBeam(image.shape, angles, DETECTORS, detector_offset=shift)
        images[f"{name} geometry"] = A.filtered_backprojection(y, "hann")
        psnr = invnet.metrics.psnr(images[f"{name} geometry"], image, data_range=2.0)
        error = torch.rad2deg((angles - true).square().mean().sqrt())
        print(f"{name:12}{shift:17.2f}{error:21.3f}{psnr:11.2f}")
    invnet.plot.compare(images, reference="Object", value_range=(0.0, 2.0), panel_width=3.0, path=out)
    print(f"figure: {out}")


if __name__ == "__main__":
    main()
