"""Denoising of grey photographs: mean PSNR on a test set, beside the published averages."""

import torch

import invnet
from invnet.data import ImageFolder

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
        scores.append(invnet.metrics.psnr(denoiser(noisy, sigma).clamp(0, 1), image))
    return torch.stack(scores).mean().item()


def measure(name, folders):
    """The mean PSNR of a pretrained denoiser at each level; nothing without Set12."""
    if "set12" not in folders:
        return {}
    images = ImageFolder(folders["set12"])
    denoiser = invnet.pretrained(name)
    return {f"Set12, sigma {level}": mean_psnr(denoiser, images, level) for level in LEVELS}


def table(name, folders):
    """The lines of a table: published averages, and ours as measured now."""
    measured = tuple(measure(name, folders).values())
    if not measured:
        return []
    lines = [f"{'Set12, PSNR in dB':36}" + "".join(f"sigma {level:<6}" for level in LEVELS)]
    rows = {**PUBLISHED, f"{name} (measured)": measured}
    lines += [f"{label:36}" + "".join(f"{value:<12.2f}" for value in values) for label, values in rows.items()]
    return lines
