"""Which samples of Cartesian k-space are taken: random and equispaced lines, Poisson discs, CAIPIRINHA lattices."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from operators.checks import Shape, as_shape, check_generator, check_number, check_positive_int, per_dimension

__all__ = ["caipi_mask", "equispaced_mask", "poisson_disc_mask", "random_mask"]


def random_mask(lines: int, acceleration: float, center_fraction: float, *, generator: torch.Generator) -> torch.Tensor:
    """Lines drawn at random around a centre that is sampled whole, as in fastMRI [1]_.

    Outside of the centre every line is drawn with the same probability, such that ``lines / acceleration`` are expected
    in all.

    Parameters
    ----------
    lines : int
        The size of k-space across the lines.
    acceleration : float
        At least 1.
    center_fraction : float
        The centre's share of all lines, from 0 to 1: fastMRI takes 0.08 for an acceleration of 4, and 0.04 for 8.
    generator : torch.Generator

    Returns
    -------
    torch.Tensor, shape (lines,), boolean
        A mask for `CartesianMRI`.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range, or the centre holds more lines than the acceleration leaves.

    References
    ----------
    .. [1] J. Zbontar et al., "fastMRI: an open dataset and benchmarks for accelerated MRI", arXiv:1811.08839, 2018.

    Examples
    --------
    >>> mask = random_mask(320, acceleration=4, center_fraction=0.08, generator=torch.Generator().manual_seed(0))
    >>> mask.shape, bool(mask[148:172].all())
    (torch.Size([320]), True)
    """
    centre = _centre_lines(lines, acceleration, center_fraction, "random_mask")
    check_generator(generator, "random_mask")
    probability = (lines / acceleration - centre) / (lines - centre) if centre < lines else 0.0
    drawn = torch.rand(lines, generator=generator, device=generator.device) < probability
    return _with_centre(drawn, centre)


def equispaced_mask(
    lines: int, acceleration: float, center_fraction: float, *, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Lines at equal distances around a centre that is sampled whole, as in fastMRI ("equispaced fraction").

    The distance is that at which, with the centre, ``lines / acceleration`` lines are sampled.

    Parameters
    ----------
    lines : int
        The size of k-space across the lines.
    acceleration : float
        At least 1.
    center_fraction : float
        The centre's share of all lines, from 0 to 1.
    generator : torch.Generator, optional
        Draws the first line; by default it is the one at index 0.

    Returns
    -------
    torch.Tensor, shape (lines,), boolean

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range, or the centre holds more lines than the acceleration leaves.

    References
    ----------
    J. Zbontar et al., "fastMRI: an open dataset and benchmarks for accelerated MRI", arXiv:1811.08839, 2018.

    Examples
    --------
    >>> equispaced_mask(12, acceleration=3, center_fraction=0.17).int()
    tensor([1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 0], dtype=torch.int32)
    """
    centre = _centre_lines(lines, acceleration, center_fraction, "equispaced_mask")
    outside = lines / acceleration - centre
    if outside <= 0:
        return _with_centre(torch.zeros(lines, dtype=torch.bool), centre)
    step = (lines - centre) / outside
    first = 0
    if generator is not None:
        check_generator(generator, "equispaced_mask")
        first = int(torch.randint(max(round(step), 1), (), generator=generator, device=generator.device))
    # The positions are rounded as numpy and torch do, to even.
    positions = torch.arange(first, max(lines - 1, first), step, dtype=torch.float64).round().long()
    mask = torch.zeros(lines, dtype=torch.bool)
    mask[positions] = True
    return _with_centre(mask, centre)


def poisson_disc_mask(
    shape: Shape,
    acceleration: float,
    *,
    generator: torch.Generator,
    calibration: Shape = 0,
    crop_corners: bool = True,
    tolerance: float = 0.05,
) -> torch.Tensor:
    """Samples at random distances that grow from the centre: variable-density Poisson discs [1]_.

    No two samples outside of the calibration region are nearer to each other than the smaller of their radii. A radius
    is proportional to the distance from the centre, at the rate for which the acceleration is as asked, and at least 1,
    where all is sampled.

    Parameters
    ----------
    shape : int or sequence of int
        Of k-space, in one or two dimensions.
    acceleration : float
        Above 1: the size of k-space over the number of samples.
    generator : torch.Generator
    calibration : int or sequence of int
        Sizes of the centre that is sampled whole.
    crop_corners : bool
        Whether nothing is sampled outside of the inscribed ellipse.
    tolerance : float
        The relative error of the acceleration that is allowed.

    Returns
    -------
    torch.Tensor, shape ``(*shape)``, boolean

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range, or no sampling comes near the acceleration.

    References
    ----------
    .. [1] R. Bridson, "Fast Poisson disk sampling in arbitrary dimensions", SIGGRAPH sketches, 2007; the variable
       density is that of M. Lustig and J. Pauly, Magn. Reson. Med. 64, 2010.

    Examples
    --------
    >>> mask = poisson_disc_mask((64, 48), 6, generator=torch.Generator().manual_seed(0), calibration=12)
    >>> abs(mask.numel() / mask.sum().item() / 6 - 1) < 0.05
    True
    """
    owner = "poisson_disc_mask"
    sizes = as_shape(shape, owner, "shape")
    if len(sizes) > 2:
        raise ValueError(f"{owner}: takes a shape of one or two dimensions, got {sizes}")
    target = check_number(acceleration, owner, "acceleration")
    if target <= 1:
        raise ValueError(f"{owner}: acceleration must be above 1, got {acceleration}")
    check_generator(generator, owner)
    centre = _calibration_region(sizes, calibration, owner)
    height, width = sizes if len(sizes) == 2 else (1, sizes[0])
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    # The distance from the centre, 1 at the borders.
    distance = torch.hypot(_share(rows, height), _share(columns, width))
    allowed = distance <= 1 if crop_corners else torch.ones_like(distance, dtype=torch.bool)
    order = torch.randperm(height * width, generator=generator, device=generator.device).cpu()
    order = order[allowed.flatten()[order]]
    low, high = 0.0, float(max(height, width))
    for _ in range(40):
        slope = (low + high) / 2
        mask = _thrown(order, (slope * distance).clamp(1, max(height, width))).reshape(sizes) | centre
        reached = mask.numel() / int(mask.sum())
        if abs(reached / target - 1) <= tolerance:
            return mask
        low, high = (slope, high) if reached < target else (low, slope)
    raise ValueError(
        f"{owner}: no sampling of {sizes} comes within {tolerance:.0%} of an acceleration of {acceleration}; "
        f"the nearest is {reached:.3g}"
    )


def caipi_mask(
    shape: Sequence[int], acceleration: Sequence[int], *, shift: int = 1, calibration: Shape = 0
) -> torch.Tensor:
    """A sheared lattice of samples in the two phase-encoding dimensions: 2D CAIPIRINHA [1]_.

    Every ``R_1``-th row is sampled at every ``R_2``-th column, and from one sampled row to the next the columns move by
    `shift`. The lattice holds the centre of k-space.

    Parameters
    ----------
    shape : sequence of two int
    acceleration : sequence of two int
        ``(R_1, R_2)``.
    shift : int
        At least 0, where there is no shear, and below ``R_2``.
    calibration : int or sequence of int
        Sizes of the centre that is sampled whole.

    Returns
    -------
    torch.Tensor, shape ``(*shape)``, boolean

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range.

    References
    ----------
    .. [1] F. A. Breuer et al., "Controlled aliasing in volumetric parallel imaging (2D CAIPIRINHA)",
       Magn. Reson. Med. 55, 2006.

    Examples
    --------
    >>> caipi_mask((4, 4), (1, 2), shift=1).int()
    tensor([[1, 0, 1, 0],
            [0, 1, 0, 1],
            [1, 0, 1, 0],
            [0, 1, 0, 1]], dtype=torch.int32)
    """
    sizes = as_shape(shape, "caipi_mask", "shape")
    if len(sizes) != 2:
        raise ValueError(f"caipi_mask: takes a shape of two dimensions, got {sizes}")
    first, second = per_dimension(acceleration, 2, "caipi_mask", "acceleration")
    if isinstance(shift, bool) or not isinstance(shift, int) or not 0 <= shift < second:
        raise ValueError(f"caipi_mask: shift takes an integer from 0 to {second - 1}, got {shift!r}")
    rows, columns = (torch.arange(n) - n // 2 for n in sizes)
    step = torch.div(rows, first, rounding_mode="floor")
    lattice = (rows % first == 0)[:, None] & ((columns[None] - shift * step[:, None]) % second == 0)
    return lattice | _calibration_region(sizes, calibration, "caipi_mask")


def _centre_lines(lines: int, acceleration: float, center_fraction: float, owner: str) -> int:
    check_positive_int(lines, owner, "lines")
    if check_number(acceleration, owner, "acceleration") < 1:
        raise ValueError(f"{owner}: acceleration must be at least 1, got {acceleration}")
    if not 0 <= check_number(center_fraction, owner, "center_fraction") <= 1:
        raise ValueError(f"{owner}: center_fraction must be from 0 to 1, got {center_fraction}")
    centre = round(lines * center_fraction)
    if centre > math.ceil(lines / acceleration):
        raise ValueError(
            f"{owner}: a centre of {centre} lines is more than the {lines / acceleration:.4g} that an acceleration of "
            f"{acceleration:g} leaves of {lines}"
        )
    return centre


def _with_centre(mask: torch.Tensor, centre: int) -> torch.Tensor:
    before = (len(mask) - centre + 1) // 2
    mask[before : before + centre] = True
    return mask


def _calibration_region(shape: tuple[int, ...], calibration: Shape, owner: str) -> torch.Tensor:
    sizes = (0,) * len(shape) if calibration == 0 else per_dimension(calibration, len(shape), owner, "calibration")
    if any(c > n for c, n in zip(sizes, shape, strict=True)):
        raise ValueError(f"{owner}: takes a calibration region within {shape}, got {sizes}")
    region = torch.zeros(shape, dtype=torch.bool)
    region[tuple(slice(n // 2 - c // 2, n // 2 - c // 2 + c) for n, c in zip(shape, sizes, strict=True))] = True
    return region


def _share(index: torch.Tensor, n: int) -> torch.Tensor:
    return (index - n // 2).double() / max(n / 2, 1)


def _thrown(order: torch.Tensor, radii: torch.Tensor) -> torch.Tensor:
    """Darts in the given order: one that sticks keeps all later ones out of its disc."""
    height, width = radii.shape
    free, sampled = torch.ones(radii.shape, dtype=torch.bool).numpy(), torch.zeros(radii.shape, dtype=torch.bool)
    kept = sampled.numpy()
    r = radii.numpy()
    squares = torch.arange(-max(height, width), max(height, width) + 1).square().numpy()
    origin = max(height, width)
    for index in order.tolist():
        i, j = divmod(index, width)
        if not free[i, j]:
            continue
        kept[i, j] = True
        reach = math.ceil(r[i, j]) - 1
        top, bottom, left, right = (
            max(i - reach, 0),
            min(i + reach + 1, height),
            max(j - reach, 0),
            min(j + reach + 1, width),
        )
        rows = squares[origin + top - i : origin + bottom - i, None]
        columns = squares[origin + left - j : origin + right - j]
        free[top:bottom, left:right] &= rows + columns >= r[i, j] ** 2
    return sampled
