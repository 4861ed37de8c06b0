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
    return name.endswith("gray")


def denoised(denoiser, name, folders):
    """The mean PSNR of a denoiser at each level."""
    images = ImageFolder(folders["set12" if is_gray(name) else "set5"], gray=is_gray(name))
    return {level: mean_psnr(denoiser, images, level) for level in LEVELS}


def measure(name, folders):
    """The mean PSNR of a pretrained denoiser at each level, and of deblurring and MRI with that of grey images."""
    test = "set12" if is_gray(name) else "set5"
    if test not in folders:
        return {}
    levels = denoised(invnet.pretrained(name), name, folders)
    scores = {f"{test.capitalize()}, sigma {level}": value for level, value in levels.items()}
    return {**scores, **deblurring.measure(name, folders), **mri.measure(name)} if is_gray(name) else scores


def table(name, folders):
    """The lines of a table: published averages, and ours as measured now."""
    test = "set12" if is_gray(name) else "set5"
    if test not in folders:
        return []
    rows = dict(PUBLISHED) if is_gray(name) else {}
    if not is_gray(name):
        gray = invnet.pretrained("denoiser-gray")
        rows["denoiser-gray of each channel (measured)"] = tuple(denoised(gray, name, folders).values())
    rows[f"{name} (measured)"] = tuple(denoised(invnet.pretrained(name), name, folders).values())
    lines = [f"{test.capitalize() + ', PSNR in dB':44}" + "".join(f"sigma {level:<6}" for level in LEVELS)]
    lines += [f"{label:44}" + "".join(f"{value:<12.2f}" for value in values) for label, values in rows.items()]
    return [*lines, "", *deblurring.table(name, folders), "", *mri.table(name)] if is_gray(name) else lines
