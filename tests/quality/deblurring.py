"""Deblurring by plug and play, beside deepinv's DPIR with the same denoiser.

Three images of Set12 of 256x256 pixels, two kernels of camera shake of 25x25 pixels (the size of those of Levin et al.
2009), circular convolution, noise of 2.55/255. deepinv's wheel has no weights, so it is given our denoiser.
"""

import statistics
import time

import torch

import invnet
import operators
from invnet.data import ImageFolder, motion_kernel
from tests import peers

IMAGES = 3
SEEDS = (0, 1)
NOISE = 2.55 / 255


def problems(folder):
    """Each image behind each kernel: its name, the truth, the physics and the measurement."""
    images = ImageFolder(folder)
    for seed in SEEDS:
        kernel = motion_kernel(25, generator=torch.Generator().manual_seed(seed))
        for index in range(IMAGES):
            truth = images[index]
            blur = operators.Convolution(kernel, tuple(truth.shape), padding="circular")
            physics = invnet.Physics(blur, noise=invnet.noise.Gaussian(NOISE))
            y = physics(truth, generator=torch.Generator().manual_seed(seed))
            yield f"{images.paths[index].stem}, kernel {seed}", truth, physics, y


def plug_and_play(name):
    """Ours, with a pretrained denoiser."""
    return invnet.PlugAndPlay(invnet.pretrained(name))


def dpir(name):
    """deepinv's half-quadratic splitting with DPIR's schedule, with the same denoiser."""
    deepinv = peers.deepinv()
    denoiser = invnet.pretrained(name)

    class Denoiser(deepinv.models.Denoiser):
        def forward(self, x, sigma):
            return denoiser(x[:, 0], float(sigma))[:, None]

    method = deepinv.optim.DPIR(sigma=NOISE, denoiser=Denoiser())

    def reconstruct(y, physics):
        return method(y[None, None], invnet.interop.to_deepinv(physics))[0, 0]

    return reconstruct


@torch.inference_mode()
def scores(method, folder):
    """PSNR in dB and seconds for each problem."""
    rows = {}
    for label, truth, physics, y in problems(folder):
        start = time.perf_counter()
        image = method(y, physics)
        seconds = time.perf_counter() - start
        rows[label] = (invnet.metrics.psnr(image.clamp(0, 1), truth).item(), seconds)
    return rows


def mean_psnr(rows):
    """The mean over the problems."""
    return statistics.fmean(psnr for psnr, _ in rows.values())


def measure(name, folders):
    """The mean PSNR of plug and play with a pretrained denoiser; nothing without Set12."""
    if "set12" not in folders:
        return {}
    return {"Set12 01-03, deblurring": mean_psnr(scores(plug_and_play(name), folders["set12"]))}


def table(name, folders):
    """The lines of a table: ours and its peers on each problem, the mean, and the median of the seconds."""
    if "set12" not in folders:
        return []
    methods = {f"PlugAndPlay, {name}": plug_and_play(name), f"deepinv's DPIR, {name}": dpir(name)}
    measured = {label: scores(method, folders["set12"]) for label, method in methods.items()}
    labels = list(next(iter(measured.values())))
    lines = [f"{'Deblurring, PSNR in dB':36}" + "".join(f"{label:14}" for label in [*labels, "mean", "seconds"])]
    for method, rows in measured.items():
        values = [f"{psnr:<14.2f}" for psnr, _ in rows.values()]
        seconds = statistics.median(seconds for _, seconds in rows.values())
        lines.append(f"{method:36}" + "".join(values) + f"{mean_psnr(rows):<14.2f}{seconds:.2f}")
    return lines
