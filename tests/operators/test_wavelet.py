"""The wavelet transform, against PyWavelets."""

import numpy as np
import pytest
import pywt
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from operators import Wavelet
from operators.testing import adjoint_error


def random(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("wavelet", ["haar", "db4", "sym5", "coif2", "bior4.4", "bior2.2", "bior3.3", "rbio1.3"])
@pytest.mark.parametrize(
    ("shape", "level"),
    [((32,), 3), ((16, 24), 2), ((8, 4, 8), 2), ((4, 4), 2), ((2,), 1), ((148, 300), 2), ((2, 258), 1)],
)
@pytest.mark.filterwarnings("ignore:Level value of")
def test_coefficients_are_pywavelets(wavelet, shape, level):
    x = random(*shape)
    expected, _ = pywt.coeffs_to_array(pywt.wavedecn(x.numpy(), wavelet, mode="periodization", level=level))
    np.testing.assert_allclose(Wavelet(shape, wavelet, level)(x).numpy(), expected, atol=1e-12)


@pytest.mark.filterwarnings("ignore:Level value of")
def test_unpack_gives_pywavelets_subbands():
    W, x = Wavelet((16, 8), "db2", level=2), random(3, 16, 8)
    expected = pywt.wavedecn(x[1].numpy(), "db2", mode="periodization", level=2)
    approximation, *details = W.unpack(W(x))
    np.testing.assert_allclose(approximation[1].numpy(), expected[0], atol=1e-12)
    for got, bands in zip(details, expected[1:], strict=True):
        assert sorted(got) == sorted(bands)
        for key, band in bands.items():
            np.testing.assert_allclose(got[key][1].numpy(), band, atol=1e-12)


def _exact_wavelets():
    return [name for name in pywt.wavelist(kind="discrete") if name != "dmey"]


@pytest.mark.parametrize("wavelet", _exact_wavelets())
def test_every_wavelet_is_inverted(wavelet):
    W, x = Wavelet((16, 8), wavelet), random(16, 8)
    torch.testing.assert_close(W.direct_inverse(W(x)), x, rtol=0, atol=1e-6)
    if W.is_orthogonal:
        torch.testing.assert_close(W.adjoint(W(x)), x, rtol=0, atol=1e-10)


@pytest.mark.parametrize("wavelet", ["haar", "db4", "db10", "sym8", "coif3"])
def test_orthogonal_wavelets_are_known_to_be(wavelet):
    assert Wavelet((16, 16), wavelet).gram.is_identity


def test_biorthogonal_and_approximate_ones_are_not():
    assert not Wavelet((16, 16), "bior4.4").gram.is_identity
    assert not Wavelet((16, 16), "dmey").gram.is_identity


@settings(deadline=None, max_examples=30, derandomize=True)
@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=3),
    st.integers(1, 2),
    st.sampled_from(["haar", "db3", "bior2.4", "coif1"]),
)
def test_adjoint_of_any_shape(factors, level, wavelet):
    W = Wavelet([2**level * f for f in factors], wavelet, level)
    assert adjoint_error(W, dtype=torch.float64, batch=(2,)) < 1e-12
    assert adjoint_error(W, dtype=torch.float32) < 1e-6


@pytest.mark.parametrize("wavelet", ["haar", "db4", "db5", "db38", "dmey", "bior3.9"])
@pytest.mark.parametrize("shape", [(3, 520), (20, 520), (3, 264, 6), (2, 200, 3)])
@pytest.mark.filterwarnings("ignore:Level value of")
def test_long_signals_of_any_number(wavelet, shape):
    """Few and many of them, whole and broken blocks, and filters of all lengths."""
    x = random(*shape)
    W = Wavelet(shape[1], wavelet, 2) if len(shape) == 2 else Wavelet(shape[1:2], wavelet, 1)
    x = x if len(shape) == 2 else x.transpose(1, 2)
    coefficients = pywt.wavedecn(x.numpy(), wavelet, mode="periodization", level=W.level, axes=[-1])
    expected, _ = pywt.coeffs_to_array(coefficients, axes=[-1])
    np.testing.assert_allclose(W(x).numpy(), expected, atol=1e-11)
    assert adjoint_error(W, dtype=torch.float64, batch=x.shape[:-1]) < 1e-13
    if wavelet != "dmey":  # which PyWavelets cuts off
        torch.testing.assert_close(W.direct_inverse(W(x)), x, rtol=0, atol=1e-9)


def test_gradients():
    W = Wavelet((4, 4), "db2", level=2)
    assert torch.autograd.gradcheck(W, (random(4, 4).requires_grad_(),))
    assert torch.autograd.gradgradcheck(W.adjoint, (random(4, 4).requires_grad_(),))


def test_bad_input():
    with pytest.raises(ValueError, match=r"Wavelet: wavelet takes a discrete wavelet .* such as db4, got 'dbb'"):
        Wavelet((8, 8), "dbb")
    with pytest.raises(ValueError, match=r"Wavelet: takes even sizes, got \(8, 7\)"):
        Wavelet((8, 7))
    with pytest.raises(ValueError, match=r"level 3 takes sizes that 8 divides, got \(8, 12\), which allows 2"):
        Wavelet((8, 12), "haar", level=3)
    with pytest.raises(ValueError, match="level must be at least 1, got 0"):
        Wavelet((8, 12), "haar", level=0)
