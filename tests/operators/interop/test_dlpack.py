"""Arrays in and out by DLPack: torch does it all, and a forgotten conversion is named."""

import numpy as np
import pytest
import torch

import operators

A = operators.FourierTransform((4, 5))


class Array:
    """An array of another library: what is known of it is DLPack's protocol."""

    def __init__(self, data):
        self._data = data

    def __dlpack__(self, **options):
        return self._data.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._data.__dlpack_device__()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_arrays_go_in_and_out_without_a_copy(dtype):
    array = np.random.default_rng(0).random((3, 4, 5)).astype(dtype)
    x = torch.from_dlpack(Array(array))
    array[0, 0, 0] = 7
    assert x[0, 0, 0] == 7
    y = A(x)
    result = np.from_dlpack(y.resolve_conj())
    assert np.shares_memory(result, y.numpy())
    shifted = np.fft.ifftshift(array, axes=(1, 2))
    expected = np.fft.fftshift(np.fft.fftn(shifted, axes=(1, 2), norm="ortho"), axes=(1, 2))
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


def test_a_tensor_offers_the_protocol():
    assert Array(A(torch.ones(4, 5))).__dlpack_device__() == (1, 0)  # the CPU


@pytest.mark.parametrize("make", [np.asarray, Array])
def test_an_array_that_was_not_converted_is_answered_with_the_function_that_does(make):
    with pytest.raises(
        TypeError, match=r"FourierTransform: takes a torch\.Tensor as an input, got .*torch\.from_dlpack"
    ):
        A(make(np.ones((4, 5))))
    with pytest.raises(TypeError, match=r"got list$"):
        A([1.0])
