"""Geometries in three dimensions in use: ASTRA's descriptions, gradients, reconstruction, and what is refused."""

import math

import numpy as np
import pytest
import torch

import operators
from operators import ConeBeam, FanBeam, ParallelBeam, ParallelBeam3D, VectorBeam
from operators.ct import from_astra, reference3d
from tests import peers
from tests.operators.ct import volumes
from tests.operators.ct.geometries import full_turn, quietly
from tests.operators.ct.test_exactness import close, random

needs_astra = pytest.mark.skipif(not peers.has("astra"), reason="needs astra (pip install astra-toolbox)")
ANGLES = np.array([0.1, 0.9, 1.9, 3.3, 4.4])
PLANE = {"GridRowCount": 10, "GridColCount": 12}
PLANE_OFF = PLANE | {"option": {"WindowMinX": -7, "WindowMaxX": 5, "WindowMinY": -4, "WindowMaxY": 6}}
VOLUME = PLANE | {"GridSliceCount": 7}
VOLUME_OFF = VOLUME | {"option": PLANE_OFF["option"] | {"WindowMinZ": -3, "WindowMaxZ": 4}}
PARALLEL = {"type": "parallel", "DetectorWidth": 1.2, "DetectorCount": 20, "ProjectionAngles": ANGLES}
FAN = PARALLEL | {"type": "fanflat", "DetectorCount": 40, "DistanceOriginSource": 30.0, "DistanceOriginDetector": 8.0}
PARALLEL3D = {
    "type": "parallel3d", "DetectorSpacingX": 1.2, "DetectorSpacingY": 1.1, "DetectorRowCount": 12,
    "DetectorColCount": 22, "ProjectionAngles": ANGLES,
}  # fmt: skip
CONE = PARALLEL3D | {
    "type": "cone",
    "DetectorColCount": 40,
    "DistanceOriginSource": 30.0,
    "DistanceOriginDetector": 8.0,
}


# ---------------------------------------------------------------- ASTRA


@needs_astra
@pytest.mark.parametrize("window", [PLANE, PLANE_OFF], ids=["centred", "off"])
def test_planar_geometries_of_astra_measure_what_astra_does(window):
    astra = peers.astra()
    volume = astra.create_vol_geom(10, 12, *window.get("option", {}).values())
    x = random(10, 12)
    for vectors in (False, True):
        geometry = astra.create_proj_geom("parallel", 1.2, 20, ANGLES)
        geometry = astra.functions.geom_2vec(geometry) if vectors else geometry
        projector = astra.create_projector("linear", geometry, volume)
        _, expected = astra.create_sino(x.numpy(), projector)
        close(from_astra(geometry, volume)(x), torch.as_tensor(expected).double(), 1e-5)


@needs_astra
def test_slices_of_a_parallel_volume_measure_what_astra_does_of_images():
    # ASTRA has no projector of volumes on a CPU; its volumes have y along the rows, its images against them.
    astra = peers.astra()
    geometry = astra.create_proj_geom("parallel3d", 1.2, 1.0, 7, 20, ANGLES)
    A = from_astra(geometry, astra.create_vol_geom(10, 12, 7))
    x = random(7, 10, 12)
    planar = astra.create_proj_geom("parallel", 1.2, 20, ANGLES)
    projector = astra.create_projector("linear", planar, astra.create_vol_geom(10, 12))
    for k in range(7):
        _, expected = astra.create_sino(x[k].flip(0).contiguous().numpy(), projector)
        close(A(x)[:, k], torch.as_tensor(expected).double(), 1e-5)


@needs_astra
@pytest.mark.parametrize("geometry", [PARALLEL, FAN, PARALLEL3D, CONE], ids=lambda geometry: geometry["type"])
def test_vectors_by_astra_measure_what_the_named_geometry_does(geometry):
    for volume in (VOLUME, VOLUME_OFF) if "3d" in geometry["type"] or geometry is CONE else (PLANE, PLANE_OFF):
        named, by_vectors = (
            from_astra(each, volume) for each in (geometry, peers.astra().functions.geom_2vec(geometry))
        )
        assert isinstance(by_vectors, VectorBeam)
        x = random(*named.in_shape)
        close(by_vectors(x), named(x), 1e-12)


@pytest.mark.parametrize(
    ("geometry", "volume", "kind"),
    [
        (PARALLEL, PLANE, ParallelBeam),
        (FAN, PLANE, FanBeam),
        (PARALLEL3D, VOLUME, ParallelBeam3D),
        (CONE, VOLUME, ConeBeam),
    ],
    ids=lambda value: value.get("type", "") if isinstance(value, dict) else None,
)
def test_astra_geometries_by_their_names(geometry, volume, kind):
    assert type(from_astra(geometry, volume)) is kind


@pytest.mark.parametrize(
    ("geometry", "volume", "says"),
    [
        ({"type": "cyl_cone_vec"}, VOLUME, "parallel, fanflat, .* got 'cyl_cone_vec'"),
        ({}, VOLUME, "got None"),
        (PARALLEL, VOLUME, "an image without GridSliceCount"),
        (CONE, PLANE, "a volume with GridSliceCount"),
        ({"type": "parallel", "DetectorCount": 3}, PLANE, "lacks 'ProjectionAngles'"),
        ({"type": "cone_vec", "DetectorRowCount": 3, "DetectorColCount": 4, "Vectors": np.ones((2, 6))}, VOLUME, "12"),
    ],
)
def test_wrong_astra_geometries_raise(geometry, volume, says):
    with pytest.raises(ValueError, match=says):
        from_astra(geometry, volume)


# ---------------------------------------------------------------- gradients of the geometry


def tensor(value):
    return torch.tensor(value, dtype=torch.float64)


PARTS = {
    "angles": tensor([0.13, 1.07, 2.71]),
    "detector_spacing": tensor([0.83, 1.17]),
    "detector_offset": tensor([[0.21, -0.4], [0.1, 0.3], [-0.2, 0.5]]),
    "center": tensor([0.37, -0.53, 0.29]),
}
CONE_PARTS = PARTS | {"source_distance": tensor(21.3), "detector_distance": tensor(9.1), "pitch": tensor(2.3)}
PHANTOM = volumes.gaussian((7, 8, 9), (0.5, -1.0, 0.3), 2.0)


@pytest.mark.parametrize(
    ("make", "parts", "name"),
    [(ParallelBeam3D, PARTS, name) for name in PARTS] + [(ConeBeam, CONE_PARTS, name) for name in CONE_PARTS],
)
def test_gradients_of_the_geometry_are_those_of_finite_differences(make, parts, name):
    def project(value):
        return quietly(make, (7, 8, 9), detectors=(5, 6), **parts | {name: torch.nn.Parameter(value)})

    value = parts[name]
    A = project(value)
    weights = random(*A.out_shape)
    (gradient,) = torch.autograd.grad((A(PHANTOM) * weights).sum(), getattr(A, name))
    for n in range(value.numel()):
        change = torch.zeros_like(value)
        change.view(-1)[n] = 1e-6
        with torch.no_grad():
            slope = ((project(value + change)(PHANTOM) - project(value - change)(PHANTOM)) * weights).sum() / 2e-6
        assert float(gradient.reshape(-1)[n]) == pytest.approx(float(slope), rel=1e-5, abs=1e-5)


def test_gradients_of_vectors_by_kernel_and_by_reference_agree():
    away = torch.nn.functional.normalize(random(5, 3)) * 40
    vectors = torch.nn.Parameter(torch.cat([away, -away / 2, random(5, 6)], 1))
    A = VectorBeam((7, 8, 9), vectors, (6, 7), "cone")
    x, y = random(2, *A.in_shape), random(2, *A.out_shape)
    geometry, views = A._rays()
    expected = reference3d.view_gradient(x, y, geometry)
    (got,) = torch.autograd.grad((A._maps[0](x, geometry, views) * y).sum(), views)
    close(got, expected, 1e-11)
    (by_adjoint,) = torch.autograd.grad((A.adjoint(y) * x).sum(), vectors)
    (by_forward,) = torch.autograd.grad((A(x) * y).sum(), vectors)
    close(by_adjoint, by_forward, 1e-11)


# ---------------------------------------------------------------- reconstruction


def balls(*shape):
    """A ball of value one that holds a smaller of value one and a half, and where each is well inside."""
    z, y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) - (n - 1) / 2 for n in shape), indexing="ij")
    large, small = (x**2 + y**2 + z**2).sqrt(), ((x - 4) ** 2 + (y + 3) ** 2 + z**2).sqrt()
    return (large < 15).double() + 0.5 * (small < 5), (large < 12) & (small > 8), small < 3


@pytest.mark.parametrize(
    "A",
    [
        ConeBeam((40, 40, 40), full_turn(150), (74, 76), 150.0, 50.0),
        ConeBeam((40, 40, 40), full_turn(150, 4.0), (74, 76), 150.0, 50.0),
        ConeBeam((40, 40, 40), full_turn(150), (74, 56), 150.0, 50.0, detector_offset=(0.0, 20.0)),
        ConeBeam((40, 40, 40), full_turn(150), (74, 90), 150.0, 50.0, detector_spacing=(1.2, -0.9), center=(1, -1, 1)),
        ParallelBeam3D((40, 40, 40), full_turn(120, math.pi)),
    ],
    ids=["full turn", "short scan", "half detector", "mirrored", "parallel"],
)
def test_filtered_backprojection_brings_the_values_back(A):
    phantom, inside_large, inside_small = balls(40, 40, 40)
    volume = A.direct_inverse(A(phantom))
    middle = slice(18, 22)
    assert float(volume[middle][inside_large[middle]].mean()) == pytest.approx(1.0, abs=0.01)
    assert float(volume[middle][inside_small[middle]].mean()) == pytest.approx(1.5, abs=0.01)
    assert float(volume[inside_large].mean()) == pytest.approx(1.0, abs=0.02)


def test_in_the_mid_plane_a_cone_is_reconstructed_as_a_fan():
    fan = FanBeam((20, 22), full_turn(40), 60, 60.0, 20.0, detector_offset=0.3, center=(0.5, 1.0))
    cone = ConeBeam((9, 20, 22), full_turn(40), (21, 60), 60.0, 20.0, detector_offset=(0, 0.3), center=(0.5, 1.0, 0))
    y = random(40, 60)
    data = y[:, None].expand(40, 21, 60)
    for window in ("ram-lak", "hann"):
        got = cone.filtered_backprojection(data, window)[4]
        close(got, fan.filtered_backprojection(y, window), 1e-12)


def test_filtered_backprojection_is_differentiable():
    A = ConeBeam((5, 6, 7), full_turn(6), (9, 14), 20.0, 5.0, detector_offset=(0.2, 0.4))
    y, x = random(2, *A.out_shape).requires_grad_(), random(2, *A.in_shape)
    (gradient,) = torch.autograd.grad((A.direct_inverse(y) * x).sum(), y)
    other = random(3, 2, *A.out_shape)[1]
    assert float((gradient * other).sum()) == pytest.approx(float((A.direct_inverse(other) * x).sum()), rel=1e-10)


def test_a_helical_scan_is_inverted_by_its_scaled_adjoint():
    A = quietly(ConeBeam, (6, 6, 6), torch.linspace(-9, 9, 12), (6, 14), 20.0, 5.0, pitch=2.0)
    y = random(*A.out_shape)
    close(A.direct_inverse(y), A.adjoint(y) / A.norm() ** 2, 1e-6)
    with pytest.raises(ValueError, match=r"ConeBeam: .*circular"):
        A.filtered_backprojection(y)


# ---------------------------------------------------------------- what is refused

GOOD = {
    "in_shape": (5, 6, 7),
    "angles": [0.0, 1.0],
    "detectors": (12, 20),
    "source_distance": 30.0,
    "detector_distance": 9.0,
}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"in_shape": (6, 7)}, "three dimensions"),
        ({"detectors": 12}, r"detectors as \(rows, columns\)"),
        ({"detectors": (0, 20)}, "detectors takes positive sizes"),
        ({"angles": []}, "at least one angle"),
        ({"angles": [0.0, math.nan]}, "angles must be finite"),
        ({"source_distance": 2.0}, "source enters the image of 5 x 6 x 7"),
        ({"source_distance": -30.0}, "positive source_distance"),
        ({"pixel_size": -1.0}, "pixel_size takes a positive number"),
        ({"pixel_size": (1.0, 2.0)}, "pixel_size"),
        ({"detector_spacing": 0.0}, "detector_spacing takes a number other than zero"),
        ({"detector_spacing": (1.0, math.nan)}, "detector_spacing"),
        ({"detector_offset": 1.0}, "detector_offset takes shape"),
        ({"center": (0.0, 0.0)}, r"center takes shape \(3,\)"),
        ({"pitch": math.inf}, "pitch must be finite"),
    ],
)
def test_wrong_geometries_raise(changed, says):
    with pytest.raises(ValueError, match=f"^ConeBeam: .*{says}"):
        quietly(ConeBeam, **GOOD | changed)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"angles": [0.0, 90.0, 180.0]}, "looks like degrees"),
        ({"detectors": (12, 5)}, "too narrow"),
        ({"detectors": (3, 20)}, "too low"),
    ],
)
def test_doubtful_geometries_warn(changed, says):
    with pytest.warns(UserWarning, match=f"^ConeBeam: .*{says}"):
        ConeBeam(**GOOD | changed)


def test_many_turns_are_no_mistake_of_a_helix():
    ConeBeam(**GOOD | {"angles": torch.linspace(-20, 20, 9)}, pitch=3.0)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (((6, 7), torch.ones(3, 12), 5), "vectors of shape"),
        (((5, 6, 7), torch.ones(3, 6), (5, 6)), "vectors of shape"),
        (((6, 7), torch.ones(3, 6), 5, "cone"), "a cone beam takes an in_shape of 3 dimensions"),
        (((5, 6, 7), torch.ones(3, 12), (5, 6), "fan"), "a fan beam takes an in_shape of 2 dimensions"),
        (((6, 7), torch.zeros(3, 6), 5), "no direction in 3 of 3 views"),
        (
            ((6, 7), torch.tensor([[0.0, 1, 0, 0, 0, 0]]), 5),
            "detector has no extent in 1 of 1 views: its steps",
        ),
        (
            ((6, 7, 8), torch.ones(3, 12), (4, 5)),
            "detector has no extent in 3 of 3 views: its steps",
        ),
        (((6, 7), torch.zeros(3, 6), 5, "fan"), "source enters the image"),
        (((6, 7), torch.tensor([[0.0, -20, 0, -40, 1, 0]]), 5, "fan"), "behind the source"),
        (((5, 6, 7), torch.tensor([[0.0, -20, 0, 0, -40, 0, 1, 0, 0, 0, 0, 1]]), (5, 5), "cone"), "behind the source"),
        (((6, 7), torch.full((3, 6), math.nan), 5), "finite"),
        (((6, 7), torch.ones(3, 6), 0), "detectors"),
    ],
)
def test_wrong_vectors_raise(arguments, says):
    with pytest.raises(ValueError, match=f"^VectorBeam: .*{says}"):
        operators.VectorBeam(*arguments)
