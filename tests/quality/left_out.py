"""Real k-space without a reference: how well an image foretells samples that it was not reconstructed from."""

from pathlib import Path

import numpy as np
import torch

import invnet
from operators import CartesianMRI
from operators.mri import espirit_maps, noise_deviation
from operators.solve import lstsq

SHARE = 0.1  # of the samples outside the middle
MIDDLE = 12  # points from the centre that are always kept: the sensitivities are found from them


def peers():
    """The methods that were not trained for it, by name."""
    return {
        "zero-filled": invnet.DirectInverse(),
        "SENSE": lambda y, physics: lstsq(physics.operator, y, damping=0.01, tol=1e-3),
        "MAP-TV": invnet.MAP(invnet.priors.TotalVariation(), 20.0, tol=2e-4),
        "plug and play, denoiser-gray": invnet.PlugAndPlay(invnet.pretrained("denoiser-gray")),
    }


def brain(folder):
    """K-space of eight coils, of 12 % of its points, with its largest image value brought to about one."""
    kspace = torch.from_numpy(np.load(Path(folder) / "mri" / "brain_8coil_poisson_kspace.npy"))
    mask = (kspace != 0).all(0)
    rows, columns = (torch.arange(n) - n // 2 for n in mask.shape)
    inner = (rows[:, None].abs() <= MIDDLE) & (columns.abs() <= MIDDLE)
    drawn = torch.rand(mask.shape, generator=torch.Generator().manual_seed(0)) < SHARE
    left_out = mask & ~inner & drawn
    maps = espirit_maps(kspace * inner)
    scale = CartesianMRI(mask & ~left_out, maps).direct_inverse(kspace).abs().max()
    return kspace / scale, mask & ~left_out, left_out, maps, (noise_deviation(kspace, mask.shape) / scale).item()


@torch.inference_mode()
def errors(methods, folder):
    """The error of the samples left out, relative to their size, by method."""
    kspace, kept, left_out, maps, sigma = brain(folder)
    physics = invnet.Physics(CartesianMRI(kept, maps), noise=invnet.noise.Gaussian(sigma))
    other = CartesianMRI(left_out, maps)
    truth = kspace * left_out
    return {
        name: ((other(method(kspace * kept, physics)) - truth).norm() / truth.norm()).item()
        for name, method in methods.items()
    }
