"""Toeplitz operators on images by compiled code: against scipy's sums, the dense matrix and torch's transforms."""

import copy
import math

import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import operators.toeplitz
from operators import NUFFT, ParallelBeam, Toeplitz
from operators.mri import NonCartesianMRI, radial_trajectory
from operators.testing import adjoint_error
from tests.operators.threads import at_once

# What rounding may leave, relative to the Euclidean norm.
TOLERANCE = {torch.float32: 1e-6, torch.complex64: 1e-6, torch.float64: 1e-14, torch.complex128: 1e-14}
dtypes = pytest.mark.parametrize("dtype", list(TOLERANCE), ids=lambda dtype: str(dtype).removeprefix("torch."))


@pytest.fixture(autouse=True)
def _threads_as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def random(*shape, dtype, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def operator(shape, dtype, hermitian=False):
    kernel = random(*(2 * n - 1 for n in shape), dtype=dtype, seed=1)
    return Toeplitz(kernel + kernel.conj().flip(0, 1) if hermitian else kernel, hermitian)


def expected(kernel, x):
    """``y[i] = sum_j kernel[i - j + n - 1] x[j]`` in double precision."""
    shape = x.shape[-2:]
    kernel, x = (t.to(torch.complex128).resolve_conj().numpy() for t in (kernel, x))
    images = [scipy.signal.oaconvolve(kernel, image) for image in x.reshape(-1, *shape)]
    inside = tuple(slice(n - 1, 2 * n - 1) for n in shape)
    return torch.from_numpy(np.stack([image[inside] for image in images]).reshape(x.shape))


def check(got, wanted, dtype, tolerance=None):
    assert got.dtype == dtype
    error = torch.linalg.vector_norm(got - wanted) / torch.linalg.vector_norm(wanted)
    assert error < (tolerance or TOLERANCE[dtype])


@pytest.fixture
def only_compiled(monkeypatch):
    """Torch's own transforms fail."""

    def fail(*_):
        raise AssertionError("not by the compiled code")

    monkeypatch.setattr(operators.toeplitz, "_by_parities", fail)


@pytest.mark.usefixtures("only_compiled")
class TestCompiled:
    """The numbers, none of which torch's transforms give."""

    @given(
        st.integers(8, 70),
        st.integers(8, 70),
        st.lists(st.integers(0, 3), max_size=2),
        st.sampled_from(list(TOLERANCE)),
        st.booleans(),
        st.integers(1, 3),
    )
    @settings(max_examples=60, deadline=None)
    def test_equals_the_sum(self, height, width, batch, dtype, hermitian, threads):
        torch.set_num_threads(threads)
        A, x = operator((height, width), dtype, hermitian), random(*batch, height, width, dtype=dtype)
        if x.numel() == 0:
            assert A(x).shape == A.adjoint(x).shape == x.shape
            return
        check(A(x), expected(A.kernel, x), dtype)
        check(A.adjoint(x), expected(A.kernel.conj().flip(0, 1), x), dtype)

    # Every radix as the first step, as a later one, and none but the first.
    @dtypes
    @pytest.mark.parametrize("shape", [(16, 24), (9, 32), (40, 48), (64, 80), (240, 8), (128, 720), (1025, 16)])
    def test_equals_the_sum_at_all_radices(self, shape, dtype):
        A, x = operator(shape, dtype), random(2, *shape, dtype=dtype)
        check(A(x), expected(A.kernel, x), dtype)
        check(A.adjoint(x), expected(A.kernel.conj().flip(0, 1), x), dtype)

    @dtypes
    def test_equals_the_dense_matrix(self, dtype):
        shape, size = (9, 11), 99
        A, places = operator(shape, dtype), np.stack(np.unravel_index(np.arange(size), shape))
        lags = places[:, :, None] - places[:, None] + np.array(shape)[:, None, None] - 1
        matrix = A.kernel[tuple(torch.from_numpy(lags))]
        torch.testing.assert_close(A.to_matrix(dtype), matrix, rtol=0, atol=20 * TOLERANCE[dtype])

    @dtypes
    @pytest.mark.parametrize("hermitian", [False, True])
    def test_adjoint_is_exact(self, dtype, hermitian):
        A = operator((50, 37), dtype, hermitian)
        assert adjoint_error(A, dtype=dtype) < {torch.float32: 1e-6, torch.float64: 1e-12}[dtype.to_real()]

    @dtypes
    def test_any_number_of_threads_and_any_batch_give_the_same_bits(self, dtype):
        A, x = operator((300, 260), dtype), random(5, 300, 260, dtype=dtype)
        torch.set_num_threads(1)
        alone = torch.stack([A(image) for image in x])
        for threads in (1, 2, 3, 4):
            torch.set_num_threads(threads)
            assert torch.equal(A(x), alone)
            assert torch.equal(torch.stack([A(image) for image in x]), alone)

    def test_what_is_not_finite_stays_in_its_image(self):
        A, x = operator((20, 21), torch.float32), random(4, 20, 21, dtype=torch.float32)
        finite = A(x)
        x[2, 3, 4] = math.inf
        assert torch.equal(A(x)[[0, 1, 3]], finite[[0, 1, 3]])
        assert not A(x)[2].isfinite().any()
        x[2] = finite[2]
        assert torch.equal(A(x)[[0, 1, 3]], finite[[0, 1, 3]])  # nothing is left in the memory that is used again

    @dtypes
    def test_strided_images(self, dtype):
        A = operator((20, 21), dtype)
        wide = random(3, 21, 40, dtype=dtype)
        x = wide.mT[:, ::2]
        assert not x.is_contiguous()
        assert torch.equal(A(x), A(x.contiguous()))
        assert A(x).is_contiguous()

    def test_gradients(self):
        for dtype in (torch.float64, torch.complex128):
            A = operator((8, 9), dtype)
            x = random(2, 8, 9, dtype=dtype).requires_grad_()
            assert torch.autograd.gradcheck(A, x, check_batched_grad=False)
            assert torch.autograd.gradgradcheck(A, x)
            (gradient,) = torch.autograd.grad(A(x), x, x.detach())
            assert torch.equal(gradient, A.adjoint(x.detach()))

    def test_grams_are_compiled(self):
        shape = (24, 30)
        points = radial_trajectory(shape, spokes=10, samples=48)
        image = random(*shape, dtype=torch.complex64)
        for A in (NUFFT(points, shape), NonCartesianMRI(points, shape, random(3, *shape, dtype=torch.complex64))):
            check(A.gram(image), A.adjoint(A(image)), torch.complex64, 2e-5)
        angles = torch.arange(40, dtype=torch.float64) * math.pi / 40
        A, x = ParallelBeam(shape, angles, model="fourier"), random(*shape, dtype=torch.float32)
        check(A.gram(x), A.adjoint(A(x)), torch.float32, 2e-5)

    def test_a_kernel_that_changes(self):
        A, x = operator((9, 10), torch.float64), random(9, 10, dtype=torch.float64)
        before = A(x)
        A.kernel.mul_(2)
        check(A(x), 2 * before, torch.float64)
        check(copy.deepcopy(A)(x), 2 * before, torch.float64)

    def test_several_threads_share_an_operator(self):
        torch.set_num_threads(2)
        A = operator((70, 65), torch.complex64)
        images = random(8, 70, 65, dtype=torch.complex64)
        wanted, wrong = [A(x) for x in images], []

        def work(n):
            wrong.extend(n for _ in range(20) if not torch.equal(A(images[n]), wanted[n]))

        at_once(work, 8)
        assert wrong == []


@dtypes
@pytest.mark.parametrize("hermitian", [False, True])
def test_torchs_transforms_agree(dtype, hermitian):
    """They are what `torch.func`, forward mode and `torch.compile` follow, and kernels that are learnt."""
    A, x = operator((30, 33), dtype, hermitian), random(3, 30, 33, dtype=dtype)
    learnable = Toeplitz(torch.nn.Parameter(A.kernel.clone()), hermitian)
    for apply, other in ((A, learnable), (A.adjoint, learnable.adjoint)):
        check(other(x).detach(), apply(x), dtype)
        check(torch.func.vmap(apply)(x), apply(x), dtype)
        value, tangent = torch.func.jvp(apply, (x,), (x,))
        check(value, apply(x), dtype)
        check(tangent, apply(x), dtype)
        with torch.autograd.forward_ad.dual_level():
            dual = apply(torch.autograd.forward_ad.make_dual(x, 2 * x))
            check(torch.autograd.forward_ad.unpack_dual(dual).tangent, 2 * apply(x), dtype)
    if dtype.is_complex:
        check(A(x.conj()), A(x.conj().resolve_conj()), dtype)


def test_other_precisions_keep_their_own():
    A, x = operator((9, 10), torch.float64), random(9, 10, dtype=torch.float64)
    assert A(x.bfloat16()).dtype == torch.bfloat16
    check(A(x.float()), A(x).float(), torch.float32)
    check(A(torch.complex(x, -x)), torch.complex(A(x), -A(x)), torch.complex128)
    check(Toeplitz(A.kernel + 0j)(x), A(x) + 0j, torch.complex128)


def test_without_memory():
    A = operator((9, 10), torch.float32).to("meta")
    assert A(torch.empty(3, 9, 10, device="meta")).shape == (3, 9, 10)
