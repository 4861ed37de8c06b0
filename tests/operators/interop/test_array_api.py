"""Arrays in and out: numpy, the array API standard's strict implementation, and what only speaks DLPack."""

import array_api_strict
import numpy as np
import pytest
import torch

import invnet
import operators
from operators.interop import from_array, to_array

A = operators.FourierTransform((4, 5))
DTYPES = ["float32", "float64", "complex64", "complex128"]


class Exported:
    """An array of another library, of which nothing is known but DLPack's protocol."""

    def __init__(self, data, device=1):  # the CPU
        self._data, self._device = data, device

    def __dlpack__(self, **options):
        return self._data.__dlpack__()

    def __dlpack_device__(self):
        return (self._device, 0)


class OnDevice(Exported):
    """As CuPy's arrays are: with strides, and a copy without negative ones. (The device is said, not there.)"""

    def __init__(self, data):
        super().__init__(data, device=12)  # one that no library is asked about
        self.strides = data.strides

    def copy(self):
        return OnDevice(self._data.copy(order="C"))


def namespaces():
    return [np, array_api_strict]


def numbers(dtype, shape=(3, 4, 5)):
    generator = np.random.default_rng(0)
    x = generator.standard_normal(shape)
    return (x + 1j * generator.standard_normal(shape) if "complex" in dtype else x).astype(dtype)


def fourier(x):
    """By numpy."""
    return np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(x, axes=(1, 2)), axes=(1, 2), norm="ortho"), axes=(1, 2))


@pytest.mark.parametrize("xp", namespaces())
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_array_goes_in_and_out_without_a_copy(xp, dtype):
    array = xp.asarray(numbers(dtype))
    x = from_array(array)
    assert str(x.dtype) == f"torch.{dtype}"
    array[0, 0, 0] = 7
    assert x[0, 0, 0] == 7
    back = to_array(x, xp)
    assert type(back) is type(array)
    assert back.dtype == array.dtype
    x[0, 0, 0] = 8
    assert array[0, 0, 0] == back[0, 0, 0] == 8


@pytest.mark.parametrize("xp", namespaces())
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_operator_between_arrays_is_numpys(xp, dtype):
    data = numbers(dtype)
    y = to_array(A(from_array(xp.asarray(data))), xp)
    np.testing.assert_allclose(from_array(y).numpy(), fourier(data), rtol=1e-4, atol=1e-5)
    back = to_array(A.H(from_array(y)), xp)
    np.testing.assert_allclose(from_array(back).numpy(), data, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("xp", namespaces())
def test_a_reconstructor_between_arrays_gives_what_it_gives_for_tensors(xp):
    physics = invnet.Physics(A @ operators.RealToComplex((4, 5)), noise=invnet.noise.Gaussian(0.1))
    y = physics(torch.rand(2, 4, 5), generator=torch.Generator().manual_seed(0))
    method = invnet.MAP(invnet.priors.TotalVariation(), strength=1.0)
    image = to_array(method(from_array(to_array(y, xp)), physics), xp)
    np.testing.assert_array_equal(from_array(image).numpy(), method(y, physics).numpy())


@pytest.mark.parametrize(
    "array",
    [
        numbers("complex128")[:, ::-1],
        numbers("float64").astype(">f8"),
        np.broadcast_to(numbers("float32", (4, 5)), (3, 4, 5)),
        np.zeros((3, 4, 5), dtype=[("a", "u1"), ("b", "f4")])["b"],
        numbers("float64", (0, 4, 5)),
        numbers("float32", ()),
        numbers("float64", (5, 8, 3)).T[:, ::2],
    ],
    ids=["reversed", "big-endian", "read-only", "field", "empty", "number", "strided"],
)
def test_any_layout_of_numpys_arrays_comes_in(array):
    np.testing.assert_array_equal(from_array(array).numpy(), array)


def test_what_may_not_be_written_to_is_not_shared():
    array = np.ones(3)
    array.flags.writeable = False
    from_array(array).zero_()
    np.testing.assert_array_equal(array, np.ones(3))


@pytest.mark.parametrize(
    "make", [array_api_strict.asarray, Exported, OnDevice], ids=["strict", "DLPack alone", "device"]
)
def test_negative_strides_are_copied(make):
    """`torch.from_dlpack` ends the process."""
    data = numbers("float32")[:, :, ::-1]
    np.testing.assert_array_equal(from_array(make(data)).numpy(), data)


def test_a_type_that_numpy_does_not_know_comes_in():
    data = torch.rand(3).bfloat16()
    assert torch.equal(from_array(Exported(data)), data)


@pytest.mark.parametrize("xp", namespaces())
def test_lazy_conjugates_and_gradients_are_no_obstacle(xp):
    x = torch.tensor([1 + 2j], requires_grad=True)
    assert to_array(x.conj(), xp)[0] == 1 - 2j
    assert to_array(x.conj().imag, xp)[0] == -2


def test_a_tensor_stays_itself():
    x = torch.ones(3)
    assert from_array(x) is x


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: from_array([1.0]), r"takes an array with the method __dlpack__, got list; numpy\.asarray"),
        (lambda: from_array(np.ma.array([1.0, 2.0], mask=[0, 1])), "without a mask, got a MaskedArray"),
        (lambda: from_array(np.array(["a"])), "torch does not take this ndarray"),
        (lambda: from_array(np.ones(2, np.longdouble)), "torch does not take this ndarray"),
        (lambda: to_array(np.ones(2)), r"takes a torch\.Tensor, got ndarray"),
        (lambda: to_array(torch.ones(2), np.ones(2)), "takes a library's namespace with from_dlpack.*got ndarray"),
        (lambda: to_array(torch.ones(2), "numpy"), "takes a library's namespace with from_dlpack.*got str"),
        (lambda: to_array(torch.ones(2).bfloat16()), r"numpy does not take a tensor of torch\.bfloat16 on cpu"),
        (lambda: to_array(torch.ones(2, device="meta")), "numpy does not take a tensor of .* on meta"),
        (lambda: to_array(torch.eye(2).to_sparse()), "numpy does not take a tensor"),
    ],
)
def test_what_is_not_taken(call, message):
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch computes on GPUs here")
def test_an_array_on_a_device_that_torch_lacks_is_named():
    with pytest.raises(TypeError, match=r"torch does not take this Exported: .*CUDA"):
        from_array(Exported(np.ones(2), device=2))


@pytest.mark.parametrize("make", [np.asarray, array_api_strict.asarray, Exported])
def test_an_array_that_was_not_converted_is_answered_with_the_function_that_does(make):
    array = make(np.ones((4, 5)))
    physics = invnet.Physics(A)
    for call in (A, A.H, physics, lambda y: invnet.DirectInverse()(y, physics), operators.Diagonal):
        with pytest.raises(TypeError, match=r"takes a torch\.Tensor.* got .*operators\.interop\.from_array makes"):
            call(array)
    with pytest.raises(TypeError, match=r"got list$"):
        A([1.0])
