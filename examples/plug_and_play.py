"""
Plug and play: deblur with a denoiser that knows no blur
========================================================

Camera shake is undone by half-quadratic splitting: a data step that the operator solves, and a denoiser in the place of
a prior, in turns. Two of the denoisers are classical ones of scikit-image, which need no training; the third is a
network whose weights come with the library. Run it by ``python examples/plug_and_play.py --out plug_and_play.png``.
"""

import argparse
import time

import numpy as np
import torch
from skimage import restoration

import invnet
import operators

SIZE = 256
NOISE = 0.02


def wavelets(x, sigma):
    """Soft thresholding of wavelet coefficients."""
    image = restoration.denoise_wavelet(x.double().numpy(), sigma=sigma, method="BayesShrink")
    return torch.from_numpy(np.asarray(image)).to(x.dtype)


def non_local_means(x, sigma):
    """The mean over patches that look alike."""
    image = restoration.denoise_nl_means(
        x.double().numpy(), patch_size=5, patch_distance=7, h=0.8 * sigma, sigma=sigma, fast_mode=True
    )
    return torch.from_numpy(image).to(x.dtype)


def main():
    """Reconstruct with each denoiser, print the table and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="plug_and_play.png", help="the figure's file (default: plug_and_play.png)")
    out = parser.parse_args().out

    generator = torch.Generator().manual_seed(0)
    truth = invnet.data.sample_image("camera", size=SIZE)
    blur = operators.Convolution(invnet.data.motion_kernel(21, generator=generator), (SIZE, SIZE), padding="circular")
    physics = invnet.Physics(blur, noise=invnet.noise.Gaussian(NOISE))
    measurement = physics(truth, generator=generator)

    methods = {
        "MAP, total variation": invnet.MAP(invnet.priors.TotalVariation(), strength=12.0),
        "PnP, wavelets": invnet.PlugAndPlay(wavelets),
        "PnP, non-local means": invnet.PlugAndPlay(non_local_means),
        "PnP, network": invnet.PlugAndPlay(invnet.pretrained("denoiser-gray")),
    }
    images = {"Truth": truth, "Measurement": measurement}
    print(f"{'method':24}{'PSNR (dB)':>10}{'SSIM':>8}{'seconds':>9}")
    for name, method in methods.items():
        start = time.perf_counter()
        images[name] = method(measurement, physics).clamp(0, 1)
        seconds = time.perf_counter() - start
        psnr, ssim = invnet.metrics.psnr(images[name], truth), invnet.metrics.ssim(images[name], truth)
        print(f"{name:24}{psnr:10.2f}{ssim:8.3f}{seconds:9.2f}")
    invnet.plot.compare({"Camera shake, 21x21": images}, reference="Truth", ssim=True, path=out)
    print(f"figure: {out}")


if __name__ == "__main__":
    main()
