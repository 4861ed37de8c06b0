"""Convolution against scipy and torch, in every padding; its structure; its use of the kernel."""

import copy
import pickle

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from operators import Convolution, FiniteDifference, Identity, Subsample, vstack
from operators.fourier_multiplier import FourierMultiplier
from operators.kernel_spectrum import fast_length
from operators.padding import PADDINGS
from operators.testing import adjoint_error

NDIMAGE = {"same": "constant", "circular": "wrap", "reflect": "mirror", "replicate": "nearest"}
METHODS = ("direct", "fft")


def random(*shape, dtype=torch.float64, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def difference(got, expected):
    """The norm of the difference relative to that of `expected`."""
    got = got.detach()
    assert got.shape == expected.shape
    gap = torch.linalg.vector_norm(got - expected.detach())
    return gap / torch.linalg.vector_norm(expected).clamp_min(torch.finfo(gap.dtype).tiny)


def golden(x, kernel, padding, mode):
    """What scipy gives, by its own definitions, in all positions."""
    x, kernel = x.numpy(), kernel.numpy()
    if padding in NDIMAGE:
        function = scipy.ndimage.convolve if mode == "convolution" else scipy.ndimage.correlate
        # scipy.ndimage.correlate conjugates a complex kernel.
        kernel = kernel.conj() if mode == "correlation" else kernel
        return torch.from_numpy(function(x, kernel, mode=NDIMAGE[padding]))
    kernel = kernel if mode == "convolution" else np.flip(kernel).copy()
    return torch.from_numpy(scipy.signal.convolve(x, kernel, mode=padding, method="direct").copy())


@st.composite
def problems(draw):
    """An image's and a kernel's size and everything else that a convolution without channels takes."""
    padding = draw(st.sampled_from(PADDINGS))
    dims = draw(st.integers(1, 3))
    shape, kernel_size = [], []
    for _ in range(dims):
        n = draw(st.integers(1, 7 if dims < 3 else 5))
        k = draw(st.integers(1, n if padding in ("valid", "circular") else 7))
        if padding in ("same", "reflect", "replicate"):
            k -= 1 - k % 2
        shape.append(n)
        kernel_size.append(min(k, 2 * n - 1) if padding == "reflect" else k)
    stride = draw(st.lists(st.integers(1, 3), min_size=dims, max_size=dims))
    return shape, kernel_size, stride, padding, draw(st.sampled_from(("convolution", "correlation")))


@given(problems(), st.sampled_from(METHODS), st.booleans())
@settings(max_examples=150, deadline=None)
def test_equals_scipy(problem, method, is_complex):
    shape, kernel_size, stride, padding, mode = problem
    dtype = torch.complex128 if is_complex else torch.float64
    kernel, x = random(*kernel_size, dtype=dtype), random(*shape, dtype=dtype, seed=1)
    A = Convolution(kernel, shape, stride, padding, mode, method)
    expected = golden(x, kernel, padding, mode)[tuple(slice(None, None, s) for s in stride)]
    assert A.out_shape == expected.shape
    assert difference(A(x), expected) < 1e-13
    assert adjoint_error(A, dtype=dtype, batch=(2,)) < 1e-14


@pytest.mark.parametrize("method", METHODS)
def test_same_equals_scipy_signal(method):
    x, kernel = random(9, 8), random(5, 3, seed=1)
    expected = torch.from_numpy(scipy.signal.convolve(x.numpy(), kernel.numpy(), mode="same"))
    assert difference(Convolution(kernel, (9, 8), padding="same", method=method)(x), expected) < 1e-14


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("dims", "torch_conv"), [(1, F.conv1d), (2, F.conv2d), (3, F.conv3d)])
def test_channels_equal_torch(dims, torch_conv, method):
    x, kernel = random(2, 3, *(6, 5, 4)[:dims]), random(4, 3, *(3, 3, 1)[:dims], seed=1)
    A = Convolution(kernel, x.shape[1:], stride=2, padding="same", mode="correlation", method=method)
    expected = torch_conv(x, kernel, stride=2, padding=[k // 2 for k in kernel.shape[2:]])
    assert difference(A(x), expected) < 1e-14


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("mode", ["convolution", "correlation"])
def test_large_images_in_single_precision(padding, mode, method):
    """The sizes at which several threads are used, and lengths that are no fast ones."""
    kernel, x = random(5, 7, dtype=torch.float32), random(2, 131, 127, dtype=torch.float32, seed=1)
    A = Convolution(kernel, (131, 127), padding=padding, mode=mode, method=method)
    expected = torch.stack([golden(image.double(), kernel.double(), padding, mode) for image in x])
    assert difference(A(x), expected) < 1e-6
    assert adjoint_error(A) < 1e-7
    x.requires_grad_()
    y = random(*A(x).shape, dtype=torch.float32, seed=2)
    (gradient,) = torch.autograd.grad(A(x), x, y)
    assert difference(gradient, A.adjoint(y)) < 1e-6


@pytest.mark.parametrize("count", [1, 3, 9])
@pytest.mark.parametrize("shape", [(12,), (11, 14), (90, 70), (150, 140), (7, 6, 8)])
@pytest.mark.parametrize("padding", ["valid", "same", "full", "circular"])
def test_any_number_of_images_in_single_precision(shape, padding, count):
    """Small and large images, few and many: each goes its own way."""
    kernel = random(5, 3, 3, dtype=torch.float32)[(..., *([0] * (3 - len(shape))))]
    x = random(count, *shape, dtype=torch.float32, seed=1)
    A = Convolution(kernel, shape, padding=padding, method="direct")
    expected = torch.stack([golden(image.double(), kernel.double(), padding, "convolution") for image in x])
    assert difference(A(x), expected) < 1e-6
    assert adjoint_error(A, dtype=torch.float32, batch=(count,)) < 1e-6
    direction = random(*x.shape, dtype=torch.float32, seed=2)
    assert difference(torch.func.jvp(A, (x,), (direction,))[1], A(direction)) < 1e-6
    assert difference(torch.func.vmap(A)(x), expected) < 1e-6
    (gradient,) = torch.autograd.grad(A(x.requires_grad_()), x, A(direction))
    assert difference(gradient, A.adjoint(A(direction))) < 1e-6


@pytest.mark.parametrize("n", [47, 94, 128])
def test_circular_of_slow_length(n):
    """47 is prime: its transforms are of the image continued to a faster length."""
    kernel, x = random(5), random(n, seed=1)
    A = Convolution(kernel, n, padding="circular", method="fft")
    assert A.plan.grid == ((fast_length(n + 4),) if n % 47 == 0 else (n,))
    assert difference(A(x), golden(x, kernel, "circular", "convolution")) < 1e-14
    assert adjoint_error(A, dtype=torch.float64) < 1e-15


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("kernel_dtype", "x_dtype", "result"),
    [
        (torch.float32, torch.float64, torch.float64),
        (torch.float64, torch.float32, torch.float64),
        (torch.float32, torch.complex64, torch.complex64),
        (torch.float64, torch.complex64, torch.complex128),
        (torch.complex64, torch.float32, torch.complex64),
        (torch.complex64, torch.float64, torch.complex128),
        (torch.bfloat16, torch.bfloat16, torch.bfloat16),
        (torch.float16, torch.float32, torch.float32),
    ],
)
def test_types_promote_as_in_torch(kernel_dtype, x_dtype, result, method):
    kernel, x = random(3).to(kernel_dtype), random(8, seed=1).to(x_dtype)
    y = Convolution(kernel, 8, padding="reflect", method=method)(x)
    assert y.dtype == result
    wide = torch.complex128 if result.is_complex else torch.float64
    expected = golden(x.to(wide), kernel.to(wide), "reflect", "convolution")
    assert difference(y, expected) < (2e-2 if result == torch.bfloat16 else 1e-6)


# ---------------------------------------------------------------- structure


def dense_solution(A, b, damping):
    matrix = A.to_matrix(b.dtype)
    system = matrix.mH @ matrix + damping * torch.eye(matrix.shape[1], dtype=b.dtype)
    return torch.linalg.solve(system, b.flatten()).reshape(A.in_shape)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("method", METHODS)
def test_circular_is_solved_in_closed_form(dtype, method):
    A = Convolution(random(3, 2, dtype=dtype), (5, 6), padding="circular", method=method)
    b = random(5, 6, dtype=dtype, seed=1)
    assert isinstance(A.gram, FourierMultiplier)
    assert A.gram.has_closed_solve
    assert difference(A.solve_normal(b, 0.1), dense_solution(A, b, 0.1)) < 1e-12
    assert difference(A.norm(), torch.linalg.svdvals(A.to_matrix(dtype))[0]) < 1e-14


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize(("shape", "stride"), [((6, 8), 2), ((6, 4), (3, 1)), ((9, 5), (3, 5))])
def test_strided_circular_is_solved_in_closed_form(shape, stride, dtype):
    """Zhao et al. 2016: circular convolution followed by subsampling."""
    A = Convolution(random(3, 3, dtype=dtype), shape, stride, padding="circular")
    b = random(*shape, dtype=dtype, seed=1)
    assert isinstance(A.H.gram, FourierMultiplier)
    assert difference(A.solve_normal(b, 0.1), dense_solution(A, b, 0.1)) < 1e-12
    assert difference(A.norm(), torch.linalg.svdvals(A.to_matrix(dtype))[0]) < 1e-13


def test_solve_takes_a_damping_for_each_sample():
    A = Convolution(random(3, 3), (4, 6), stride=2, padding="circular")
    b, damping = random(2, 4, 6, seed=1), torch.tensor([0.1, 2.0], dtype=torch.float64)
    expected = torch.stack([dense_solution(A, image, d) for image, d in zip(b, damping, strict=True)])
    assert difference(A.solve_normal(b, damping), expected) < 1e-12


def test_pseudo_inverse_of_a_singular_circular_convolution():
    kernel = torch.tensor([1.0, 0.0, -1.0], dtype=torch.float64)  # no constant and no alternating part passes
    A, y = Convolution(kernel, 8, padding="circular"), random(8, seed=1)
    expected = torch.linalg.pinv(A.to_matrix(), rtol=1e-9) @ y
    assert difference(A.pinv(y), expected) < 1e-12


@pytest.mark.parametrize("padding", PADDINGS)
def test_subsampling_becomes_a_stride(padding):
    A = Convolution(random(3, 3), (7, 9), stride=(1, 2), padding=padding)
    S = Subsample(A.out_shape, (2, 2))
    B, x = S @ A, random(2, 7, 9, seed=1)
    assert isinstance(B, Convolution)
    assert B.stride == (2, 4)
    assert torch.equal(B.kernel, A.kernel)
    assert difference(B(x), S(A(x))) < 1e-14


def test_subsampling_of_channels_is_no_stride():
    A = Convolution(random(3, 2, 3), (2, 8))
    assert isinstance(Subsample(A.out_shape, (1, 2)) @ A, Convolution)
    B, x = Subsample(A.out_shape, (2, 2)) @ A, random(2, 8, seed=1)
    assert not isinstance(B, Convolution)
    assert torch.equal(B(x), A(x)[::2, ::2])


def test_grams_of_circular_operators_add_up_to_a_closed_form():
    A = Convolution(random(3, 3, dtype=torch.float32), (6, 5), padding="circular")
    B = vstack([A, 0.5 * Convolution(random(2, 2), (6, 5), padding="circular")])
    gram = A.gram + FiniteDifference((6, 5), boundary="circular").gram + 0.1 * Identity((6, 5))
    for operator in (gram, B.gram):
        assert isinstance(operator, FourierMultiplier)
    x = random(6, 5, seed=1)
    expected = A.adjoint(A(x)) + FiniteDifference((6, 5), boundary="circular").gram(x) + 0.1 * x
    assert difference(gram(x), expected) < 1e-13
    assert gram(x.float()).dtype == torch.float32


# ---------------------------------------------------------------- direct inverse


def blurred_disk(padding):
    """A disk on a grey ground, blurred."""
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    x = 0.3 + 0.5 * ((rows - 30) ** 2 + (columns - 34) ** 2 < 15**2).double()
    profile = torch.exp(-(torch.arange(-4.0, 5.0) ** 2) / 4).double()
    kernel = torch.outer(profile, profile)
    A = Convolution(kernel / kernel.sum(), (64, 64), padding=padding)
    return A, x, A(x)


@pytest.mark.parametrize("padding", PADDINGS)
def test_direct_inverse_sharpens_at_the_images_scale(padding):
    A, x, y = blurred_disk(padding)
    inverse = A.direct_inverse(y)
    inner = (slice(10, -10), slice(10, -10))
    blurred = golden(x, A.kernel, "reflect", "convolution")
    assert difference(inverse[inner], x[inner]) < 0.75 * difference(blurred[inner], x[inner])
    assert abs(inverse[inner].mean() / x[inner].mean() - 1) < 0.02
    if padding not in ("same", "full"):  # there the ground ends at the border, and the data with it
        assert (inverse - 0.3)[:4].abs().max() < 0.1, "the border rings"


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("shape", [(1,), (2,), (3, 2), (2, 1, 4)])
def test_direct_inverse_of_the_smallest_images(shape, padding, dtype):
    """A kernel of one pixel is a number, and the inverse is that of the number up to the Wiener filter's damping."""
    A = Convolution(torch.full([1] * len(shape), 2, dtype=dtype), shape, padding=padding)
    x = random(3, *shape, dtype=dtype)
    assert A.direct_inverse(A(x)).dtype == dtype
    assert difference(A.direct_inverse(A(x)), x / 1.01) < 1e-14


def test_direct_inverse_of_circular_is_the_wiener_filter():
    A, _, y = blurred_disk("circular")
    H = torch.fft.fft2(F.pad(A.kernel, (0, 55, 0, 55)).roll((-4, -4), (0, 1)))
    wiener = H.conj() / (H.abs() ** 2 + 0.01 * H.abs().max() ** 2)
    assert difference(A.direct_inverse(y), torch.fft.ifft2(torch.fft.fft2(y) * wiener).real) < 1e-12


def test_direct_inverse_of_strided_circular_keeps_the_mean():
    A, x, _ = blurred_disk("circular")
    B = Subsample((64, 64), 4) @ A
    inverse = B.direct_inverse(B(x))
    assert inverse.shape == x.shape
    assert abs(inverse.mean() / x.mean() - 1) < 0.05


# ---------------------------------------------------------------- the kernel


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("padding", PADDINGS)
def test_gradients_of_the_kernel(padding, method):
    kernel = torch.nn.Parameter(random(3, 3))
    A = Convolution(kernel, (4, 5), stride=(1, 2), padding=padding, method=method)
    x, y = random(2, 4, 5, seed=1), random(2, *A.out_shape, seed=2)

    def outputs(weights):
        state = {"kernel": weights}
        return torch.func.functional_call(A, state, (x,)), torch.func.functional_call(
            A.H, {"operator.kernel": weights}, (y,)
        )

    assert torch.autograd.gradcheck(outputs, (kernel,))
    assert torch.autograd.gradgradcheck(outputs, (kernel,))


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_gradients_of_the_closed_forms(dtype):
    kernel = torch.nn.Parameter(random(3, dtype=dtype))
    b = random(6, dtype=dtype, seed=1).requires_grad_()

    def closed_forms(weights, b):
        A = Convolution(weights, 6, padding="circular")
        strided = Convolution(weights, 6, stride=2, padding="circular")
        return A.solve_normal(b, 0.1), strided.solve_normal(b, 0.1), A.norm(), A.direct_inverse(b)

    assert torch.autograd.gradcheck(closed_forms, (kernel, b))


@pytest.mark.parametrize("method", METHODS)
def test_follows_the_kernel_when_it_changes(method):
    x = random(8, seed=1)
    A = Convolution(random(3), 8, padding="circular", method=method)

    def check(A, kernel):
        expected = golden(x, kernel, "circular", "convolution")
        assert difference(A(x), expected) < 1e-14
        gram = A.adjoint(expected)
        assert difference(A.gram(x), gram) < 1e-14

    check(A, A.kernel)
    A.kernel.mul_(3)  # in place
    check(A, A.kernel)
    A.kernel = random(3, seed=2)
    check(A, A.kernel)
    A.load_state_dict({"kernel": random(3, seed=3)})
    check(A, random(3, seed=3))
    for other in (copy.deepcopy(A), pickle.loads(pickle.dumps(A))):
        other.kernel.mul_(2)
        check(other, 2 * A.kernel)
        check(A, A.kernel)
    single = copy.deepcopy(A).float()
    assert single(x.float()).dtype == torch.float32
    with torch.no_grad():
        frozen = Convolution(torch.nn.Parameter(random(3), requires_grad=False), 8, padding="circular", method=method)
        check(frozen, frozen.kernel)
        frozen.kernel.data = random(3, seed=4)
        check(frozen, random(3, seed=4))


@pytest.mark.parametrize("method", METHODS)
def test_derivatives_in_a_fixed_kernel(method):
    """A kernel is used as it is inside torch's transforms, whatever was kept from calls outside."""
    A, x = Convolution(random(3), 8, method=method), random(8, seed=1)
    A(x)

    def output(kernel):
        return torch.func.functional_call(A, {"kernel": kernel}, (x,))

    direction = random(3, seed=2)
    _, derivative = torch.func.jvp(output, (A.kernel,), (direction,))
    assert difference(derivative, golden(x, direction, "valid", "convolution")) < 1e-14
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(A.kernel, direction)
        tangent = torch.autograd.forward_ad.unpack_dual(output(dual)).tangent
    assert difference(tangent, derivative) < 1e-14
    kernels = random(4, 3, seed=3)
    assert difference(torch.func.vmap(output)(kernels), torch.stack([output(k) for k in kernels])) < 1e-14
    jacobian = torch.func.jacrev(output)(A.kernel)
    assert difference(jacobian @ direction, derivative) < 1e-14


@pytest.mark.parametrize("method", METHODS)
def test_what_inference_mode_leaves_can_be_trained_through(method):
    A, x = Convolution(random(3), 8, method=method), random(8, seed=1)
    with torch.inference_mode():
        A(x)
        made_inside = Convolution(random(3), 8, method=method)
        assert difference(made_inside(x), A(x)) < 1e-15
    x.requires_grad_()
    A(x).sum().backward()
    assert difference(x.grad, A.adjoint(torch.ones(6, dtype=torch.float64))) < 1e-14


def test_auto_takes_the_direct_method_for_small_kernels_and_transforms_for_large_ones():
    assert Convolution(torch.ones(3, 3), (512, 512)).method == "direct"
    assert Convolution(torch.ones(31, 31), (512, 512)).method == "fft"
    assert "method=fft" in repr(Convolution(torch.ones(31, 31), (512, 512)))
    assert Convolution(torch.ones(31, 31), (512, 512), method="direct").method == "direct"


@pytest.mark.parametrize("padding", PADDINGS)
def test_one_transform_pair_for_a_call(padding, monkeypatch):
    """Speed by structure: one forward and one inverse real transform, no larger than needed."""
    A = Convolution(random(31, 31), (100, 100), padding=padding, method="fft")
    x, y = random(100, 100), random(*A.out_shape)
    A(x)
    calls = []
    for name in ("rfftn", "irfftn"):
        function = getattr(torch.fft, name)
        monkeypatch.setattr(torch.fft, name, lambda x, f=function, **kw: calls.append(kw["s"]) or f(x, **kw))
    A(x)
    A.adjoint(y)
    padded = {"valid": 100, "same": 120, "full": 144, "circular": 100}.get(padding, 144)
    assert [tuple(size) for size in calls] == 4 * [(padded, padded)]


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel": torch.tensor([1.0, float("nan")])}, "must be finite, got 1 NaN"),
        ({"kernel": torch.ones(0)}, "the kernel is empty"),
        ({"kernel": torch.ones(9)}, "'valid' takes a kernel no larger than the image, got a kernel of (9,)"),
        ({"kernel": torch.ones(9), "padding": "circular"}, "'circular' takes a kernel no larger"),
        ({"kernel": torch.ones(4), "padding": "same"}, "'same' takes a kernel of odd size, got a kernel of (4,)"),
        ({"kernel": torch.ones(4), "padding": "replicate"}, "'replicate' takes a kernel of odd size"),
        ({"kernel": torch.ones(17), "padding": "reflect"}, "'reflect' takes a kernel of less than twice"),
        ({"stride": 0}, "stride must be at least 1, got 0"),
        ({"stride": (1, 1)}, "one for each of 1 dimensions, got (1, 1)"),
        ({"padding": "zeros"}, "padding takes one of valid, same, full, circular, reflect, replicate, got 'zeros'"),
        ({"mode": "cross"}, "mode takes one of convolution, correlation, got 'cross'"),
        ({"method": "winograd"}, "method takes one of auto, direct, fft, got 'winograd'"),
        ({"in_shape": (8, 8, 8)}, "got kernel (3,) for in_shape (8, 8, 8)"),
        ({"kernel": torch.ones(3, 3, 3, 3), "in_shape": (4, 4, 4, 4)}, "a kernel of 1 to 3 dimensions"),
        ({"kernel": torch.ones(2, 3, 3), "in_shape": (2, 8)}, "takes 3 channels, but in_shape (2, 8) has 2"),
    ],
)
def test_bad_input_is_told(arguments, message):
    with pytest.raises(ValueError, match=r"^Convolution") as error:
        Convolution(**{"kernel": torch.ones(3), "in_shape": 8, **arguments})
    assert message in str(error.value)


@pytest.mark.parametrize(
    "arguments", [{"kernel": [1.0, 2.0]}, {"kernel": torch.ones(3, dtype=torch.int64)}, {"stride": 1.5}]
)
def test_wrong_types_are_told(arguments):
    with pytest.raises(TypeError, match=r"^Convolution"):
        Convolution(**{"kernel": torch.ones(3), "in_shape": 8, **arguments})
