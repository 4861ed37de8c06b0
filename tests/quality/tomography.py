"""Tomography from few views, or many in little light: mean PSNR beside filtered backprojection and total variation."""

import functools
import math
from pathlib import Path

import torch

import invnet
from invnet.data import ImageFolder, ct_slice
from invnet.recipes.tomography import SCANS, scan
from operators import ParallelBeam
from operators.ct import find_detector_offset
from tests.quality.scores import Test, best_map, lines, mean_psnr

# Of MAP-TV: factors of two around the best for each scan.
STRENGTHS = {"60 views": (5.0, 10.0, 20.0), "30 views": (5.0, 10.0, 20.0), "low dose": (2.0, 4.0, 8.0)}
STRENGTHS["61 views"] = (20.0, 40.0, 80.0)


def within_circle(images):
    """Zero outside the circle that every view sees."""
    rows, columns = (torch.linspace(-1, 1, n) for n in images.shape[-2:])
    return images * (rows[:, None] ** 2 + columns**2 < 1)


def simulated(images, name):
    """A test with a scan of the recipes."""
    images = within_circle(images)
    physics = scan(name, tuple(images.shape[-2:]))
    return Test(images, [(physics, physics(images, generator=torch.Generator().manual_seed(0)))])


def tooth(path):
    """A third of the views of a real scan; the reference is the filtered backprojection of all, which has noise.

    The square is within the circle that every view sees, and the tooth within the square.
    """
    real = invnet.data.read_dxchange(path, row=0)
    offset = find_detector_offset(real.sinogram, real.angles).item()
    size = int(math.sqrt(2) * ((real.sinogram.shape[-1] - 1) / 2 - abs(offset)))
    whole, third = (
        ParallelBeam((size, size), real.angles[::step], real.sinogram.shape[-1], detector_offset=offset)
        for step in (1, 3)
    )
    reference = whole.filtered_backprojection(real.sinogram, "hann")
    scale = reference.max()
    sigma = real.sinogram[:, :20].std().item()  # beside the tooth, where there is air
    physics = invnet.Physics(third, noise=invnet.noise.Gaussian(sigma / scale.item()))
    return Test((reference / scale)[None], [(physics, real.sinogram[None, ::3] / scale)])


def all_tests(folders):
    """The tests by name: those of the folders that are given, and of the CT slice that comes with pydicom."""
    sets = {}
    if "set12" in folders:
        photographs = ImageFolder(folders["set12"])
        sets["Set12"] = torch.stack([image for image in photographs if image.shape == (256, 256)])
    sets["CT slice"] = ct_slice()[None] / ct_slice().max()
    tests = {f"{label}, {name}": simulated(images, name) for label, images in sets.items() for name in SCANS}
    if "scans" in folders:
        tests["tooth, 61 views"] = tooth(Path(folders["scans"]) / "ct" / "tooth.h5")
    return tests


@functools.cache
def peers(folders):
    """The scores of the methods without training, by method and test."""
    rows = {"filtered backprojection": {}, "the same, Hann filter": {}, "MAP-TV, best strength": {}}
    prior = invnet.priors.TotalVariation()
    for name, test in all_tests(dict(folders)).items():
        rows["filtered backprojection"][name] = mean_psnr(lambda y, physics: physics.direct_inverse(y), test)
        rows["the same, Hann filter"][name] = mean_psnr(
            lambda y, physics: physics.operator.filtered_backprojection(y, "hann"), test
        )
        strengths = STRENGTHS[name.partition(", ")[2]]
        score, strength = best_map(prior, strengths, test, bounds=(0, 1), tol=2e-5, max_iter=2000)
        print(f"{name}: best strength {strength:g}")
        rows["MAP-TV, best strength"][name] = score
    return rows


def measure(name, folders):
    """The mean PSNR of a pretrained model by test."""
    model = invnet.pretrained(name)
    return {label: mean_psnr(model, test) for label, test in all_tests(folders).items()}


def table(name, folders):
    """The lines of a table: the methods without training, and the model."""
    rows = {**peers(tuple(sorted(folders.items()))), name: measure(name, folders)}
    return lines(list(rows[name]), rows)
