"""Undersampled MRI with several coils: mean PSNR of magnitudes, beside methods without training."""

import functools

import torch

import invnet
from invnet.recipes.mri import CENTRE, scan
from tests.quality import left_out
from tests.quality.scores import Test, best_map, lines, mean_psnr

STRENGTHS = (10.0, 20.0, 40.0, 80.0)  # of the wavelets: factors of two around the best
DRAWS = 2  # of lines, coils and noise


def head():
    """A real slice of a head, with a smooth phase."""
    y = torch.linspace(-1, 1, 256)[:, None]
    x = y.mT
    return torch.polar(invnet.data.mr_slice(), 0.5 + 2 * x - 1.5 * y + x * y)


def all_tests():
    """The tests by name."""
    image = head()
    tests = {}
    for acceleration in CENTRE:
        tests[f"MR slice, {acceleration} times"] = Test(
            image, [_measured(image, acceleration, k) for k in range(DRAWS)]
        )
    return tests


def _measured(image, acceleration, seed):
    generator = torch.Generator().manual_seed(seed)
    physics = scan(acceleration, tuple(image.shape), generator)
    return physics, physics(image, generator=generator)


@functools.cache
def peers():
    """The scores of the methods without training, by method and test."""
    rows = {"zero-filled": {}, "L1-wavelet, best strength": {}}
    for label, test in all_tests().items():
        rows["zero-filled"][label] = mean_psnr(lambda y, physics: physics.direct_inverse(y), test)
        prior = invnet.priors.Wavelet("db4", level=4)
        rows["L1-wavelet, best strength"][label], strength = best_map(prior, STRENGTHS, test, tol=1e-4, max_iter=1000)
        print(f"{label}: best strength {strength:g}")
    return {**rows, "plug and play, denoiser-gray": plug_and_play("denoiser-gray")}


def plug_and_play(name):
    """The mean PSNR by test, of plug and play with a pretrained denoiser."""
    plugged = invnet.PlugAndPlay(invnet.pretrained(name))
    return {label: mean_psnr(plugged, test) for label, test in all_tests().items()}


def measure(name, folders):
    """The mean PSNR of a pretrained model by test."""
    model = invnet.pretrained(name)
    return {label: mean_psnr(model, test) for label, test in all_tests().items()}


def table(name, folders):
    """The lines of a table: methods that were not trained for it, and the model."""
    rows = {**peers(), name: measure(name, folders)}
    table = lines(list(rows[name]), rows)
    if "scans" in folders:
        errors = left_out.errors({**left_out.peers(), name: invnet.pretrained(name)}, folders["scans"])
        table += ["", "Brain, relative error of k-space samples that were left out"]
        table += [f"{label:32}{error:.3f}" for label, error in errors.items()]
    return table
