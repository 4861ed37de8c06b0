"""TransposedConvolution against torch's, over everything that it takes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from operators import Convolution, TransposedConvolution
from operators.testing import adjoint_error

TORCH = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def random(*shape, dtype=torch.float64, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@st.composite
def problems(draw):
    """Sizes and parameters for which there is a result."""
    dims = draw(st.integers(1, 3))
    each = {"n": (1, 5), "k": (1, 5), "stride": (1, 3), "padding": (0, 4), "output_padding": (0, 2)}
    values = {name: draw(st.lists(st.integers(*span), min_size=dims, max_size=dims)) for name, span in each.items()}
    columns = zip(*values.values(), strict=True)
    fitting = []
    for n, k, s, p, extra in columns:
        extra = min(extra, s - 1)
        p = min(p, ((n - 1) * s + k + extra - 1) // 2)
        fitting.append((n, k, s, p, extra))
    return [tuple(column) for column in zip(*fitting, strict=True)]


@given(problems(), st.sampled_from(["none", "single", "mixed"]), st.sampled_from(["correlation", "convolution"]))
@settings(max_examples=150, deadline=None)
def test_equals_torch(problem, channels, mode):
    n, k, stride, padding, output_padding = problem
    c_in, c_out = {"none": (1, 1), "single": (1, 1), "mixed": (2, 3)}[channels]
    kernel, x = random(c_in, c_out, *k), random(2, c_in, *n, seed=1)
    torch_kernel = kernel if mode == "correlation" else kernel.flip(tuple(range(2, kernel.ndim)))
    expected = TORCH[len(n)](x, torch_kernel, None, stride, padding, output_padding)
    if channels == "none":
        kernel, x, expected = kernel[0, 0], x[:, 0], expected[:, 0]
    A = TransposedConvolution(kernel, x.shape[1:], stride, padding, output_padding, mode)
    assert A.out_shape == expected.shape[1:]
    torch.testing.assert_close(A(x), expected, rtol=1e-13, atol=1e-13)
    assert adjoint_error(A, dtype=torch.float64, batch=(2,)) < 1e-14


def test_is_torchs_also_for_complex_kernels():
    kernel, x = random(2, 3, 4, dtype=torch.complex128), random(2, 5, dtype=torch.complex128, seed=1)
    A = TransposedConvolution(kernel, (2, 5), stride=2)
    torch.testing.assert_close(A(x), F.conv_transpose1d(x[None], kernel, stride=2)[0])
    assert adjoint_error(A, dtype=torch.complex128) < 1e-14


@pytest.mark.parametrize("mode", ["correlation", "convolution"])
def test_is_the_transpose_of_a_strided_convolution(mode):
    kernel, y = random(3, 4), random(4, 3, seed=1)
    A = Convolution(kernel, (9, 9), stride=(2, 3), mode=mode)
    B = TransposedConvolution(kernel, A.out_shape, stride=(2, 3), output_padding=(0, 2), mode=mode)
    torch.testing.assert_close(B(y[:, :2]), A.adjoint(y[:, :2]))
    torch.testing.assert_close(B.to_matrix(), A.to_matrix().T)


def test_gradients_of_the_kernel():
    kernel = torch.nn.Parameter(random(2, 1, 3))
    A, x = TransposedConvolution(kernel, (2, 4), stride=2, padding=1, output_padding=1), random(2, 4, seed=1)

    def output(weights):
        return torch.func.functional_call(A, {"kernel": weights}, (x,))

    assert torch.autograd.gradcheck(output, (kernel,))
    assert torch.autograd.gradgradcheck(output, (kernel,))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel": torch.tensor([1.0, float("inf")])}, "must be finite"),
        ({"kernel": torch.ones(3, 0), "in_shape": (4, 4)}, "the kernel is empty"),
        ({"kernel": torch.ones(2, 3, 3), "in_shape": (3, 8)}, "takes 2 channels, but in_shape (3, 8) has 3"),
        ({"stride": 0}, "stride must be at least 1"),
        ({"padding": -1}, "padding takes one number of at least 0, or one for each of 1 dimensions, got -1"),
        ({"padding": (1, 1)}, "got (1, 1)"),
        ({"padding": 2, "in_shape": 1, "kernel": torch.ones(4)}, "padding (2,) cuts off all of a result of size (4,)"),
        ({"output_padding": 1}, "output_padding must be below the stride (1,), got (1,)"),
        ({"mode": "full"}, "mode takes one of correlation, convolution, got 'full'"),
    ],
)
def test_bad_input_is_told(arguments, message):
    with pytest.raises(ValueError, match=r"^TransposedConvolution") as error:
        TransposedConvolution(**{"kernel": torch.ones(3), "in_shape": 8, **arguments})
    assert message in str(error.value)


@pytest.mark.parametrize("arguments", [{"kernel": 3.0}, {"padding": 0.5}, {"output_padding": True}])
def test_wrong_types_are_told(arguments):
    with pytest.raises(TypeError, match=r"^TransposedConvolution"):
        TransposedConvolution(**{"kernel": torch.ones(3), "in_shape": 8, **arguments})
