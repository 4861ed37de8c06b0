"""Regularisers in MAP estimates: denoising and deblurring of three images of Set12, beside total variation."""

import invnet
import operators
from invnet.data import ImageFolder
from tests.quality import deblurring
from tests.quality.denoising import LEVELS, mean_psnr

# Of total variation, tuned by hand on these very images.
STRENGTHS = {"denoising": 8.0, "deblurring": 8.0}


def denoiser(prior, strength):
    """The most probable image behind noise, as ``denoiser(x, sigma)``."""

    def denoise(x, sigma):
        physics = invnet.Physics(operators.Identity(tuple(x.shape)), noise=invnet.noise.Gaussian(sigma))
        return invnet.MAP(prior, strength)(x, physics)

    return denoise


def scores(prior, denoising, deblurring_, folder):
    """The mean PSNR in dB of each task, with a strength for denoising and one for deblurring."""
    images = ImageFolder(folder)
    few = [images[index] for index in range(deblurring.IMAGES)]
    measured = {f"Set12 01-03, sigma {level}": mean_psnr(denoiser(prior, denoising), few, level) for level in LEVELS}
    rows = deblurring.scores(invnet.MAP(prior, deblurring_), folder)
    return {**measured, "Set12 01-03, deblurring": deblurring.mean_psnr(rows)}


def measure(name, folders):
    """The mean PSNR with a pretrained prior; nothing without Set12."""
    if "set12" not in folders:
        return {}
    return scores(invnet.pretrained(name), 1.0, 1.0, folders["set12"])


def table(name, folders):
    """The lines of a table: total variation and ours, as measured now."""
    measured = measure(name, folders)
    if not measured:
        return []
    peer = scores(invnet.priors.TotalVariation(), STRENGTHS["denoising"], STRENGTHS["deblurring"], folders["set12"])
    lines = [f"{'MAP, PSNR in dB':36}" + "".join(f"{task.partition(', ')[2]:12}" for task in measured)]
    for label, row in {"total variation (measured)": peer, f"{name} (measured)": measured}.items():
        lines.append(f"{label:36}" + "".join(f"{value:<12.2f}" for value in row.values()))
    return lines
