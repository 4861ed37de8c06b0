"""Operators on colours: against scikit-image, scipy and the standards."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage import color

from operators import BayerMosaic, ChannelMix, Downsample, Grayscale, Identity, Mask

PATTERNS = ["RGGB", "BGGR", "GRBG", "GBRG"]


def randn(*shape, dtype=torch.float64, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def adjoint_error(A, dtype=torch.float64):
    x, y = randn(2, *A.in_shape, dtype=dtype), randn(2, *A.out_shape, dtype=dtype, seed=1)
    Ax, Ay = A(x), A.adjoint(y)
    return (((Ax.conj() * y).sum() - (x.conj() * Ay).sum()).abs() / (Ax.norm() * y.norm())).item()


def assert_matches_its_matrix(A, dtype=torch.float64):
    """The norm, gram, cogram and damped normal equations are those of the dense matrix."""
    M = A.to_matrix(dtype)
    torch.testing.assert_close(A.norm(), torch.linalg.matrix_norm(M, 2), check_dtype=False)
    torch.testing.assert_close(A.gram.to_matrix(dtype), M.mH @ M)
    torch.testing.assert_close(A.H.gram.to_matrix(dtype), M @ M.mH)
    b = randn(2, *A.in_shape, dtype=dtype)
    solution = torch.linalg.solve(M.mH @ M + 0.1 * torch.eye(M.shape[1], dtype=dtype), b.flatten(1).T).T
    torch.testing.assert_close(A.solve_normal(b, 0.1).flatten(1), solution)


# -------------------------------------------------------------------- grayscale


def test_grayscale_of_the_standards():
    x = randn(2, 3, 4, 5)
    # scikit-image's YUV is that of BT.601, its rgb2gray that of BT.709 with other decimals.
    luma = color.rgb2yuv(x.movedim(1, -1).numpy())[..., 0]
    np.testing.assert_allclose(Grayscale((3, 4, 5))(x), luma, rtol=1e-12, atol=1e-12)
    gray = color.rgb2gray(x.movedim(1, -1).numpy())
    np.testing.assert_allclose(Grayscale((3, 4, 5), "bt709")(x), gray, atol=5e-4)


@pytest.mark.parametrize("weights", ["bt601", "bt709"])
def test_grayscale_algebra(weights):
    A = Grayscale((3, 4, 5), weights)
    assert adjoint_error(A) < 1e-14
    assert adjoint_error(A, torch.complex128) < 1e-14
    assert A.H.gram.has_closed_solve
    assert_matches_its_matrix(A)
    y = randn(4, 5)
    torch.testing.assert_close(A(A.direct_inverse(y)), y)
    torch.testing.assert_close(A.direct_inverse(y), y.expand(3, 4, 5))


def test_grayscale_composes_with_spatial_operators():
    x = randn(2, 3, 8, 8)
    A = Downsample((8, 8), 2) @ Grayscale((3, 8, 8))
    B = Grayscale((3, 4, 4)) @ Downsample((8, 8), 2)
    assert A.in_shape == B.in_shape == (3, 8, 8)
    torch.testing.assert_close(A(x), B(x))


def test_grayscale_keeps_the_type():
    for dtype in (torch.bfloat16, torch.float32, torch.complex64):
        assert Grayscale((3, 2, 2))(torch.ones(3, 2, 2, dtype=dtype)).dtype == dtype


# -------------------------------------------------------------------- mixtures of channels


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@given(c_in=st.integers(1, 5), c_out=st.integers(1, 5), rest=st.lists(st.integers(1, 4), max_size=3))
@settings(max_examples=20, deadline=None)
def test_channel_mix_of_any_shape(dtype, c_in, c_out, rest):
    A = ChannelMix(randn(c_out, c_in, dtype=dtype, seed=2), (c_in, *rest))
    x = randn(2, 3, c_in, *rest)
    expected = torch.einsum("oc,bkcp->bkop", A.matrix, x.reshape(2, 3, c_in, -1).to(dtype))
    torch.testing.assert_close(A(x), expected.reshape(2, 3, c_out, *rest))
    assert adjoint_error(A, dtype) < 1e-13
    assert_matches_its_matrix(A, dtype)


def test_channel_mix_of_a_batch_of_none_or_no_images():
    A = ChannelMix(randn(2, 3), (3, 4))
    assert A(randn(3, 4)).shape == (2, 4)
    assert A(randn(0, 3, 4)).shape == (0, 2, 4)


def test_channel_mixes_merge():
    A, B = ChannelMix(randn(2, 3), (3, 4)), ChannelMix(randn(3, 5, dtype=torch.complex128, seed=1), (5, 4))
    x = randn(5, 4, dtype=torch.complex128)
    merged = A @ B
    assert isinstance(merged, ChannelMix)
    torch.testing.assert_close(merged(x), A(B(x)))
    assert isinstance(A + 2 * A, ChannelMix)
    torch.testing.assert_close((A - 3 * A)(x[:3]), -2 * A(x[:3]))
    assert isinstance(A.H @ A, ChannelMix)


def test_channel_mix_inverts_by_its_pseudo_inverse():
    A, y = ChannelMix(randn(4, 3), (3, 5)), randn(4, 5)
    torch.testing.assert_close(A.direct_inverse(y), torch.linalg.lstsq(A.matrix, y).solution)
    singular = ChannelMix(torch.ones(2, 2, dtype=torch.float64), (2, 5))
    b = singular.adjoint(randn(2, 5))
    torch.testing.assert_close(singular.gram(singular.solve_normal(b)), b)


def test_channel_mix_with_damping_for_each_sample():
    A, b, damping = ChannelMix(randn(4, 3), (3, 5)), randn(2, 3, 5), torch.tensor([0.1, 2.0]).double()
    both = A.solve_normal(b, damping)
    torch.testing.assert_close(both, torch.stack([A.solve_normal(v, d) for v, d in zip(b, damping, strict=True)]))


def test_channel_mix_is_learnable():
    # Degenerate singular values too: the gradient of an eigendecomposition would not be finite there.
    matrix = torch.nn.Parameter(torch.eye(2, dtype=torch.float64))
    A, b = ChannelMix(matrix, (2, 3)), randn(2, 3)
    assert list(A.parameters()) == [matrix]

    def solved(m):
        return ChannelMix(m, (2, 3)).solve_normal(b, 0.5)

    assert torch.autograd.gradcheck(lambda m: ChannelMix(m, (2, 3))(b), matrix)
    assert torch.autograd.gradcheck(solved, randn(2, 2).requires_grad_())
    A.solve_normal(b, 0.5).sum().backward()
    assert torch.isfinite(matrix.grad).all()


def test_channel_mix_promotes():
    x = torch.ones(3, 2)
    assert ChannelMix(randn(2, 3), (3, 2))(x).dtype == torch.float64
    assert ChannelMix(randn(2, 3).cfloat(), (3, 2))(x).dtype == torch.complex64
    assert ChannelMix(randn(2, 3).float(), (3, 2))(x.cfloat()).dtype == torch.complex64


# -------------------------------------------------------------------- colour mosaic


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("size", [(4, 6), (5, 7), (2, 2)])
def test_bayer_mosaic(pattern, size):
    A, x = BayerMosaic((3, *size), pattern), randn(2, 3, *size)
    y = A(x)
    for i, j in np.ndindex(*size):
        colour = "RGB".index(pattern[2 * (i % 2) + j % 2])
        assert torch.equal(y[:, i, j], x[:, colour, i, j])
    assert adjoint_error(A) < 1e-14
    assert adjoint_error(A, torch.complex128) < 1e-14
    assert isinstance(A.gram, Mask)
    assert isinstance(A.H.gram, Identity)
    assert_matches_its_matrix(A)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("size", [(8, 6), (7, 9), (2, 3)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_bilinear_demosaicking_equals_normalized_convolution(pattern, size, dtype):
    A = BayerMosaic((3, *size), pattern)
    y = randn(2, *size, dtype=dtype)
    square = np.outer([0.5, 1, 0.5], [0.5, 1, 0.5])
    cross = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
    known = A.adjoint(torch.ones(size, dtype=torch.float64)).numpy()
    result = A.direct_inverse(y)
    for sample, mosaic in zip(result, y.numpy(), strict=True):
        for channel, mask, kernel in zip(sample, known, (square, cross, square), strict=True):
            mean = ndimage.convolve(mosaic * mask, kernel, mode="constant")
            weight = ndimage.convolve(mask, kernel, mode="constant")
            np.testing.assert_allclose(channel, mean / weight, atol=1e-13)
    torch.testing.assert_close(A(result), y)


def test_demosaicking_of_no_images():
    assert BayerMosaic((3, 4, 4)).direct_inverse(torch.zeros(0, 4, 4)).shape == (0, 3, 4, 4)


# -------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Grayscale((4, 5, 5)), ValueError, r"Grayscale: in_shape takes \(3, \.\.\.\).*\(4, 5, 5\)"),
        (lambda: Grayscale(3), ValueError, "Grayscale: in_shape takes"),
        (lambda: Grayscale((3, 5, 5), "bt2020"), ValueError, "Grayscale: weights takes one of bt601.*'bt2020'"),
        (lambda: Grayscale((3, 5, 5))(torch.ones(5, 5)), ValueError, "Grayscale: takes an input of shape"),
        (
            lambda: ChannelMix(torch.ones(2, 3), (2, 4)),
            ValueError,
            r"ChannelMix: takes a matrix.*\(2, 3\) and \(2, 4\)",
        ),
        (lambda: ChannelMix(torch.ones(3), (3, 4)), ValueError, "ChannelMix: takes a matrix"),
        (lambda: ChannelMix(torch.ones(0, 3), (3, 4)), ValueError, "ChannelMix: takes a matrix"),
        (lambda: ChannelMix([[1.0]], 1), TypeError, "ChannelMix: matrix takes a torch.Tensor, got list"),
        (lambda: ChannelMix(torch.ones(2, 2).long(), 2), TypeError, "ChannelMix: matrix takes a floating-point"),
        (lambda: ChannelMix(torch.full((1, 1), math.inf), 1), ValueError, "ChannelMix: matrix must be finite"),
        (lambda: BayerMosaic((3, 4)), ValueError, r"BayerMosaic: in_shape takes \(3, H, W\)"),
        (lambda: BayerMosaic((3, 1, 4)), ValueError, r"at least 2, got \(3, 1, 4\)"),
        (lambda: BayerMosaic((3, 4, 4), "RGBG"), ValueError, "BayerMosaic: pattern takes one of RGGB.*'RGBG'"),
        (lambda: BayerMosaic((3, 4, 4))(torch.ones(4, 4)), ValueError, "BayerMosaic: takes an input of shape"),
    ],
)
def test_bad_input(make, error, message):
    with pytest.raises(error, match=message):
        make()
