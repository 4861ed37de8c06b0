"""
A real synchrotron scan of a tooth
==================================

The scan is read as the beamline wrote it (DXchange HDF5): corrected by the flat and the dark fields, turned into line
integrals by the logarithm, and centred, for its rotation axis is far from the detector's middle. Filtered
backprojection and MAP with total variation stand side by side.

The data are TomoPy's test data: ``tooth.h5`` in https://github.com/tomopy/tomopy, folder source/tomopy/data.
Run it by ``python examples/ct_tooth.py tooth.h5 --out tooth.png``. Without a file, as on this page, the scan of another
object is simulated with the same geometry and its noise.
"""

import argparse
import time

import torch

import invnet
import operators

STRENGTH = 2000.0  # of the prior, for attenuation per pixel: values of about 0.005


def simulated_scan(views=181, detectors=640, photons=2e4, offset=22.6):
    """The like, of a real CT slice: line integrals with photon noise, the axis off the detector's middle."""
    image = torch.nn.functional.interpolate(invnet.data.ct_slice()[None, None], scale_factor=2.5, mode="bicubic")[0, 0]
    angles = torch.arange(views, dtype=torch.float64) * torch.pi / views
    A = operators.ParallelBeam(image.shape, angles, detectors, detector_offset=offset)
    integrals = A(0.005 * image.clamp_min(0))
    counts = invnet.noise.Poisson(1 / photons)((-integrals).exp(), torch.Generator().manual_seed(0))
    return -counts.clamp_min(1 / photons).log(), angles


def main():
    """Read, reconstruct, print the table and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", help="the scan, in DXchange HDF5; simulated by default")
    parser.add_argument(
        "--size", type=int, default=384, help="of the image around the axis, which holds the whole object"
    )
    parser.add_argument("--out", default="tooth.png", help="the figure's file (default: tooth.png)")
    arguments = parser.parse_args()

    if arguments.data:
        scan = invnet.data.read_dxchange(arguments.data, row=0)
        sinogram, angles = scan.sinogram, scan.angles
    else:
        sinogram, angles = simulated_scan()
    offset = operators.ct.find_detector_offset(sinogram, angles).item()
    axis = (sinogram.shape[-1] - 1) / 2 - offset
    print(f"{len(angles)} views of {sinogram.shape[-1]} detectors; the rotation axis is at detector {axis:.2f}")
    noise = invnet.noise.Gaussian(sinogram[:, :20].std().item())  # beside the tooth, where there is air

    rows = {}
    print(f"{'views':8}{'method':26}{'seconds':>9}")
    for step in (1, 4):
        shape = (arguments.size, arguments.size)
        A = operators.ParallelBeam(shape, angles[::step], sinogram.shape[-1], detector_offset=offset)
        physics = invnet.Physics(A, noise=noise)
        methods = {
            "Filtered backprojection": invnet.DirectInverse(),
            "MAP, total variation": invnet.MAP(invnet.priors.TotalVariation(), STRENGTH, bounds=(0, float("inf"))),
        }
        images = {}
        for name, method in methods.items():
            start = time.perf_counter()
            images[name] = method(sinogram[::step], physics)
            print(f"{len(angles[::step]):<8}{name:26}{time.perf_counter() - start:9.2f}")
        rows[f"{len(angles[::step])} views"] = images
    size = arguments.size
    zoom = (size // 2, size // 4, size // 4, size // 4)
    invnet.plot.compare(rows, value_range=(0, 0.008), zoom=zoom, panel_width=4.0, path=arguments.out)
    print(f"figure: {arguments.out}")


if __name__ == "__main__":
    main()
