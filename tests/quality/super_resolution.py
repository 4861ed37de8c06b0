"""Super-resolution as the literature measures it: PSNR of the luminance on Set5, beside the published averages.

Luminance is that of ITU-R BT.601 in the range of studios, 16 to 235, rounded to 8 bits, as are the results. As many
pixels as the factor are left out along each border. Images are made smaller by antialiased bicubic interpolation, as
MATLAB's ``imresize`` does.
"""

import numpy as np
import torch

import invnet
import operators
from invnet.data import ImageFolder
from invnet.reconstruct import DirectInverse

# Of the papers, for Set5, by factor: Dong et al. 2016, Kim et al. 2016, Lim et al. 2017 (43 million parameters).
PUBLISHED = {
    2: {"bicubic": 33.66, "SRCNN": 36.66, "VDSR": 37.53, "EDSR": 38.11},
    4: {"bicubic": 28.42, "SRCNN": 30.48, "VDSR": 31.35, "EDSR": 32.46},
}


def luminance(image):
    """The luminance of a colour image ``(3, H, W)`` in [0, 1], in 255ths."""
    weights = image.new_tensor([65.481, 128.553, 24.966])
    return eight_bits((16 + torch.tensordot(weights, image, 1)) / 255)


def eight_bits(image):
    """The nearest multiples of 1/255 in [0, 1]."""
    return (255 * image).round().clamp(0, 255) / 255


@torch.inference_mode()
def mean_psnr(method, images, factor):
    """The mean PSNR in dB of the luminance, without a border of `factor` pixels."""
    scores = []
    for image in images:
        height, width = (n // factor * factor for n in image.shape[-2:])
        truth = luminance(image)[:height, :width]
        physics = invnet.Physics(operators.Downsample((height, width), factor))
        pair = (eight_bits(method(physics(truth), physics)), truth)
        scores.append(invnet.metrics.psnr(*(part[factor:-factor, factor:-factor] for part in pair)).item())
    return float(np.mean(scores))


def factors_of(name):
    """The factor that a model's name ends with; without one it serves all."""
    factor = name.rpartition("-x")[2]
    return (int(factor),) if factor.isdigit() else tuple(PUBLISHED)


def measure(name, folders):
    """The mean PSNR of a pretrained model; nothing without Set5."""
    if "set5" not in folders:
        return {}
    images, model = ImageFolder(folders["set5"], gray=False), invnet.pretrained(name)
    return {f"Set5, x{factor}": mean_psnr(model, images, factor) for factor in factors_of(name)}


def table(name, folders):
    """The lines of a table: published averages, and bicubic interpolation and ours as measured now."""
    lines = []
    for (test, value), factor in zip(measure(name, folders).items(), factors_of(name), strict=False):
        bicubic = mean_psnr(DirectInverse(), ImageFolder(folders["set5"], gray=False), factor)
        rows = {**PUBLISHED[factor], "bicubic (measured)": bicubic, f"{name} (measured)": value}
        lines += [f"{test}, luminance, PSNR in dB", *(f"{label:36}{score:.2f}" for label, score in rows.items())]
    return lines
