"""Denoising of photographs: mean PSNR on a test set, beside the published averages."""

import torch

import invnet
from invnet.data import ImageFolder
from tests.quality import deblurring, mri

LEVELS = (15, 25, 50)

# Of the papers, for Set12: BM3D and DnCNN from Zhang et al. 2017, FFDNet 2018, DRUNet 2022.
PUBLISHED = {
    "BM3D": (32.37, 29.97, 26.72),
    "DnCNN, one network for each level": (32.86, 30.44, 27.18),
    "FFDNet": (32.75, 30.43, 27.32),
    "DRUNet": (33.25, 30.94, 27.90),
}


@torch.inference_mode()
def mean_psnr(denoiser, images, level):
    """The mean PSNR in dB at a noise level in 255ths: a fixed seed, noise that is not clipped."""
    generator, sigma = torch.Generator().manual_seed(0), level / 255
    scores = []
    for image in images:
        noisy = image + sigma * torch.randn(image.shape, generator=generator)
        denoised = denoiser(noisy, sigma).clamp(0, 1)
        scores.append(invnet.metrics.psnr(denoised, image, dims=image.ndim))
    return torch.stack(scores).mean().item()


def is_gray(name):
    """Whether a denoiser is that of grey images: they are measured on Set12, those of colour images on Set5."""
    return not name.endswith("color")


def denoised(denoiser, name, folders):
    """The mean PSNR of a denoiser at each level that it is for."""
    images = ImageFolder(folders["set12" if is_gray(name) else "set5"], gray=is_gray(name))
    levels = (25,) if name.endswith("-25") else LEVELS
    return {level: mean_psnr(denoiser, images, level) for level in levels}


def measure(name, folders):
    """The mean PSNR of a pretrained denoiser at each level; with `denoiser-gray`, of deblurring and MRI too."""
    test = "set12" if is_gray(name) else "set5"
    if test not in folders:
        return {}
    levels = denoised(invnet.pretrained(name), name, folders)
    scores = {f"{test.capitalize()}, sigma {level}": value for level, value in levels.items()}
    if name == "denoiser-gray":
        scores |= {**deblurring.measure(name, folders), **mri.plug_and_play(name)}
    return scores


def table(name, folders):
    """The lines of a table: published averages, and ours as measured now."""
    test = "set12" if is_gray(name) else "set5"
    if test not in folders:
        return []
    if is_gray(name):
        rows = {label: dict(zip(LEVELS, values, strict=True)) for label, values in PUBLISHED.items()}
    else:
        gray = denoised(invnet.pretrained("denoiser-gray"), name, folders)
        rows = {"denoiser-gray of each channel (measured)": gray}
    rows[f"{name} (measured)"] = denoised(invnet.pretrained(name), name, folders)
    lines = [f"{test.capitalize() + ', PSNR in dB':44}" + "".join(f"sigma {level:<6}" for level in LEVELS)]
    for label, values in rows.items():
        cells = (f"{values[level]:.2f}" if level in values else "" for level in LEVELS)
        lines.append(f"{label:44}" + "".join(f"{cell:<12}" for cell in cells))
    return [*lines, "", *deblurring.table(name, folders)] if name == "denoiser-gray" else lines
