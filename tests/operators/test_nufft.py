"""The non-uniform Fourier transform against the exact sums and sigpy, and its Toeplitz gram against scipy."""

import copy
import gc
import pickle
import sys

import numpy as np
import pytest
import scipy.linalg
import scipy.spatial
import sigpy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from operators import NUFFT, Diagonal, FourierTransform, Identity, Mask, RealToComplex, Toeplitz
from operators.density import pipe_menon
from operators.nufft_plans import PlanStore, plan_store
from operators.testing import adjoint_error
from operators.voronoi import voronoi_density
from tests.operators.threads import at_once


def random(*shape, dtype=torch.complex128, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def random_points(shape, *samples, seed=0):
    uniform = torch.rand(*samples, len(shape), dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return (uniform - 0.5) * torch.tensor(shape)


def exact_matrix(points, shape, norm="ortho"):
    """The non-uniform Fourier transform as its definition says, in double precision."""
    axes = [torch.arange(n, dtype=torch.float64) - n // 2 for n in shape]
    grid = torch.cartesian_prod(*axes).reshape(-1, len(shape)) / torch.tensor(shape)
    size = np.prod(shape)
    scale = {"ortho": size**-0.5, "backward": 1.0, "forward": 1 / size}[norm]
    return scale * torch.exp(-2j * torch.pi * (points.double().reshape(-1, len(shape)) @ grid.T))


def relative_error(got, expected):
    return (torch.linalg.vector_norm(got - expected) / torch.linalg.vector_norm(expected)).item()


def close(got, expected, tolerance=1e-12):
    torch.testing.assert_close(got, torch.as_tensor(expected), rtol=tolerance, atol=tolerance)


# ---------------------------------------------------------------- the transform

shapes = st.lists(st.integers(1, 24), min_size=1, max_size=2) | st.lists(st.integers(1, 9), min_size=3, max_size=3)


@given(
    shape=shapes,
    count=st.integers(1, 300),
    tolerance=st.sampled_from([1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-9, 1e-12]),
    dtype=st.sampled_from([torch.complex64, torch.complex128]),
    norm=st.sampled_from(["ortho", "backward", "forward"]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=120, deadline=None)
def test_is_within_tolerance_of_the_exact_sums(shape, count, tolerance, dtype, norm, seed):
    points = random_points(shape, count, seed=seed)
    matrix = exact_matrix(points, shape, norm)
    A = NUFFT(points, shape, tolerance, norm)
    rounding = 5e-7 if dtype == torch.complex64 else 0  # of input and output
    x, y = random(2, *shape, seed=seed).to(dtype), random(2, count, seed=seed).to(dtype)
    # A spectrum's few samples may all be small by chance: the error is relative to what they are on average.
    scale = torch.linalg.matrix_norm(matrix) / np.sqrt(count * np.prod(shape))
    error = torch.linalg.vector_norm(A(x) - x.reshape(2, -1).to(torch.complex128) @ matrix.T)
    assert error / (scale * np.sqrt(count) * torch.linalg.vector_norm(x)) < tolerance + rounding
    back = A.H(y).reshape(2, -1) - y.to(torch.complex128) @ matrix.conj()
    size = scale * np.sqrt(np.prod(shape)) * torch.linalg.vector_norm(y)
    assert torch.linalg.vector_norm(back) / size < tolerance + rounding


@pytest.mark.parametrize("shape", [(320,), (256, 192), (24, 32, 40)])
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
@pytest.mark.parametrize("tolerance", [1e-3, 1e-6])
def test_is_within_tolerance_for_large_images(shape, dtype, tolerance):
    points = random_points(shape, 400)
    x = random(*shape).to(dtype)
    expected = exact_matrix(points, shape) @ x.flatten().to(torch.complex128)
    assert relative_error(NUFFT(points, shape, tolerance)(x), expected) < tolerance


@pytest.mark.parametrize("shape", [(8,), (7,), (6, 9), (4, 5, 3)])
@pytest.mark.parametrize("norm", ["ortho", "backward", "forward"])
def test_on_the_cartesian_grid_it_is_the_fourier_transform(shape, norm):
    axes = [torch.arange(n, dtype=torch.float64) - n // 2 for n in shape]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    A, F, x = NUFFT(points, shape, 1e-13, norm), FourierTransform(shape, norm=norm), random(2, *shape)
    close(A(x), F(x), 1e-11)
    close(A.H(x), F.H(x), 1e-11)
    close(A.gram(x), F.gram(x), 1e-11)
    close(A.direct_inverse(F(x)), x, 1e-5)


@pytest.mark.parametrize("shape", [(32,), (24, 30), (10, 12, 8)])
def test_equals_sigpy(shape):
    points, x = random_points(shape, 200), random(3, *shape)
    A = NUFFT(points, shape)
    # sigpy interpolates: with a kernel of eight it is accurate to about 1e-6.
    theirs = sigpy.nufft(x.numpy(), points.numpy(), oversamp=2, width=8)
    assert relative_error(A(x), torch.as_tensor(theirs)) < 1e-5
    y = random(3, 200)
    theirs = sigpy.nufft_adjoint(y.numpy(), points.numpy(), oshape=(3, *shape), oversamp=2, width=8)
    assert relative_error(A.H(y), torch.as_tensor(theirs)) < 1e-5


@pytest.mark.parametrize("tolerance", [1e-1, 1e-2, 1e-4, 1e-6, 1e-13])
@pytest.mark.parametrize("shape", [(17,), (12, 15), (6, 4, 5)])
def test_adjoint_is_exact_at_any_tolerance(shape, tolerance):
    A = NUFFT(random_points(shape, 5, 8), shape, tolerance)
    assert adjoint_error(A, dtype=torch.complex64, batch=(3,)) < 1e-6
    assert adjoint_error(A, dtype=torch.complex128, batch=(3,)) < 1e-12


def test_samples_have_the_shape_of_the_points():
    A = NUFFT(random_points((6, 7), 2, 3, 4), (6, 7))
    assert A.out_shape == (2, 3, 4)
    assert A(random(5, 6, 7)).shape == (5, 2, 3, 4)
    assert NUFFT(random_points((6, 7)), (6, 7))(random(6, 7)).shape == ()


def test_precision_is_that_of_the_input():
    A = NUFFT(random_points((6, 7), 20), (6, 7))
    assert A(torch.ones(6, 7)).dtype == torch.complex64
    assert A(torch.ones(6, 7, dtype=torch.float64)).dtype == torch.complex128
    assert A.gram(random(6, 7).to(torch.complex64)).dtype == torch.complex64


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("shape", [(320,), (64, 48), (12, 16, 20)])
@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-6])
def test_on_a_gpu(shape, tolerance):
    pytest.importorskip("cufinufft")
    check_on("cuda", shape, tolerance)


def test_what_is_checked_on_a_gpu():
    check_on("cpu", (12, 16, 20), 1e-6)


def check_on(device, shape, tolerance):
    """The exact sums within the tolerance, an exact adjoint at any tolerance, and a Toeplitz gram."""
    points, x = random_points(shape, 20, 20), random(3, *shape)
    matrix, A = exact_matrix(points, shape), NUFFT(points, shape, tolerance).to(device)
    expected = x.flatten(1) @ matrix.T
    for dtype, bound in [(torch.complex64, 1e-6), (torch.complex128, 1e-12)]:
        assert relative_error(A(x.to(device, dtype)).flatten(1).cpu(), expected) < tolerance + 5e-7
        assert adjoint_error(A, dtype=dtype, batch=(3,)) < bound
        expected_gram = expected @ matrix.conj()
        assert relative_error(A.gram(x.to(device, dtype)).flatten(1).cpu(), expected_gram) < 2 * bound


# ---------------------------------------------------------------- derivatives


@pytest.mark.parametrize("shape", [(9,), (4, 5), (3, 4, 2)])
def test_gradients_in_data_and_points(shape):
    points = random_points(shape, 7).requires_grad_()
    x, y = random(2, *shape).requires_grad_(), random(2, 7, seed=1).requires_grad_()

    def outputs(points, x, y):
        A = NUFFT(points, shape, tolerance=1e-13)
        return A(x), A.adjoint(y)

    assert torch.autograd.gradcheck(outputs, (points, x, y), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(outputs, (points, x, y))


def test_gradient_in_points_equals_that_of_the_exact_sums():
    shape, x = (5, 6), random(3, 5, 6)
    points = random_points(shape, 11)
    weights = random(3, 11, seed=2)

    def gradient(transformed):
        p = points.clone().requires_grad_()
        loss = (weights.conj() * transformed(p)).real.sum()
        return torch.autograd.grad(loss, p)[0]

    expected = gradient(lambda p: x.flatten(1) @ exact_matrix(p, shape).T)
    close(gradient(lambda p: NUFFT(p, shape, tolerance=1e-13)(x)), expected, 1e-10)


def test_vmap_over_points():
    points, x = random_points((5, 6), 4, 7), random(4, 5, 6)

    def transformed(points, x):
        return torch.func.functional_call(A, {"points": points}, (x,))

    A = NUFFT(points[0], (5, 6))
    expected = torch.stack([NUFFT(p, (5, 6))(image) for p, image in zip(points, x, strict=True)])
    close(torch.func.vmap(transformed)(points, x), expected)
    expected = torch.stack([NUFFT(p, (5, 6))(x[0]) for p in points])
    close(torch.func.vmap(transformed, in_dims=(0, None))(points, x[0]), expected)


# ---------------------------------------------------------------- plans


def test_plans_are_reused_until_the_points_change():
    A, x = NUFFT(random_points((6, 7), 20), (6, 7)), random(3, 6, 7)
    A(x)
    A.H(A(x))
    (plan,) = A.plans._plans.values()
    A(x[0])
    assert len(A.plans._plans) == 2
    assert plan in A.plans._plans.values()
    moved = random_points((6, 7), 20, seed=1)
    A.points.copy_(moved)
    close(A(x), NUFFT(moved, (6, 7))(x))
    assert plan not in A.plans._plans.values()


def test_few_plans_are_kept():
    A = NUFFT(random_points((6, 7), 20), (6, 7))
    for count in range(1, 12):
        A(random(count, 6, 7))
    assert len(A.plans._plans) == 4


def test_plans_die_with_their_operator():
    A = NUFFT(random_points((6, 7), 20), (6, 7))
    A(random(6, 7))
    handle = A.plans.handle
    assert plan_store(handle) is A.plans
    del A
    gc.collect()
    assert not plan_store(handle)._plans


def test_copies_have_plans_of_their_own():
    A, x = NUFFT(random_points((6, 7), 20), (6, 7)), random(6, 7)
    expected = A(x)
    for other in (copy.deepcopy(A), pickle.loads(pickle.dumps(A))):
        assert isinstance(other.plans, PlanStore)
        assert other.plans.handle != A.plans.handle
        close(other(x), expected)


def test_inference_mode():
    with torch.inference_mode():
        A, x = NUFFT(random_points((6, 7), 20), (6, 7)), random(6, 7)
        first = A(x)
        A.points.neg_()
        close(A(x), NUFFT(A.points.clone(), (6, 7))(x))
        assert relative_error(A(x), first) > 0.1


def test_threads_share_an_operator():
    A = NUFFT(random_points((32, 32), 2000), (32, 32))
    images = random(8, 32, 32)
    expected = [A(x) for x in images]
    results = [None] * len(images)

    def work(i):
        for _ in range(5):
            results[i] = A(images[i])

    at_once(work, len(images))
    for got, wanted in zip(results, expected, strict=True):
        close(got, wanted)


def test_a_missing_finufft_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "finufft", None)
    A = NUFFT(random_points((6, 7), 20), (6, 7))
    with pytest.raises(ImportError, match=r'pip install "invnet\[mri\]"'):
        A(random(6, 7))


# ---------------------------------------------------------------- structure


@pytest.mark.parametrize("shape", [(9,), (6, 7), (3, 4, 5)])
@pytest.mark.parametrize("norm", ["ortho", "backward"])
def test_gram_is_toeplitz(shape, norm):
    points = random_points(shape, 3, 10)
    A, matrix, x = NUFFT(points, shape, norm=norm), exact_matrix(points, shape, norm), random(2, *shape)
    assert isinstance(A.gram, Toeplitz)
    gram = A.gram
    assert gram.H is gram
    expected = x.reshape(2, -1) @ (matrix.mH @ matrix).T
    assert relative_error(A.gram(x).reshape(2, -1), expected) < 1e-11
    assert adjoint_error(A.gram, dtype=torch.complex128) < 1e-14
    assert relative_error(A.gram(x), A.H(A(x))) < 1e-5


def test_weighted_gram_is_toeplitz():
    shape = (6, 7)
    points, x = random_points(shape, 30), random(6, 7)
    A, matrix = NUFFT(points, shape), exact_matrix(points, shape)
    weights = random(30, seed=1)
    keep = weights.real > 0
    for W, values in [
        (Diagonal(weights.real), weights.real),
        (Diagonal(weights), weights),
        (Mask(keep), keep.double()),
    ]:
        expected = (matrix.mH @ (values * (matrix @ x.flatten()))).reshape(shape)
        for B in (A.H @ W @ A, A.H @ (W @ A)):
            assert isinstance(B, Toeplitz)
            assert B.hermitian == (not values.is_complex())
            assert relative_error(B(x), expected) < 1e-11
    assert isinstance((Mask(keep) @ A).gram, Toeplitz)
    assert isinstance(A.H @ (2.5 * A), Toeplitz)


def test_gram_on_real_images_is_real():
    A, x = NUFFT(random_points((6, 7), 30), (6, 7)) @ RealToComplex((6, 7)), random(6, 7, dtype=torch.float64)
    assert isinstance(A.gram, Toeplitz)
    assert A.gram(x).dtype == torch.float64
    assert relative_error(A.gram(x), A.H(A(x))) < 1e-5


def test_learnable_weights_stay_live():
    A = NUFFT(random_points((6, 7), 30), (6, 7), tolerance=1e-12)
    W = Diagonal(torch.nn.Parameter(torch.ones(30, dtype=torch.float64)))
    B, x = A.H @ W @ A, random(6, 7)
    with torch.no_grad():
        W.weights.mul_(2)
    close(B(x), 2 * A.gram(x), 1e-10)


@pytest.mark.parametrize("kind", ["real", "complex", "hermitian"])
def test_toeplitz_equals_scipy(kind):
    kernel = random(13, dtype=torch.float64 if kind == "real" else torch.complex128)
    kernel = kernel + kernel.conj().flip(0) if kind == "hermitian" else kernel
    A, x = Toeplitz(kernel, hermitian=kind == "hermitian"), random(7)
    column, row = kernel[6:].numpy(), kernel[:7].flip(0).numpy()
    close(A(x), scipy.linalg.toeplitz(column, row) @ x.numpy())
    close(A.H(x), scipy.linalg.toeplitz(column, row).conj().T @ x.numpy())
    assert (A.H is A) == (kind == "hermitian")
    if kind == "real":
        assert A(x.real).dtype == torch.float64
        close(A(x.real), scipy.linalg.matmul_toeplitz((column, row), x.real.numpy()))


@given(st.lists(st.integers(1, 6), min_size=1, max_size=3), st.booleans())
@settings(max_examples=40, deadline=None)
def test_toeplitz_is_the_sum_that_it_says(shape, is_complex):
    kernel = random(*(2 * n - 1 for n in shape), dtype=torch.complex128 if is_complex else torch.float64)
    x = random(*shape, seed=1)
    expected = np.zeros(shape, complex)
    for i in np.ndindex(*shape):
        for j in np.ndindex(*shape):
            lag = tuple(a - b + n - 1 for a, b, n in zip(i, j, shape, strict=True))
            expected[i] += kernel[lag].item() * x[j].item()
    close(Toeplitz(kernel)(x), expected)


def test_sums_and_multiples_of_toeplitz_operators():
    A, B, x = Toeplitz(random(7, 5)), Toeplitz(random(7, 5, seed=1)), random(4, 3)
    for made, expected in [
        (A + B, A(x) + B(x)),
        (A - 2 * B, A(x) - 2 * B(x)),
        ((1 - 2j) * A, (1 - 2j) * A(x)),
        (A + 3 * Identity((4, 3)), A(x) + 3 * x),
        (1j * Identity((4, 3)) + A, A(x) + 1j * x),
    ]:
        assert isinstance(made, Toeplitz)
        close(made(x), expected)


def test_two_shots_have_one_toeplitz_gram():
    first, second = (NUFFT(random_points((6, 7), 30, seed=seed), (6, 7)) for seed in (0, 1))
    assert isinstance(first.gram + second.gram, Toeplitz)
    assert (first.gram + second.gram).hermitian


# ---------------------------------------------------------------- density


def radial(n, spokes):
    angles = torch.arange(spokes, dtype=torch.float64) * torch.pi / spokes
    radii = (torch.arange(2 * n, dtype=torch.float64) - n) / 2
    return radii[:, None] * torch.stack([angles.cos(), angles.sin()], -1)[:, None]


def test_density_of_radial_spokes_is_the_ramp():
    """A sample at radius r stands for a sector's part, ``pi r / spokes`` wide and half a cell long."""
    n, spokes = 48, 96
    weights = pipe_menon(radial(n, spokes), (n, n), iterations=60)
    radii = (torch.arange(2 * n, dtype=torch.float64) - n) / 2
    # Samples of half a cell's distance can't be told apart by the field of view: what counts is the mean of neighbours.
    mean = torch.nn.functional.avg_pool1d(weights.mean(0)[None], 4, stride=1)[0]
    centres = torch.nn.functional.avg_pool1d(radii[None], 4, stride=1)[0].abs()
    inner = (centres > 3) & (centres < n / 2 - 2)
    assert relative_error(mean[inner], (centres * torch.pi / spokes / 2)[inner]) < 0.01


def test_density_equals_sigpy():
    import sigpy.mri

    points = radial(32, 40)
    ours = pipe_menon(points, (32, 32), iterations=10)
    theirs = torch.as_tensor(sigpy.mri.pipe_menon_dcf(points.numpy(), (32, 32), max_iter=10, show_pbar=False))
    radii = points.norm(dim=-1)
    inner = (radii > 2) & (radii < 14)
    ratio = ours[inner] / theirs[inner]
    assert ratio.std() / ratio.mean() < 0.1  # their kernel is another one


def test_voronoi_density_of_radial_spokes_is_the_ramp():
    """As above, to the difference between a sector and the polygon in it; the centre's cell is shared by all spokes."""
    n, spokes = 48, 96
    points = radial(n, spokes)
    weights, radii = voronoi_density(points), points.norm(dim=-1)
    inner = (radii > 1) & (radii < n / 2 - 1)
    assert relative_error(weights[inner], (radii * torch.pi / spokes / 2)[inner]) < 3e-4
    close(weights[:, n], weights[0, n].expand(spokes), 1e-9)
    assert abs(weights[:, n].sum() / (torch.pi * 0.25**2) - 1) < 1e-3
    assert abs(weights.sum() / (torch.pi * (n / 2) ** 2) - 1) < 2e-3
    assert weights.max() < 3 * torch.pi * n / 2 / spokes / 2  # also at the ends of spokes that others surpass


def test_voronoi_density_of_spokes_in_space_is_the_squared_radius():
    directions = torch.nn.functional.normalize(random(150, 3, dtype=torch.float64), dim=-1)
    radii = torch.linspace(-6, 6, 25, dtype=torch.float64)
    weights = voronoi_density(directions[:, None] * radii[:, None])
    for i in (4, 8, 16):  # shells half a cycle thick, of samples of both halves; polyhedra of 300 faces, not spheres
        assert abs((weights[:, i] + weights[:, -1 - i]).sum() / (4 * torch.pi * radii[i] ** 2 / 2) - 1) < 0.03
    assert weights.min() > 0


@pytest.mark.parametrize("shape", [(9,), (7, 6), (4, 5, 6)])
def test_voronoi_density_of_a_grid_is_one(shape):
    axes = [torch.arange(n, dtype=torch.float64) - n // 2 for n in shape]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    close(voronoi_density(points), torch.ones(shape, dtype=torch.float64))
    doubled = torch.cat([points.flatten(0, -2), points.flatten(0, -2)[:3]])
    close(voronoi_density(doubled)[[0, 1, 2, 3, -1]], torch.tensor([0.5, 0.5, 0.5, 1.0, 0.5], dtype=torch.float64))


def test_voronoi_cells_of_scattered_points_equal_counts_of_what_is_nearest():
    """The area of a cell inside is the share of the plane that is nearest to its point."""
    points = random(40, 2, dtype=torch.float64)
    weights = voronoi_density(points)
    axis = torch.linspace(-4, 4, 1601, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    _, nearest = scipy.spatial.cKDTree(points.numpy()).query(grid.numpy())
    counted = torch.bincount(torch.as_tensor(nearest), minlength=40) * (8 / 1600) ** 2
    # Cells that are not clipped: none of their pixels is outside of the hull.
    outside = scipy.spatial.Delaunay(points.numpy()).find_simplex(grid.numpy()) < 0
    inner = torch.bincount(torch.as_tensor(nearest[outside]), minlength=40) == 0
    assert inner.sum() > 5
    assert relative_error(weights[inner], counted[inner]) < 0.01
    assert (weights[~inner] > 0).all()
    assert (weights[~inner] < 1.01 * counted[~inner]).all()


@pytest.mark.parametrize(
    ("points", "kind", "message"),
    [
        (torch.ones(5, 2), ValueError, "not all on one line or plane, got 1 distinct ones"),
        (torch.arange(6.0)[:, None] * torch.ones(2), ValueError, "not all on one line or plane"),
        (torch.ones(5, 4), ValueError, "d = 1, 2 or 3, got (5, 4)"),
        (torch.ones(5, 2) * float("inf"), ValueError, "points must be finite"),
        (torch.ones(5, 2) + 0j, TypeError, "takes real coordinates"),
        ([1.0], TypeError, "takes a torch.Tensor, got list"),
    ],
)
def test_bad_points_of_cells_are_told(points, kind, message):
    with pytest.raises(kind, match=r"^voronoi_density: ") as error:
        voronoi_density(points)
    assert message in str(error.value)


def test_bad_points_of_pipe_menon_are_told():
    points = random_points((4, 5), 6)
    for wrong, shape, message in [(points * float("nan"), (4, 5), "must be finite"), (points, (4,), "for in_shape")]:
        with pytest.raises(ValueError, match=rf"^pipe_menon: .*{message}"):
            pipe_menon(wrong, shape)


def test_points_that_training_made_nan_are_told():
    A = NUFFT(torch.nn.Parameter(random_points((4, 5), 6)), (4, 5))
    with torch.no_grad():
        A.points.fill_(float("nan"))
    with pytest.raises(ValueError, match=r"^NUFFT: points must be finite, got 12 NaN"):
        A(torch.ones(4, 5))


def test_the_density_is_computed_once(monkeypatch):
    calls = []
    monkeypatch.setattr("operators.nufft.pipe_menon", lambda *given: calls.append(given) or pipe_menon(*given))
    A = NUFFT(radial(8, 6), (8, 8))
    y = A(random(8, 8))
    close(A.direct_inverse(y), A.direct_inverse(y))
    assert len(calls) == 1
    A.points.mul_(0.5)
    A.direct_inverse(y)
    assert len(calls) == 2


def test_direct_inverse_by_voronoi_cells():
    n = 48
    axis = (torch.arange(n, dtype=torch.float64) - n // 2) / n
    image = torch.exp(-((axis[:, None] / 0.15) ** 2) - (axis / 0.1) ** 2)
    A = NUFFT(radial(n, 96), (n, n), density="voronoi")
    assert relative_error(A.direct_inverse(A(image)), image) < 0.03
    assert A.direct_inverse(A(image.float())).dtype == torch.complex64


def test_direct_inverse_is_at_the_scale_of_the_image():
    n = 48
    axis = (torch.arange(n, dtype=torch.float64) - n // 2) / n
    # A smooth image, within the disc of k-space that spokes cover.
    image = torch.exp(-((axis[:, None] / 0.15) ** 2) - (axis / 0.1) ** 2)
    A = NUFFT(radial(n, 96), (n, n))
    assert relative_error(A.direct_inverse(A(image)), image) < 0.03
    backward = NUFFT(radial(n, 96), (n, n), norm="backward")
    close(backward.direct_inverse(backward(image)), A.direct_inverse(A(image)), 1e-6)


# ---------------------------------------------------------------- mistakes

GOOD = torch.zeros(5, 2)


@pytest.mark.parametrize(
    ("points", "arguments", "kind", "message"),
    [
        (GOOD, {"in_shape": (4, 5, 6)}, ValueError, "takes points of shape (..., d)"),
        (torch.zeros(5), {"in_shape": (4, 5)}, ValueError, "got points (5,) for in_shape (4, 5)"),
        (torch.zeros(5, 4), {"in_shape": (2, 2, 2, 2)}, ValueError, "d = 1, 2 or 3 dimensions"),
        (GOOD + 2.1, {"in_shape": (4, 5)}, ValueError, "from -2 to 2 along dimension 0"),
        (GOOD + float("nan"), {"in_shape": (4, 5)}, ValueError, "points must be finite"),
        (torch.zeros(0, 2), {"in_shape": (4, 5)}, ValueError, "at least one"),
        (GOOD.int(), {"in_shape": (4, 5)}, TypeError, "points takes a floating-point"),
        (GOOD + 0j, {"in_shape": (4, 5)}, TypeError, "takes real coordinates"),
        (GOOD, {"in_shape": (4, 5), "tolerance": 0.0}, ValueError, "tolerance must be at least 1e-14"),
        (GOOD, {"in_shape": (4, 5), "tolerance": "fine"}, TypeError, "tolerance takes a real number"),
        (GOOD, {"in_shape": (4, 5), "norm": "unitary"}, ValueError, "norm takes one of"),
        (GOOD, {"in_shape": (4, 5), "density": "ramp"}, ValueError, "density takes one of pipe_menon, voronoi"),
        (GOOD, {"in_shape": (4, 0)}, ValueError, "in_shape takes positive sizes"),
    ],
)
def test_bad_input_is_told(points, arguments, kind, message):
    with pytest.raises(kind, match=r"^NUFFT: ") as error:
        NUFFT(points, **arguments)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("kernel", "kind", "message"),
    [
        (torch.zeros(4, 3), ValueError, "odd sizes 2 n - 1, got (4, 3)"),
        (torch.zeros(()), ValueError, "odd sizes"),
        (torch.zeros(3, dtype=torch.int), TypeError, "kernel takes"),
        (torch.full((3,), float("inf")), ValueError, "kernel must be finite"),
    ],
)
def test_bad_kernels_are_told(kernel, kind, message):
    with pytest.raises(kind, match=r"^Toeplitz: ") as error:
        Toeplitz(kernel)
    assert message in str(error.value)
