"""Magnetic resonance imaging: encoding operators, coil sensitivities, sampling masks and trajectories."""

from operators.density import pipe_menon
from operators.mri.cartesian import CartesianMRI
from operators.mri.coils import coil_compression, noise_whitening
from operators.mri.maps import SensitivityMaps
from operators.mri.noise import noise_deviation
from operators.mri.noncartesian import NonCartesianMRI
from operators.mri.off_resonance import OffResonance
from operators.mri.sampling import caipi_mask, equispaced_mask, poisson_disc_mask, random_mask
from operators.mri.sensitivities import espirit_maps, walsh_maps
from operators.mri.trajectories import radial_trajectory, rosette_trajectory, spiral_trajectory
from operators.voronoi import voronoi_density

__all__ = [
    "CartesianMRI",
    "NonCartesianMRI",
    "OffResonance",
    "SensitivityMaps",
    "caipi_mask",
    "coil_compression",
    "equispaced_mask",
    "espirit_maps",
    "noise_deviation",
    "noise_whitening",
    "pipe_menon",
    "poisson_disc_mask",
    "radial_trajectory",
    "random_mask",
    "rosette_trajectory",
    "spiral_trajectory",
    "voronoi_density",
    "walsh_maps",
]
