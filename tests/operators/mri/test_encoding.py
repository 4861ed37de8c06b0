"""Cartesian and non-Cartesian MRI against their definitions, sigpy and deepinv."""

import math

import numpy as np
import pytest
import sigpy.mri
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import operators
from operators import NUFFT, CartesianMRI, FourierTransform, Identity, NonCartesianMRI
from operators.fourier_multiplier import FourierMultiplier
from operators.mri import SensitivityMaps, radial_trajectory
from operators.mri.maps import CoilGram
from operators.testing import check_operator
from tests import peers


def random(*shape, dtype=torch.complex128, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def random_mask(*shape, seed=0):
    mask = torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) > 0.5
    mask[tuple(n // 2 for n in shape)] = True
    return mask


def close(got, expected, tolerance=1e-12):
    torch.testing.assert_close(got, torch.as_tensor(expected), rtol=tolerance, atol=tolerance)


def smooth_maps(coils, *shape):
    """Sensitivities that fall off from points around the image."""
    axes = torch.meshgrid(*[torch.linspace(-1, 1, n, dtype=torch.float64) for n in shape], indexing="ij")
    angles = 2 * torch.pi * torch.arange(coils, dtype=torch.float64) / coils
    distance = [(axes[0] - a.cos()) ** 2 + (axes[1] - a.sin()) ** 2 for a in angles]
    return torch.stack([torch.polar(torch.exp(-d), a + axes[0]) for d, a in zip(distance, angles, strict=True)])


# ---------------------------------------------------------------- Cartesian


@given(
    shape=st.lists(st.integers(1, 7), min_size=2, max_size=3),
    coils=st.integers(0, 3),
    sets=st.integers(0, 2),
    kind=st.sampled_from(["boolean", "weights", "lines"]),
)
@settings(max_examples=60, deadline=None)
def test_is_mask_transform_and_maps(shape, coils, sets, kind):
    mask = random_mask(*shape)
    if kind == "weights":
        mask = mask * random(*shape, dtype=torch.float64)
    elif kind == "lines":
        mask = mask.narrow(-2, shape[-2] // 2, 1)
    maps = None
    if coils:
        maps = random(*((sets,) if sets else ()), coils, *shape)
    A = CartesianMRI(mask, maps, in_shape=None if coils else shape)
    x = random(2, *A.in_shape, seed=1)
    images = x if not coils else torch.einsum("sc...,bs...->bc...", maps, x) if sets else maps * x[:, None]
    F = FourierTransform(shape)
    close(A(x), mask * F(images))
    y = random(2, *A.out_shape, seed=2)
    back = F.H(mask * y)
    if coils:
        back = torch.einsum("sc...,bc...->bs...", maps.conj(), back) if sets else (maps.conj() * back).sum(1)
    close(A.H(y), back)
    close(A.gram(x), A.H(A(x)))


def test_equals_sigpy():
    shape, maps, x = (12, 15), smooth_maps(4, 12, 15), random(12, 15)
    mask = random_mask(12, 15)
    theirs = sigpy.mri.linop.Sense(maps.numpy(), weights=mask.numpy().astype(float))
    A = CartesianMRI(mask, maps)
    close(A(x), theirs(x.numpy()), 1e-6)
    y = random(4, *shape, seed=1)
    close(A.H(y), theirs.H(y.numpy()), 1e-6)


def test_equals_deepinv():
    shape, maps, x = (12, 16), smooth_maps(4, 12, 16).to(torch.complex64), random(12, 16, dtype=torch.complex64)
    mask = random_mask(*shape)
    physics = peers.deepinv().physics.MultiCoilMRI(mask=mask[None, None].float(), coil_maps=maps[None], img_size=shape)
    theirs = torch.view_as_complex(physics.A(torch.view_as_real(x).movedim(-1, 0)[None]).movedim(1, -1).contiguous())[0]
    close(CartesianMRI(mask, maps)(x), theirs, 1e-5)


def test_a_mask_of_lines_needs_no_transform_along_them():
    lines = random_mask(6)
    A = CartesianMRI(lines, in_shape=(5, 6))
    assert isinstance(A.gram, FourierMultiplier)
    assert A.gram.dims == (-1,)
    whole = CartesianMRI(lines.expand(5, 6).clone())
    assert whole.gram.dims == (-1,)
    x = random(5, 6)
    close(whole.gram(x), A.gram(x))
    columns = CartesianMRI(random_mask(5)[:, None], in_shape=(5, 6))
    assert columns.gram.dims == (-2,)
    assert isinstance(CartesianMRI(torch.ones(5, 6, dtype=torch.bool)).gram, Identity)
    assert isinstance(CartesianMRI(torch.ones(5, 6) == 1, random(3, 5, 6)).gram, operators.Diagonal)


def test_the_gram_follows_a_loaded_mask():
    A = CartesianMRI(torch.ones(5, 6, dtype=torch.bool))
    other = CartesianMRI(random_mask(5, 6))
    A.load_state_dict(other.state_dict())
    x = random(5, 6)
    close(A.gram(x), other.gram(x))
    close(A(x), other(x))


def test_one_coil_is_solved_in_closed_form():
    A = CartesianMRI(random_mask(5, 6) * random(5, 6, dtype=torch.float64))
    assert A.gram.has_closed_solve
    b = random(2, 5, 6)
    x = A.solve_normal(b, 0.3)
    close(A.gram(x) + 0.3 * x, b)
    close(A.norm(), A.mask.abs().max())
    y = random(5, 6, seed=3)
    close(A.pinv(y), A.direct_inverse(y), 1e-10)


def test_direct_inverse_is_the_inverse_where_all_is_sampled():
    image, maps = random(7, 8), smooth_maps(4, 7, 8)
    weights = 0.5 + torch.rand(7, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for mask in (torch.ones(7, 8, dtype=torch.bool), weights):
        for A in (CartesianMRI(mask), CartesianMRI(mask, maps)):
            close(A.direct_inverse(A(image)), image)


def test_zero_filling_keeps_what_is_sampled():
    A = CartesianMRI(random_mask(7, 8), in_shape=(7, 8))
    y = A(random(7, 8))
    close(A(A.direct_inverse(y)), y)


def test_sense_unfolds_an_image():
    """Every second line, four coils: the folding of two pixels is undone exactly."""
    mask = torch.arange(16) % 2 == 0
    A, image = CartesianMRI(mask, smooth_maps(4, 12, 16)), random(12, 16)
    close(A.pinv(A(image)), image, 1e-8)


def test_batches_and_frames():
    A = CartesianMRI(random_mask(6), smooth_maps(3, 5, 6))
    x = random(2, 4, 5, 6)
    assert A(x).shape == (2, 4, 3, 5, 6)
    close(A(x)[1, 2], A(x[1, 2]))


@pytest.mark.parametrize("entries", [1, 60])  # one coil at a time, and two
@pytest.mark.parametrize("kind", ["lines", "odd sizes", "sets", "gram of lines", "gram of spokes", "toeplitz"])
def test_coils_a_few_at_a_time(kind, entries, monkeypatch):
    """What large images go through, with blocks as small as the battery's images."""
    maps = random(3, 5, 6)
    spokes = NonCartesianMRI(radial_trajectory((5, 6), 4, 8), (5, 6), maps, tolerance=1e-12)
    A = {
        "lines": CartesianMRI(random_mask(6), maps),
        "odd sizes": CartesianMRI(random_mask(3, 5, 3), random(4, 3, 5, 3)),
        "sets": CartesianMRI(random_mask(5, 6), random(2, 3, 5, 6)),
        "gram of lines": CartesianMRI(random_mask(6), maps).gram,
        "gram of spokes": spokes.gram,
        "toeplitz": spokes.nufft.gram,
    }[kind]
    x = random(4, *A.in_shape, seed=1)
    expected = A(x)
    monkeypatch.setattr("operators.unrecorded._BLOCK", max(1, entries // torch.get_num_threads()))
    close(A(x), expected)
    check_operator(A)


def test_real_images_are_promoted():
    A = CartesianMRI(random_mask(5, 6), smooth_maps(3, 5, 6).to(torch.complex64))
    assert A(torch.ones(5, 6)).dtype == torch.complex64
    assert A(torch.ones(5, 6, dtype=torch.float64)).dtype == torch.complex128


# ---------------------------------------------------------------- non-Cartesian


def test_non_cartesian_is_the_transform_of_each_coils_image():
    trajectory, maps, x = radial_trajectory((8, 10), 5, 16), smooth_maps(3, 8, 10), random(2, 8, 10)
    A, F = NonCartesianMRI(trajectory, (8, 10), maps), NUFFT(trajectory, (8, 10))
    close(A(x), F(maps * x[:, None]))
    y = random(2, 3, 5, 16)
    close(A.H(y), (maps.conj() * F.H(y)).sum(1))
    assert A.out_shape == (3, 5, 16)
    assert NonCartesianMRI(trajectory, (8, 10)).out_shape == (5, 16)
    close(NonCartesianMRI(trajectory, (8, 10))(x), F(x))


def test_non_cartesian_equals_sigpy():
    trajectory, maps, x = radial_trajectory((16, 16), 8, 32), smooth_maps(4, 16, 16), random(16, 16)
    theirs = sigpy.mri.linop.Sense(maps.numpy(), coord=trajectory.numpy())
    expected = torch.as_tensor(theirs(x.numpy()))
    # sigpy's interpolation is accurate to somewhat less than 1e-2.
    assert (NonCartesianMRI(trajectory, (16, 16), maps)(x) - expected).norm() / expected.norm() < 1e-2


def test_non_cartesian_adjoint_has_a_gram():
    A = NonCartesianMRI(radial_trajectory((8, 6), spokes=3, samples=5), (8, 6), random(2, 8, 6))
    y = random(2, 3, 5)
    torch.testing.assert_close(A.H.gram(y), A(A.H(y)))


def test_non_cartesian_gram_is_toeplitz_between_the_maps():
    trajectory, maps, x = radial_trajectory((8, 10), 5, 16), smooth_maps(3, 8, 10), random(8, 10)
    A = NonCartesianMRI(trajectory, (8, 10), maps, tolerance=1e-12)
    assert "Toeplitz" in repr(A.gram)
    assert isinstance(A.gram, CoilGram)
    close(A.gram(x), A.H(A(x)), 1e-10)


@pytest.mark.parametrize("with_maps", [False, True])
def test_gridding_gives_the_image_at_its_scale(with_maps):
    n = 48
    axis = (torch.arange(n, dtype=torch.float64) - n // 2) / n
    image = torch.exp(-((axis[:, None] / 0.15) ** 2) - (axis / 0.1) ** 2)
    maps = smooth_maps(4, n, n) if with_maps else None
    A = NonCartesianMRI(radial_trajectory((n, n), 96, 2 * n), (n, n), maps)
    got = A.direct_inverse(A(image))
    assert (got - image).norm() / image.norm() < 0.03


def test_learnable_trajectory_is_trained():
    """Points that are off by a little are found from data, by gradient descent."""
    true = radial_trajectory((8, 8), 3, 16) * 0.9
    maps, image = smooth_maps(3, 8, 8), random(5, 8, 8)
    y = NonCartesianMRI(true, (8, 8), maps)(image)
    trajectory = torch.nn.Parameter(true + 0.1 * random(3, 16, 2, dtype=torch.float64))
    A = NonCartesianMRI(trajectory, (8, 8), maps)
    optimizer = torch.optim.Adam(A.parameters(), lr=0.02)
    for _ in range(100):
        optimizer.zero_grad()
        (A(image) - y).abs().square().sum().backward()
        optimizer.step()
    assert (trajectory - true).abs().max() < 0.02


# ---------------------------------------------------------------- mistakes

MASK, MAPS = torch.ones(4, 5, dtype=torch.bool), torch.ones(3, 4, 5, dtype=torch.complex64)


@pytest.mark.parametrize(
    ("mask", "arguments", "kind", "message"),
    [
        (torch.zeros(4, 5), {}, ValueError, "is empty: it samples nothing"),
        (torch.zeros(4, 5, dtype=torch.bool), {}, ValueError, "is empty"),
        (torch.full((4, 5), float("nan")), {}, ValueError, "mask must be finite"),
        (torch.ones(4, 5) + 0j, {}, TypeError, "booleans or real weights"),
        (torch.ones(4, 5, dtype=torch.int), {}, TypeError, "booleans or real weights, got torch.int32"),
        (torch.ones(3, 4, 5), {"maps": MAPS}, ValueError, "one mask (*spatial) of all coils; got maps (3, 4, 5)"),
        ([1, 0], {}, TypeError, "mask takes a torch.Tensor"),
        (torch.ones(1, 2, 4, 5), {}, ValueError, "one to three dimensions"),
        (torch.ones(5), {}, ValueError, "leaves their length open"),
        (torch.ones(4, 6), {"maps": MAPS}, ValueError, "takes a mask of the image's shape (4, 5), got (4, 6)"),
        (torch.ones(6), {"maps": MAPS}, ValueError, "takes a mask of the image's shape (4, 5), got (6,)"),
        (MASK, {"in_shape": (4, 6)}, ValueError, "image's shape (4, 6), got (4, 5)"),
        (MASK, {"maps": MAPS, "in_shape": (4, 6)}, ValueError, "image's shape (4, 6), got"),
        (MASK, {"maps": MAPS[0]}, ValueError, "takes maps of shape (coils, *spatial)"),
        (MASK, {"maps": MAPS[None, None]}, ValueError, "takes maps of shape (coils, *spatial)"),
        (MASK, {"maps": 0 * MAPS}, ValueError, "zero everywhere"),
        (MASK, {"maps": MAPS * float("nan")}, ValueError, "maps must be finite"),
        (MASK, {"maps": "maps"}, TypeError, "maps takes a torch.Tensor"),
    ],
)
def test_bad_cartesian_input_is_told(mask, arguments, kind, message):
    with pytest.raises(kind, match=r"^(CartesianMRI|SensitivityMaps): ") as error:
        CartesianMRI(mask, **arguments)
    assert message in str(error.value)


def test_k_space_of_another_coil_count_is_told():
    spokes = NonCartesianMRI(radial_trajectory((4, 5), 2, 8), (4, 5), MAPS)
    for A in (CartesianMRI(MASK, MAPS), spokes):
        y, shape = torch.zeros(8, *A.out_shape[1:]), str(A.out_shape)[1:-1]
        for apply in (A.H, A.adjoint, A.direct_inverse, A.pinv):
            message = rf"{A.name}.*: takes .* of shape \(\.\.\., {shape}\), got \(8, {shape[3:]}\)"
            with pytest.raises(ValueError, match=message):
                apply(y)


def test_k_space_with_nan_is_told():
    spokes = NonCartesianMRI(radial_trajectory((4, 5), 2, 8), (4, 5), MAPS)
    for A in (CartesianMRI(MASK, MAPS), spokes):
        y = torch.zeros(A.out_shape)
        y[(0,) * y.ndim] = float("nan")
        with pytest.raises(ValueError, match=rf"{A.name}.*: the right-hand side must be finite, got 1 NaN"):
            A.pinv(y)


def test_real_k_space_and_images_are_promoted():
    spokes = NonCartesianMRI(radial_trajectory((4, 5), 2, 8).float(), (4, 5), MAPS)
    for A in (CartesianMRI(random_mask(4, 5), MAPS), spokes):
        for apply, shape in [
            (A, A.in_shape),
            (A.gram, A.in_shape),
            (A.H, A.out_shape),
            (A.direct_inverse, A.out_shape),
        ]:
            x = torch.ones(shape)
            assert apply(x).dtype == torch.complex64
            close(apply(x), apply(x + 0j), 1e-6)


@pytest.mark.parametrize(
    ("trajectory", "arguments", "message"),
    [
        (torch.full((6, 2), 3.0), {}, "from -2 to 2"),
        (torch.zeros(6, 3), {}, "takes trajectory of shape (..., d)"),
        (torch.zeros(6, 2), {"maps": torch.ones(3, 5, 4) + 0j}, "image's shape (4, 5), got (3, 5, 4)"),
        (torch.full((6, 2), float("nan")), {}, "trajectory must be finite"),
        (torch.zeros(6, 2), {"maps": torch.ones(3, 4, 5) * float("nan")}, "maps must be finite, got 60 NaN"),
        (torch.zeros(6, 2), {"maps": torch.zeros(3, 4, 5)}, "zero everywhere"),
    ],
)
def test_bad_non_cartesian_input_is_told(trajectory, arguments, message):
    with pytest.raises(ValueError, match=r"^NonCartesianMRI: ") as error:
        NonCartesianMRI(trajectory, (4, 5), **arguments)
    assert message in str(error.value)


@pytest.mark.parametrize(("edge", "unit"), [(math.pi, "radians"), (0.5, "cycles")])
def test_points_in_the_units_of_others_are_noticed(edge, unit):
    spoke = torch.linspace(-edge, edge, 32)[:, None] * torch.tensor([0.6, -0.8])
    points = torch.stack([spoke, spoke.flip(-1), spoke / 0.8])
    with pytest.warns(UserWarning, match=f"NUFFT: .* looks like {unit} per pixel") as caught:
        NUFFT(points, (32, 32))
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match=f"looks like {unit} per pixel") as caught:
        NonCartesianMRI(points, (32, 32))
    assert len(caught) == 1
    NonCartesianMRI(points * 32 / (2 * edge), (32, 32))
    NonCartesianMRI(points, (8, 8) if edge > 1 else (2, 2))  # they fill its band


def test_coils_are_combined_by_least_squares():
    maps = random(3, 4, 5)
    S, y = SensitivityMaps(maps), random(3, 4, 5, seed=1)
    expected = np.stack(
        [np.linalg.lstsq(maps[:, i, j, None].numpy(), y[:, i, j].numpy())[0] for i in range(4) for j in range(5)]
    )
    close(S.direct_inverse(y), expected.reshape(4, 5))
    close(S.norm(), S.maps.abs().square().sum(0).max().sqrt())
