"""
Parallel imaging: undersampled multi-coil k-space
=================================================

Give a file of centred k-space, ``(coils, H, W)`` in NumPy's format with zeros where nothing was sampled:
``python examples/mri_parallel_imaging.py --kspace kspace.npy --out mri.png``. Without one, the example simulates eight
coils that see a photograph, sampled at every fourth point on average by Poisson discs.
"""

import argparse
import math
import time

import torch

import invnet
import operators
from operators import mri


def simulated(generator, coils=8, size=256):
    """K-space of coils around an object that is smaller than the field of view, with noise."""
    axis = torch.linspace(-1, 1, size)
    inside = axis[:, None] ** 2 + axis**2 < 0.75
    image = inside * invnet.data.sample_image("cat", size=size) + 0j
    angles = 2 * torch.pi * torch.arange(coils) / coils
    rows, columns = 1.3 * angles.sin()[:, None, None], 1.3 * angles.cos()[:, None, None]
    distance = (axis[:, None] - rows) ** 2 + (axis - columns) ** 2
    maps = torch.polar(1 / (0.5 + distance), angles[:, None, None] + distance)
    mask = mri.poisson_disc_mask((size, size), acceleration=4, generator=generator, calibration=24)
    A = operators.CartesianMRI(mask, maps / maps.abs().square().sum(0).sqrt())
    return invnet.Physics(A, noise=invnet.noise.Gaussian(0.01))(image, generator=generator) * mask


def padded(kspace, multiple=32):
    """K-space continued by zeros to sizes that a wavelet transform can halve: a finer grid of the same image."""
    sizes = [-(-n // multiple) * multiple for n in kspace.shape[-2:]]
    result = kspace.new_zeros((*kspace.shape[:-2], *sizes))
    top, left = (m // 2 - n // 2 for m, n in zip(sizes, kspace.shape[-2:], strict=True))
    result[..., top : top + kspace.shape[-2], left : left + kspace.shape[-1]] = kspace
    return result


def reconstructions(kspace):
    """Images by method, and the seconds that each took."""
    mask = (kspace != 0).all(0)
    start = time.perf_counter()
    maps = mri.espirit_maps(kspace)
    print(f"{'ESPIRiT sensitivities':28}{time.perf_counter() - start:9.2f} s")
    A = operators.CartesianMRI(mask, maps)
    sigma = noise_level(kspace)
    physics = invnet.Physics(A, noise=invnet.noise.Gaussian(sigma))
    # The priors' strengths are for images with values of about one: others are brought there.
    scale = A.direct_inverse(kspace).abs().max().item()
    wavelet, variation = invnet.priors.Wavelet("db4", level=4), invnet.priors.TotalVariation()
    methods = {
        "Zero-filled": lambda: A.direct_inverse(kspace),
        "CG-SENSE": lambda: operators.solve.lstsq(A, kspace, damping=0.01, tol=1e-3),
        "L1-wavelet": lambda: invnet.MAP(wavelet, 40 / scale, solver="fista", tol=2e-4)(kspace, physics),
        "Total variation": lambda: invnet.MAP(variation, 40 / scale)(kspace, physics),
    }
    images = {}
    for name, method in methods.items():
        start = time.perf_counter()
        images[name] = method()
        print(f"{name:28}{time.perf_counter() - start:9.2f} s")
    return images


def noise_level(kspace):
    """The standard deviation of the noise's real part, from the rim of k-space, where there is least signal."""
    axes = [torch.linspace(-1, 1, n) for n in kspace.shape[-2:]]
    samples = kspace.abs()
    rim = (axes[0][:, None] ** 2 + axes[1] ** 2 > 0.8) & (samples > 0).all(0)
    # The median of the noise's magnitude is sigma sqrt(2 log 2).
    return samples[:, rim].median().item() / (2 * math.log(2)) ** 0.5


def main():
    """Reconstruct in four ways and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kspace", help="a .npy file of shape (coils, H, W); simulated by default")
    parser.add_argument("--out", default="mri.png", help="the figure's file (default: mri.png)")
    arguments = parser.parse_args()
    generator = torch.Generator().manual_seed(0)
    kspace = invnet.data.read_numpy(arguments.kspace) if arguments.kspace else simulated(generator)
    images = reconstructions(padded(kspace))
    brightest = images["CG-SENSE"].abs().max()
    invnet.plot.compare({"k-space": {name: x.abs() / brightest for name, x in images.items()}}, path=arguments.out)
    print(f"figure: {arguments.out}")


if __name__ == "__main__":
    main()
