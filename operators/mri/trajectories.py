"""Trajectories through two-dimensional k-space, in cycles per field of view: radial, spiral and rosette.

Coordinates are in the order of the image's axes. Angles are counted from the last axis towards the first.
"""

from __future__ import annotations

import math

import torch

from operators.checks import Shape, as_shape, check_choice, check_positive, check_positive_int

__all__ = ["radial_trajectory", "rosette_trajectory", "spiral_trajectory"]

GOLDEN_ANGLE = math.pi * (math.sqrt(5) - 1) / 2  # 111.25 degrees


def radial_trajectory(in_shape: Shape, spokes: int, samples: int, order: str = "golden") -> torch.Tensor:
    """Spokes through the centre of k-space.

    Parameters
    ----------
    in_shape : (int, int)
        Of the image: a spoke along its d-th axis goes from ``-n_d / 2`` to just below ``n_d / 2``. The centre is sample
        ``samples // 2`` of every spoke.
    spokes, samples : int
        Their number, and that of the samples of each. ``samples = 2 n`` samples twice as finely as the field asks for;
        ``spokes = pi n / 2`` fill k-space.
    order : {"golden", "uniform", "tiny"}
        The angle from one spoke to the next: the golden angle, 111.25 degrees, by which any number of successive spokes
        are spread nearly evenly [1]_; ``pi / spokes``; or the seventh tiny golden angle, 23.63 degrees [2]_.

    Returns
    -------
    torch.Tensor, shape (spokes, samples, 2), float64

    Raises
    ------
    TypeError, ValueError
        If a number is not a positive integer, the shape not of two dimensions, or the order unknown.

    References
    ----------
    .. [1] S. Winkelmann et al., "An optimal radial profile order based on the golden ratio for time-resolved MRI",
       IEEE Trans. Med. Imaging 26, 2007.
    .. [2] S. Wundrak et al., "Golden ratio sparse MRI using tiny golden angles", Magn. Reson. Med. 75, 2016.

    Examples
    --------
    >>> points = radial_trajectory((8, 8), spokes=2, samples=4, order="uniform")
    >>> points[0]  # along the last axis
    tensor([[ 0., -4.],
            [ 0., -2.],
            [ 0.,  0.],
            [ 0.,  2.]], dtype=torch.float64)
    """
    owner = "radial_trajectory"
    size = _plane(in_shape, owner)
    check_positive_int(spokes, owner, "spokes")
    check_positive_int(samples, owner, "samples")
    golden_ratio = (1 + math.sqrt(5)) / 2
    steps = {"golden": GOLDEN_ANGLE, "uniform": math.pi / spokes, "tiny": math.pi / (golden_ratio + 6)}
    angles = steps[check_choice(order, steps, owner, "order")] * torch.arange(spokes, dtype=torch.float64)
    radii = (torch.arange(samples, dtype=torch.float64) - samples // 2) * 2 / samples
    return _scaled(radii * torch.polar(torch.ones_like(angles), angles)[:, None], size)


def spiral_trajectory(
    in_shape: Shape, arms: int, samples: int, turns: float | None = None, density: float = 1.0
) -> torch.Tensor:
    """Spirals from the centre of k-space to its border, the arms at equal angles.

    ``k(t) = n / 2 t^density exp(2 pi i (turns t + arm / arms))``, with t at equal distances from 0 to 1.

    Parameters
    ----------
    in_shape : (int, int)
        Of the image.
    arms, samples : int
        Their number, and that of the samples of each.
    turns : float, optional
        Of each arm; by default ``n / (2 arms)``, by which neighbouring turns are a cycle per field of view apart.
    density : float
        1 is Archimedes' spiral; a larger exponent samples the centre more densely.

    Returns
    -------
    torch.Tensor, shape (arms, samples, 2), float64

    Raises
    ------
    TypeError, ValueError
        If a number is not positive, or the shape not of two dimensions.

    References
    ----------
    C. B. Ahn, J. H. Kim and Z. H. Cho, "High-speed spiral-scan echo planar NMR imaging", IEEE Trans. Med. Imaging 5,
    1986.

    Examples
    --------
    >>> points = spiral_trajectory((64, 64), arms=8, samples=500)
    >>> points.shape, points.norm(dim=-1).max().item()
    (torch.Size([8, 500, 2]), 32.0)
    """
    owner = "spiral_trajectory"
    size = _plane(in_shape, owner)
    check_positive_int(arms, owner, "arms")
    check_positive_int(samples, owner, "samples")
    turns = check_positive(max(size) / (2 * arms) if turns is None else turns, owner, "turns")
    t = torch.linspace(0, 1, samples, dtype=torch.float64)
    angles = 2 * torch.pi * (turns * t + torch.arange(arms, dtype=torch.float64)[:, None] / arms)
    radii = t ** check_positive(density, owner, "density")
    return _scaled(torch.polar(radii.expand(arms, -1), angles), size)


def rosette_trajectory(in_shape: Shape, petals: int, samples: int, turns: float = 1.0) -> torch.Tensor:
    """A curve that oscillates through the centre of k-space while it turns: petals.

    ``k(t) = n / 2 sin(pi petals t) exp(pi i turns t)``, with t at equal distances from 0 to below 1: each half
    oscillation is a petal.

    Parameters
    ----------
    in_shape : (int, int)
        Of the image.
    petals, samples : int
        Their number, and that of the samples of each.
    turns : float
        Half turns of the whole: 1 spreads the oscillations over all directions.

    Returns
    -------
    torch.Tensor, shape (petals, samples, 2), float64

    Raises
    ------
    TypeError, ValueError
        If a number is not positive, or the shape not of two dimensions.

    References
    ----------
    D. C. Noll, "Multishot rosette trajectories for spectrally selective MR imaging", IEEE Trans. Med. Imaging 16, 1997.

    Examples
    --------
    >>> points = rosette_trajectory((64, 64), petals=32, samples=200)
    >>> points.shape, points[:, 0].norm(dim=-1).max().item() < 1e-9  # every petal begins at the centre
    (torch.Size([32, 200, 2]), True)
    """
    owner = "rosette_trajectory"
    size = _plane(in_shape, owner)
    check_positive_int(petals, owner, "petals")
    check_positive_int(samples, owner, "samples")
    t = torch.arange(petals * samples, dtype=torch.float64) / (petals * samples)
    phase = torch.pi * check_positive(turns, owner, "turns") * t
    curve = torch.sin(torch.pi * petals * t) * torch.polar(torch.ones_like(t), phase)
    return _scaled(curve.reshape(petals, samples), size)


def _plane(in_shape: Shape, owner: str) -> tuple[int, int]:
    shape = as_shape(in_shape, owner)
    if len(shape) != 2:
        raise ValueError(f"{owner}: takes an in_shape of two dimensions, got {shape}")
    return shape[0], shape[1]


def _scaled(curve: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """A curve within the unit disc of the complex plane as points of k-space: the real axis is the last one."""
    return torch.stack([curve.imag * size[0] / 2, curve.real * size[1] / 2], -1)
