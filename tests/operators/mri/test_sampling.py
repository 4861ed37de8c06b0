"""Sampling masks and trajectories against their definitions, fastMRI's formulas and sigpy."""

import math

import numpy as np
import pytest
import sigpy.mri
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.mri import (
    caipi_mask,
    equispaced_mask,
    poisson_disc_mask,
    radial_trajectory,
    random_mask,
    rosette_trajectory,
    spiral_trajectory,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def fastmri_equispaced(lines, acceleration, center_fraction):
    """The published definition of fastMRI's "equispaced fraction" mask, with the first line at 0."""
    low = round(lines * center_fraction)
    adjusted = (acceleration * (low - lines)) / (low * acceleration - lines)
    mask = np.zeros(lines, dtype=bool)
    mask[np.around(np.arange(0, lines - 1, adjusted)).astype(int)] = True
    pad = (lines - low + 1) // 2
    mask[pad : pad + low] = True
    return mask


@pytest.mark.parametrize("lines", [320, 368, 321, 40])
@pytest.mark.parametrize(("acceleration", "center_fraction"), [(4, 0.08), (8, 0.04), (3, 0.1)])
def test_equispaced_is_fastmris(lines, acceleration, center_fraction):
    ours = equispaced_mask(lines, acceleration, center_fraction)
    assert np.array_equal(ours.numpy(), fastmri_equispaced(lines, acceleration, center_fraction))


@given(st.integers(16, 400), st.sampled_from([2, 4, 8]), st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_centre_is_sampled_and_masks_repeat(lines, acceleration, seed):
    for make in (random_mask, equispaced_mask):
        mask = make(lines, acceleration, 0.08, generator=generator(seed))
        low = round(lines * 0.08)
        start = (lines - low + 1) // 2
        assert bool(mask[start : start + low].all())
        assert torch.equal(mask, make(lines, acceleration, 0.08, generator=generator(seed)))


def test_random_samples_as_many_as_the_acceleration_says():
    counts = [random_mask(320, 4, 0.08, generator=generator(seed)).sum().item() for seed in range(400)]
    outside = 320 - 26
    p = (80 - 26) / outside
    deviation = math.sqrt(outside * p * (1 - p) / 400)
    assert abs(np.mean(counts) - 80) < 4 * deviation


def test_equispaced_draws_its_first_line():
    masks = {tuple(equispaced_mask(64, 4, 0.08, generator=generator(seed)).tolist()) for seed in range(30)}
    assert len(masks) > 2


@pytest.mark.parametrize("shape", [(96, 80), (64, 64), (200,)])
@pytest.mark.parametrize("acceleration", [3, 6, 10])
def test_poisson_discs(shape, acceleration):
    mask = poisson_disc_mask(shape, acceleration, generator=generator(), calibration=8)
    assert abs(mask.numel() / mask.sum().item() / acceleration - 1) <= 0.05
    centre = tuple(slice(n // 2 - 4, n // 2 + 4) for n in shape)
    assert bool(mask[centre].all())
    assert torch.equal(mask, poisson_disc_mask(shape, acceleration, generator=generator(), calibration=8))
    assert not torch.equal(mask, poisson_disc_mask(shape, acceleration, generator=generator(1), calibration=8))


def test_poisson_discs_keep_their_distance():
    """Further out the nearest neighbour is further away, and never nearer than half of what is typical there."""
    mask = poisson_disc_mask((128, 128), 12, generator=generator())
    points = mask.nonzero().double()
    nearest = (torch.cdist(points, points) + 1e9 * torch.eye(len(points))).amin(1)
    radius = (points - 64).norm(dim=1)
    typical = []
    for low in (0, 20, 40):
        ring = nearest[(radius >= low) & (radius < low + 20)]
        assert ring.min() > 0.5 * ring.median()
        typical.append(ring.median())
    assert typical[0] < typical[1] < typical[2]
    assert not bool(mask[0, 0])
    assert radius.max() <= 64


def test_caipi_is_a_lattice():
    mask = caipi_mask((12, 18), (2, 3), shift=1)
    assert mask.sum() == 12 * 18 / 6
    assert bool(mask[6, 9])
    for row in range(0, 10, 2):
        assert torch.equal(mask[row + 2], mask[row].roll(1))
    assert not bool(mask[1::2].any())
    assert torch.equal(
        caipi_mask((12, 18), (2, 3), shift=0), mask[6].expand(12, 18) & (torch.arange(12) % 2 == 0)[:, None]
    )


def test_radial_angles():
    points = radial_trajectory((64, 48), 7, 32)
    assert points[:, 16].abs().max() == 0
    directions = torch.view_as_complex((points[:, 20] / torch.tensor([64.0, 48.0])).flip(-1))
    steps = torch.angle(directions[1:] / directions[:-1]).rad2deg()
    torch.testing.assert_close(steps, torch.full_like(steps, 111.246117975), rtol=0, atol=1e-6)
    assert points.abs().amax((0, 1)).tolist() <= [32, 24]
    tiny = torch.view_as_complex(radial_trajectory((2, 2), 2, 8, order="tiny")[:, 6].flip(-1))
    assert abs(torch.angle(tiny[1] / tiny[0]).rad2deg().item() - 23.6281) < 1e-3


def test_radial_equals_sigpy():
    """Its spokes are the halves of ours, outwards from the centre, at steps of twice the angle."""
    theirs = sigpy.mri.radial((5, 16, 2), (32, 32), golden=False, dtype=np.float64)
    ours = radial_trajectory((32, 32), 5, 32, order="uniform").numpy()
    halves = {tuple(np.round(point, 6) + 0.0) for point in np.concatenate([ours[:, 16:], -ours[:, 16:]]).reshape(-1, 2)}
    assert {tuple(np.round(point, 6) + 0.0) for point in theirs.reshape(-1, 2)} <= halves


def test_spirals_turn_once_for_each_cycle():
    """Neighbouring turns, over all arms, are a cycle per field of view apart."""
    points = torch.view_as_complex(spiral_trajectory((64, 64), 4, 20001).flip(-1))
    on_axis = (points.imag[:, :-1] < 0) & (points.imag[:, 1:] >= 0) & (points.real[:, 1:] > 0)
    crossings = torch.sort(points.real[:, 1:][on_axis]).values
    gaps = crossings.diff()
    torch.testing.assert_close(gaps, torch.ones_like(gaps), rtol=0, atol=1e-2)
    dense = spiral_trajectory((64, 64), 4, 1000, density=2).norm(dim=-1)
    assert (dense < 8).sum() > 1.5 * (spiral_trajectory((64, 64), 4, 1000).norm(dim=-1) < 8).sum()


def test_rosette_petals_pass_the_centre():
    points = rosette_trajectory((32, 32), 9, 100)
    assert points[:, 0].abs().max() < 1e-12
    torch.testing.assert_close(points.norm(dim=-1).amax(1), torch.full((9,), 16.0, dtype=torch.float64))


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: random_mask(320, 0.5, 0.1, generator=generator()), ValueError, "acceleration must be at least 1"),
        (lambda: random_mask(320, 4, 1.5, generator=generator()), ValueError, "center_fraction must be from 0 to 1"),
        (
            lambda: random_mask(320, 8, 0.5, generator=generator()),
            ValueError,
            "a centre of 160 lines is more than the 40",
        ),
        (lambda: equispaced_mask(0, 4, 0.1), ValueError, "lines must be at least 1"),
        (lambda: poisson_disc_mask((8, 8), 1, generator=generator()), ValueError, "acceleration must be above 1"),
        (lambda: poisson_disc_mask((8, 8, 8), 4, generator=generator()), ValueError, "one or two dimensions"),
        (
            lambda: poisson_disc_mask((8, 8), 4, generator=generator(), calibration=9),
            ValueError,
            "calibration region within (8, 8)",
        ),
        (
            lambda: poisson_disc_mask((8, 8), 60, generator=generator(), calibration=6),
            ValueError,
            "no sampling of (8, 8) comes within",
        ),
        (lambda: random_mask(320, 4, 0.1, generator=None), TypeError, "random_mask: takes an explicit generator"),
        (lambda: equispaced_mask(320, 4, 0.1, generator=0), TypeError, "equispaced_mask: takes an explicit generator"),
        (
            lambda: poisson_disc_mask((8, 8), 4, generator=0),
            TypeError,
            "poisson_disc_mask: takes an explicit generator",
        ),
        (lambda: caipi_mask((8, 8), (2, 2), shift=2), ValueError, "shift takes an integer from 0 to 1"),
        (lambda: caipi_mask((8,), (2, 2)), ValueError, "two dimensions"),
        (lambda: radial_trajectory((8, 8, 8), 2, 4), ValueError, "in_shape of two dimensions"),
        (lambda: radial_trajectory((8, 8), 2, 4, order="random"), ValueError, "order takes one of"),
        (lambda: spiral_trajectory((8, 8), 2, 4, turns=0.0), ValueError, "turns must be positive"),
        (lambda: rosette_trajectory((8, 8), 2.5, 4), TypeError, "petals takes an integer"),
    ],
)
def test_bad_input_is_told(call, kind, message):
    with pytest.raises(kind) as error:
        call()
    assert message in str(error.value)
