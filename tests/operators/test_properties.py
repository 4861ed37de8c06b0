"""Adjoints at rounding level for any shape, stride, padding and factor: the parameters are drawn by hypothesis."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import operators
from operators.testing import adjoint_error

PADDINGS = ("valid", "same", "full", "circular", "reflect", "replicate")
quick = settings(deadline=None, max_examples=60, derandomize=True)


def is_exact(A):
    # The error is relative to |A x|: of several images, not all have a small one by chance.
    return all(
        adjoint_error(A, dtype=dtype, batch=(8,)) < bound
        for dtype, bound in [(torch.float32, 1e-6), (torch.float64, 1e-12)]
    )


def random(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


@st.composite
def convolutions(draw):
    dims = draw(st.integers(1, 3))
    padding = draw(st.sampled_from(PADDINGS))
    odd = padding in ("same", "reflect", "replicate")
    size = [2 * draw(st.integers(0, 2)) + 1 if odd else draw(st.integers(1, 4)) for _ in range(dims)]
    shape = [max(k, 2) + draw(st.integers(0, 5 if dims < 3 else 2)) for k in size]
    stride = [draw(st.integers(1, 3)) for _ in range(dims)]
    channels = draw(st.sampled_from([(), (1, 2), (3, 2)]))
    return operators.Convolution(
        random(*channels, *size),
        (*channels[1:], *shape),
        stride,
        padding,
        mode=draw(st.sampled_from(["convolution", "correlation"])),
        method=draw(st.sampled_from(["direct", "fft"])),
    )


@quick
@given(convolutions())
def test_convolution(A):
    assert is_exact(A)
    x = random(*A.in_shape)
    torch.testing.assert_close(A.gram(x), A.adjoint(A(x)), rtol=0, atol=1e-10)


@quick
@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 3)), min_size=1, max_size=3),
    st.integers(0, 2),
    st.sampled_from(["convolution", "correlation"]),
)
def test_transposed_convolution(sizes, padding, mode):
    kernel, shape, stride = zip(*sizes, strict=True)
    padding = min(padding, *((k - 1 + (n - 1) * s) // 2 for k, n, s in sizes))
    assert is_exact(operators.TransposedConvolution(random(*kernel), shape, stride, padding, mode=mode))


@quick
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 4)), min_size=1, max_size=3))
def test_subsampling_and_resampling(sizes):
    shape, factor = zip(*sizes, strict=True)
    large = [n * f for n, f in sizes]
    for A in (
        operators.Subsample(shape, factor),
        operators.AveragePool(large, factor),
        *(operators.Downsample(shape, factor, kernel) for kernel in ("bicubic", "bilinear", "box", "gaussian")),
        *(operators.Upsample(shape, factor, mode) for mode in ("nearest", "bilinear", "bicubic")),
    ):
        assert is_exact(A)


@quick
@given(st.lists(st.integers(1, 6), min_size=1, max_size=3), st.data())
def test_fourier_transform(shape, data):
    dims = data.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1).map(sorted))
    for centered in (True, False):
        for norm in ("ortho", "backward", "forward"):
            A = operators.FourierTransform(shape, dims, centered, norm)
            assert adjoint_error(A, dtype=torch.complex128, batch=(2,)) < 1e-12
            assert adjoint_error(A, dtype=torch.complex64) < 1e-6


@quick
@given(st.integers(1, 4), st.integers(1, 4), st.integers(2, 5), st.integers(2, 5))
def test_colour(channels, outputs, height, width):
    assert is_exact(operators.ChannelMix(random(outputs, channels), (channels, height, width)))
    assert is_exact(operators.Grayscale((3, height, width)))
    assert is_exact(operators.BayerMosaic((3, height, width)))


@quick
@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 2)), min_size=1, max_size=3),
    st.integers(1, 2),
    st.sampled_from(["haar", "db2", "db4", "sym5", "coif1", "bior2.2", "bior4.4", "rbio1.3"]),
)
def test_wavelet(sizes, level, wavelet):
    # Sizes that 2**level divides, and often smaller than the filters, which then wrap around more than once.
    assert is_exact(operators.Wavelet([n * 2 ** (level + more) for n, more in sizes], wavelet, level))


@quick
@given(st.lists(st.integers(1, 6), min_size=1, max_size=3), st.sampled_from(["neumann", "circular"]))
def test_finite_difference(shape, boundary):
    A = operators.FiniteDifference(shape, boundary)
    assert is_exact(A)
    x = random(*shape)
    torch.testing.assert_close(A.gram(x), A.adjoint(A(x)), rtol=0, atol=1e-12)


@quick
@given(st.integers(1, 6), st.integers(1, 6), st.booleans(), st.booleans())
def test_matrix(rows, columns, sparse, complex_):
    matrix = random(rows, columns) * (1 - 2j if complex_ else 1)
    assert is_exact(operators.Matrix(matrix.to_sparse() if sparse else matrix))
