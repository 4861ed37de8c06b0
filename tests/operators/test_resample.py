"""Resampling against PIL, torch and scipy, against theory at the borders, and against published numbers."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage, signal
from torch.nn import functional

from operators import AveragePool, Downsample, Upsample
from operators.algebra import Gram
from operators.cosine import CosineDiagonal

SET5 = Path(__file__).parents[3] / "shared" / "data" / "set5"
KERNELS = ["bicubic", "bilinear", "box", "gaussian"]
DTYPES = [torch.float32, torch.float64, torch.complex64, torch.complex128]


def randn(*shape, dtype=torch.float64, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def adjoint_error(A, x, y):
    Ax, Ay = A(x), A.adjoint(y)
    left, right = (Ax.conj() * y).sum(), (x.conj() * Ay).sum()
    return ((left - right).abs() / (Ax.norm() * y.norm())).item()


def own_kernels():
    return {
        "own-1d": randn(5, seed=1),
        "own-2d": randn(4, 7, seed=2),
        "own-complex": randn(3, 2, dtype=torch.complex128, seed=3),
        "own-smaller-than-factor": torch.ones(1, dtype=torch.float64),
    }


CASES = {
    "pool": lambda: AveragePool((6, 8), (3, 2)),
    "pool-1d": lambda: AveragePool(12, 4),
    "pool-3d": lambda: AveragePool((4, 6, 4), (1, 3, 2)),
    **{f"down-{k}": lambda k=k: Downsample((12, 9), 3, k) for k in KERNELS},
    **{f"down-ceil-{k}": lambda k=k: Downsample((13, 10), (3, 4), k) for k in KERNELS},
    **{f"down-long-{k}": lambda k=k: Downsample((3, 201), (1, 4), k) for k in KERNELS},
    "down-long-rows": lambda: Downsample((150, 4), 2),
    "down-1d": lambda: Downsample(131, 3),
    "down-3d": lambda: Downsample((5, 6, 7), 2),
    "down-tiny": lambda: Downsample((2, 1), 4),
    **{f"down-{name}": lambda k=k: Downsample((11, 12), (2, 3), k) for name, k in own_kernels().items()},
    "down-own-3d": lambda: Downsample((5, 6, 7), 2, randn(3, 2, 3)),
    **{f"up-{m}": lambda m=m: Upsample((5, 4), (2, 3), m) for m in ("nearest", "bilinear", "bicubic")},
    "up-1d": lambda: Upsample(50, 4, "bicubic"),
    "up-3d": lambda: Upsample((2, 3, 4), 2, "bilinear"),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def A(request):  # noqa: N802 (the field's name)
    return request.param()


def accepts(A, dtype):
    """Whether the operator keeps the type: those with kernels of float64 or complex128 promote."""
    return A(torch.ones(A.in_shape, dtype=dtype)).dtype == dtype


# -------------------------------------------------------------------- properties of all


@pytest.mark.parametrize("dtype", DTYPES)
def test_adjoint(A, dtype):
    x, y = randn(2, 3, *A.in_shape, dtype=dtype), randn(2, 3, *A.out_shape, dtype=dtype, seed=1)
    assert adjoint_error(A, x, y) < (1e-6 if dtype in (torch.float32, torch.complex64) else 1e-13)


@pytest.mark.parametrize("dtype", [*DTYPES, torch.bfloat16])
def test_keeps_the_type_of_named_kernels(dtype):
    for A in (AveragePool(8, 2), Downsample(8, 2), Downsample(200, 2), Upsample(8, 2, "bicubic")):
        x, y = torch.ones(A.in_shape, dtype=dtype), torch.ones(A.out_shape, dtype=dtype)
        assert A(x).dtype == A.adjoint(y).dtype == A.direct_inverse(y).dtype == dtype


def test_single_precision_agrees_with_double(A):
    x = randn(*A.in_shape)
    torch.testing.assert_close(A(x.float()).to(A(x).dtype), A(x), rtol=1e-5, atol=1e-5)


def test_norm_gram_and_normal_equations_agree_with_the_matrix(A):
    dtype = A(torch.ones(A.in_shape, dtype=torch.float64)).dtype
    M = A.to_matrix(dtype)
    torch.testing.assert_close(A.norm(), torch.linalg.matrix_norm(M, 2), rtol=1e-5, atol=0)
    torch.testing.assert_close(A.gram.to_matrix(dtype), M.mH @ M, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(A.H.gram.to_matrix(dtype), M @ M.mH, rtol=1e-12, atol=1e-12)
    b = randn(2, *A.in_shape, dtype=dtype)
    solution = torch.linalg.solve(M.mH @ M + 0.1 * torch.eye(M.shape[1], dtype=dtype), b.flatten(1).T).T
    torch.testing.assert_close(A.solve_normal(b, 0.1).flatten(1), solution, rtol=1e-8, atol=1e-8)


def test_closed_forms_are_used():
    for A in (AveragePool((6, 8), 2), Downsample((6, 8), 2), Downsample((6, 8), 2, "gaussian")):
        assert A.H.gram.has_closed_solve
    for mode in ("nearest", "bilinear", "bicubic"):
        assert Upsample((3, 4), 2, mode).gram.has_closed_solve
    assert isinstance(Downsample((6, 8), (2, 4)).H.gram, CosineDiagonal)
    assert isinstance(Downsample((7, 8), 2).H.gram, Gram)
    assert Downsample((6, 8), 1).H.gram.is_identity


def test_norm_is_exact_for_named_kernels():
    for A in (Downsample((12, 9), 3), Downsample((13, 8), (3, 2), "gaussian"), Upsample((4, 5), 2, "bicubic")):
        torch.testing.assert_close(A.norm(), torch.linalg.matrix_norm(A.to_matrix(), 2), rtol=1e-13, atol=0)


def test_damping_for_each_sample():
    A, b = Upsample((4, 3), 2, "bicubic"), randn(2, 4, 3)
    both = A.solve_normal(b, torch.tensor([0.1, 2.0], dtype=torch.float64))
    torch.testing.assert_close(both, torch.stack([A.solve_normal(b[0], 0.1), A.solve_normal(b[1], 2.0)]))


@pytest.mark.parametrize("batch", [(), (1,), (2, 3), (0,)])
def test_batch(A, batch):
    x, y = randn(*batch, *A.in_shape), randn(*batch, *A.out_shape)
    assert A(x).shape == (*batch, *A.out_shape)
    assert A.adjoint(y).shape == A.direct_inverse(y).shape == (*batch, *A.in_shape)
    for index in np.ndindex(*batch):
        torch.testing.assert_close(A(x)[index], A(x[index]))


def test_strided_input(A):
    x = randn(*A.in_shape, 2).movedim(-1, 0)
    torch.testing.assert_close(A(x), A(x.contiguous()))
    one = randn(*(1 for _ in A.in_shape)).expand(A.in_shape)
    torch.testing.assert_close(A(one), A(one.contiguous()))


def test_differentiation(A):
    A.double()
    x, y = randn(*A.in_shape).requires_grad_(), randn(*A.out_shape).requires_grad_()
    if A(x).is_complex():
        x, y = x.detach().to(A(x).dtype).requires_grad_(), y.detach().to(A(x).dtype).requires_grad_()
    assert torch.autograd.gradcheck(A, x, check_forward_ad=True, fast_mode=True)
    assert torch.autograd.gradcheck(A.adjoint, y, check_forward_ad=True, fast_mode=True)
    assert torch.autograd.gradgradcheck(A, x, fast_mode=True)


def test_vmap_and_compile(A):
    x, y = randn(3, *A.in_shape), randn(3, *A.out_shape)
    torch.compiler.reset()  # torch gives up on a function that it has compiled for many operators
    for f, z in ((A, x), (A.adjoint, y)):
        torch.testing.assert_close(torch.func.vmap(f)(z), f(z))
        torch.testing.assert_close(torch.compile(f, fullgraph=True, backend="aot_eager")(z), f(z))


@pytest.mark.parametrize("kernel", [randn(3), randn(4, 3)], ids=["1d", "2d"])
def test_own_kernel_is_learnable(kernel):
    x = randn(2, 7, 8)
    A = Downsample((7, 8), (3, 2), torch.nn.Parameter(kernel.clone()))
    assert [p.shape for p in A.parameters()] == [kernel.shape]
    A(x).square().sum().backward()
    (gradient,) = (p.grad for p in A.parameters())

    def objective(kernel):
        return Downsample((7, 8), (3, 2), kernel)(x).square().sum().item()

    for i in np.ndindex(*kernel.shape):
        step = torch.zeros_like(kernel)
        step[i] = 1e-6
        slope = (objective(kernel + step) - objective(kernel - step)) / 2e-6
        assert gradient[i].item() == pytest.approx(slope, rel=1e-6, abs=1e-6)


# -------------------------------------------------------------------- average pooling


def test_average_pool_equals_torch():
    x = randn(2, 3, 12, 18)
    torch.testing.assert_close(AveragePool((12, 18), (2, 3))(x), functional.avg_pool2d(x, (2, 3)))
    torch.testing.assert_close(AveragePool((3, 12, 18), (3, 2, 9))(x), functional.avg_pool3d(x, (3, 2, 9)))


def test_average_pool_is_undone_by_its_direct_inverse():
    A, y = AveragePool((6, 8), 2), randn(3, 4)
    torch.testing.assert_close(A(A.direct_inverse(y)), y)
    torch.testing.assert_close(A.direct_inverse(y), functional.interpolate(y[None, None], scale_factor=2)[0, 0])


@given(size=st.integers(1, 40), factor=st.integers(1, 7), other=st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_average_pool_of_any_size(size, factor, other):
    x = randn(2, size * factor, other)
    A = AveragePool((size * factor, other), (factor, 1))
    torch.testing.assert_close(A(x), x.reshape(2, size, factor, other).mean(2))
    assert adjoint_error(A, x, randn(*A(x).shape, seed=1)) < 1e-13


# -------------------------------------------------------------------- downsampling


def reference_imresize(x, factor, kernel):
    """MATLAB's imresize along the last dimension as its source states it: one output at a time, 1-based."""
    n = x.shape[-1]
    h = {
        "bicubic": lambda t: np.where(
            abs(t) <= 1,
            1.5 * abs(t) ** 3 - 2.5 * abs(t) ** 2 + 1,
            np.where(abs(t) <= 2, -0.5 * abs(t) ** 3 + 2.5 * abs(t) ** 2 - 4 * abs(t) + 2, 0),
        ),
        "bilinear": lambda t: np.maximum(1 - abs(t), 0),
        "box": lambda t: ((t >= -0.5) & (t < 0.5)).astype(float),
    }[kernel]
    width = {"bicubic": 4, "bilinear": 2, "box": 1}[kernel] * factor
    mirror = np.concatenate([np.arange(n), np.arange(n)[::-1]])
    out = []
    for position in range(1, math.ceil(n / factor) + 1):
        u = position * factor + 0.5 * (1 - factor)
        index = np.floor(u - width / 2) + np.arange(width + 2)
        weights = h((u - index) / factor) / factor
        weights /= weights.sum()
        out.append(x[..., mirror[(index.astype(int) - 1) % (2 * n)]] @ weights)
    return np.stack(out, -1)


@pytest.mark.parametrize("kernel", ["bicubic", "bilinear", "box"])
@given(n=st.integers(1, 180), factor=st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_is_imresize(kernel, n, factor):
    x = randn(2, n)
    A = Downsample(n, factor, kernel)
    np.testing.assert_allclose(A(x), reference_imresize(x.numpy(), factor, kernel), atol=1e-13)
    assert adjoint_error(A, x, randn(*A(x).shape, seed=1)) < 1e-13


@pytest.mark.parametrize("factor", [2, 3, 4, 5])
@pytest.mark.parametrize(("kernel", "resampling"), [("bicubic", Image.BICUBIC), ("bilinear", Image.BILINEAR)])
def test_interior_equals_pil(factor, kernel, resampling):
    x = randn(48 * factor, 20 * factor, dtype=torch.float32)
    y = Downsample(tuple(x.shape), factor, kernel)(x)
    image = Image.fromarray(x.numpy()).resize((y.shape[1], y.shape[0]), resampling)
    inside = (slice(2, -2), slice(2, -2))  # PIL cuts its kernels at the borders
    np.testing.assert_allclose(y[inside], np.asarray(image)[inside], atol=2e-6)


@pytest.mark.parametrize("factor", [2, 3, 4, 5])
@pytest.mark.parametrize("mode", ["bicubic", "bilinear"])
def test_interior_equals_torch(factor, mode):
    x = randn(1, 1, 48 * factor, 20 * factor)
    peer = functional.interpolate(x, scale_factor=1 / factor, mode=mode, antialias=True)
    y = Downsample((48 * factor, 20 * factor), factor, mode)(x)
    torch.testing.assert_close(y[..., 2:-2, 2:-2], peer[..., 2:-2, 2:-2], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("factor", [3, 5])
def test_gaussian_equals_scipy(factor):
    x = randn(60, 45)
    sigma, radius = 0.4 * factor, math.floor(1.6 * factor - 1e-9)
    blurred = ndimage.gaussian_filter(x.numpy(), sigma, mode="reflect", radius=radius)
    sampled = blurred[factor // 2 :: factor, factor // 2 :: factor]
    np.testing.assert_allclose(Downsample((60, 45), factor, "gaussian")(x), sampled, atol=1e-13)


def test_first_row_of_weights():
    # Output 0 lies between samples 0 and 1; Keys' cubic at 1/4, 3/4, 5/4, 7/4 is 111, 29, -9, -3 over 128. The samples
    # left of the border are mirrored onto 0, 1, 2, and halves make the sum one.
    expected = torch.tensor([111 + 29, 111 - 9, 29 - 3, -9, -3, 0, 0, 0], dtype=torch.float64) / 256
    torch.testing.assert_close(Downsample(8, 2).to_matrix()[0], expected)


@pytest.mark.parametrize("kernel", KERNELS)
def test_constants_stay_and_the_image_is_not_shifted(kernel):
    A = Downsample((150, 90), (3, 2), kernel)
    torch.testing.assert_close(A(torch.ones(150, 90).double()), torch.ones(50, 45).double())
    # Symmetric kernels of sum one keep a ramp, sampled at the blocks' centres.
    ramp = torch.arange(150.0).double()[:, None].expand(150, 90)
    centres = (3 * torch.arange(50.0).double() + 1)[:, None].expand(50, 45)
    torch.testing.assert_close(A(ramp)[4:-4], centres[4:-4])


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_box_equals_average_pool(factor):
    x = randn(12 * factor, 40 * factor)
    torch.testing.assert_close(Downsample(x.shape, factor, "box")(x), AveragePool(x.shape, factor)(x))


@pytest.mark.parametrize("factor", [1, 2, 3])
@pytest.mark.parametrize("size", [(1, 1), (4, 5), (5, 2)])
def test_own_kernel_equals_scipy(factor, size):
    x, kernel = randn(2, 17, 14), randn(*size, seed=1)
    padded = np.pad(x.numpy(), [(0, 0), (8, 8), (8, 8)], mode="symmetric")
    windows = np.stack([signal.convolve(image, kernel.numpy(), mode="valid") for image in padded])
    # The kernel's centre, (k - 1) / 2 after the window's begin, lies at that of the block, (f - 1) / 2 after its begin.
    starts = [8 + math.floor((factor - k) / 2) for k in size]
    rows, columns = (s + factor * np.arange(-(-n // factor)) for s, n in zip(starts, (17, 14), strict=True))
    expected = windows[:, rows[:, None], columns[None]]
    np.testing.assert_allclose(Downsample((17, 14), factor, kernel)(x), expected, atol=1e-13)


@pytest.mark.parametrize(
    ("factor", "size", "centre"), [(3, 5, 1.0), (2, 4, 0.5), (2, 5, 0.0), (4, 7, 1.0), (3, 2, 0.5)]
)
def test_own_kernels_centre(factor, size, centre):
    kernel = torch.ones(size, dtype=torch.float64) / size
    ramp = torch.arange(60.0, dtype=torch.float64)
    expected = factor * torch.arange(60 // factor) + centre
    torch.testing.assert_close(Downsample(60, factor, kernel)(ramp)[4:-4], expected.double()[4:-4])


def test_own_1d_kernel_acts_along_every_dimension():
    kernel, x = randn(5), randn(12, 10)
    torch.testing.assert_close(
        Downsample((12, 10), 2, kernel)(x), Downsample((12, 10), 2, torch.outer(kernel, kernel))(x)
    )


def test_own_kernel_promotes():
    A = Downsample(8, 2, randn(3, dtype=torch.float64))
    assert A(torch.ones(8)).dtype == torch.float64
    assert Downsample(8, 2, torch.ones(3))(torch.ones(8, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize("shape", [(24, 30), (23, 29)])
@pytest.mark.parametrize("kernel", [*KERNELS, torch.full((2, 2), 0.25, dtype=torch.float64)], ids=str)
def test_direct_inverse_is_bicubic_upsampling(shape, kernel):
    A = Downsample(shape, 2, kernel)
    y = randn(*A.out_shape)
    expected = Upsample(A.out_shape, 2, "bicubic")(y)[: shape[0], : shape[1]]
    torch.testing.assert_close(A.direct_inverse(y), expected)


# -------------------------------------------------------------------- upsampling


@pytest.mark.parametrize("factor", [1, 2, 3, 5])
def test_upsampling_equals_torch(factor):
    x = randn(2, 3, 40, 9)
    nearest = functional.interpolate(x, scale_factor=factor, mode="nearest")
    torch.testing.assert_close(Upsample((40, 9), factor)(x), nearest)
    bilinear = functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
    torch.testing.assert_close(Upsample((40, 9), factor, "bilinear")(x), bilinear)
    trilinear = functional.interpolate(x[None], scale_factor=factor, mode="trilinear", align_corners=False)[0]
    torch.testing.assert_close(Upsample((3, 40, 9), factor, "bilinear")(x), trilinear)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_bicubic_upsampling_equals_pil_inside(factor):
    x = randn(40, 12, dtype=torch.float32)
    y = Upsample((40, 12), factor, "bicubic")(x)
    image = Image.fromarray(x.numpy()).resize((y.shape[1], y.shape[0]), Image.BICUBIC)
    inside = (slice(2 * factor, -2 * factor),) * 2
    np.testing.assert_allclose(y[inside], np.asarray(image)[inside], atol=2e-6)


def test_bicubic_upsampling_keeps_quadratic_polynomials():
    t, fine = torch.arange(30.0).double(), (torch.arange(120.0).double() + 0.5) / 4 - 0.5
    torch.testing.assert_close(Upsample(30, 4, "bicubic")(t**2 - 3 * t)[8:-8], (fine**2 - 3 * fine)[8:-8])


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_upsampling_is_undone_by_its_direct_inverse(mode):
    A, x, y = Upsample((7, 5), (2, 3), mode), randn(2, 7, 5), randn(14, 15)
    torch.testing.assert_close(A.direct_inverse(A(x)), x)
    least_squares = torch.linalg.lstsq(A.to_matrix(), y.flatten()[:, None]).solution
    torch.testing.assert_close(A.direct_inverse(y).flatten(), least_squares[:, 0])


# -------------------------------------------------------------------- published numbers


@pytest.mark.skipif(not SET5.is_dir(), reason=f"the photographs of Set5 are not at {SET5}")
@pytest.mark.parametrize(("factor", "published"), [(2, 33.66), (3, 30.39), (4, 28.42)])
def test_bicubic_psnr_on_set5(factor, published):
    """Bicubic interpolation as in table 2 of C. Dong et al. (SRCNN, IEEE TPAMI 2016) and everywhere since."""
    psnr = []
    for path in sorted(SET5.glob("img_*.png")):
        rgb = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).double()
        luminance = (rgb @ torch.tensor([65.481, 128.553, 24.966]).double() / 255 + 16).round()
        height, width = (n // factor * factor for n in luminance.shape)
        image = luminance[:height, :width]
        A = Downsample((height, width), factor)
        restored = A.direct_inverse(A(image).round().clamp(0, 255)).round().clamp(0, 255)
        error = (restored - image)[factor:-factor, factor:-factor]
        psnr.append(10 * math.log10(255**2 / error.square().mean().item()))
    assert len(psnr) == 5
    assert np.mean(psnr) == pytest.approx(published, abs=0.015)


# -------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: AveragePool((6, 7), 2), ValueError, r"AveragePool: factor must divide.*\(2, 2\).*\(6, 7\)"),
        (lambda: AveragePool((6, 6), 0), ValueError, "AveragePool: factor must be at least 1, got 0"),
        (lambda: AveragePool((6, 6), 1.5), TypeError, "AveragePool: factor"),
        (lambda: AveragePool((6, 6), (1, 2, 3)), ValueError, "AveragePool: factor takes one entry"),
        (lambda: Downsample((6, 6), -2), ValueError, "Downsample: factor must be at least 1, got -2"),
        (
            lambda: Downsample((6, 6), 2, "lanczos"),
            ValueError,
            r"Downsample: kernel \(if not a tensor\) takes one of bicubic.*'lanczos'",
        ),
        (
            lambda: Downsample((6, 6), 2, torch.ones(3, 3, 3)),
            ValueError,
            r"Downsample: kernel takes 1 or 2.*\(3, 3, 3\)",
        ),
        (lambda: Downsample((6, 6), 2, torch.ones(0)), ValueError, "Downsample: kernel takes"),
        (lambda: Downsample((6, 6), 2, torch.tensor([1.0, math.nan])), ValueError, "Downsample: kernel must be finite"),
        (lambda: Downsample((6, 6), 2, torch.ones(3, dtype=torch.int64)), TypeError, "Downsample: kernel"),
        (lambda: Downsample((6, 6), 2, 3), TypeError, "Downsample: kernel"),
        (lambda: Downsample((2, 2, 2, 2), 2, torch.ones(3)), ValueError, "1 to 3 dimensions"),
        (lambda: Upsample((6, 6), 2, "cubic"), ValueError, "Upsample: mode takes one of nearest.*'cubic'"),
        (lambda: Upsample((6, 0), 2), ValueError, "Upsample: in_shape takes positive sizes"),
        (lambda: Downsample((6, 6), 2)(torch.ones(6, 5)), ValueError, r"Downsample: takes an input of shape.*\(6, 5\)"),
        (lambda: Upsample((6, 6), 2)(torch.ones(6, 6).long()), TypeError, "Upsample: takes an input of a floating"),
    ],
)
def test_bad_input(make, error, message):
    with pytest.raises(error, match=message):
        make()
