"""The elementary operators, against what torch's indexing and arithmetic say."""

import pytest
import torch

from operators import Diagonal, Identity, Mask, Matrix, RealToComplex, Subsample, Zero, from_function
from operators.algebra import Adjoint

generator = torch.Generator().manual_seed(0)


def random(*shape, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=generator)


def test_identity_returns_its_input():
    x = random(2, 3)
    assert Identity(3)(x) is x
    assert Identity(3).H.gram.is_identity
    torch.testing.assert_close(Identity(3).solve_normal(x, torch.tensor([1.0, 3.0])), x / torch.tensor([[2.0], [4.0]]))


def test_zero_maps_to_zeros_that_are_functions_of_the_input():
    A = Zero((2, 3), 4)
    x = random(5, 2, 3).requires_grad_()
    y = A(x)
    assert torch.equal(y, torch.zeros(5, 4, dtype=torch.float64))
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(gradient, torch.zeros_like(x))
    assert A.norm() == 0
    assert torch.equal(A.pinv(random(4)), torch.zeros(2, 3, dtype=torch.float64))


@pytest.mark.parametrize(("in_shape", "out_shape"), [((), ()), ((), (3,)), ((2, 3), ())])
@pytest.mark.parametrize("batch", [(), (0,), (2, 1)])
def test_zero_between_any_shapes(in_shape, out_shape, batch):
    assert Zero(in_shape, out_shape)(random(*batch, *in_shape)).shape == (*batch, *out_shape)


def test_zero_hides_no_overflow():
    assert not Zero(2, 3)(torch.full((2,), float("inf"))).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64, torch.complex128])
def test_diagonal_multiplies_and_its_adjoint_by_the_conjugate(dtype):
    weights, x = random(3, 4, dtype=dtype), random(2, 3, 4, dtype=dtype)
    A = Diagonal(weights)
    assert torch.equal(A(x), weights * x)
    assert torch.equal(A.adjoint(x), weights.conj() * x)
    assert A(x).dtype == dtype
    torch.testing.assert_close(A.norm(), weights.abs().max())
    torch.testing.assert_close(A.direct_inverse(A(x)), x)


def test_diagonal_takes_types_as_torch_promotes_them():
    real, wide = random(3).float(), random(3, dtype=torch.complex128)
    assert Diagonal(real)(wide).dtype == torch.complex128
    assert Diagonal(wide)(real).dtype == torch.complex128
    assert Diagonal(real.half())(real).dtype == torch.float32


def test_diagonal_solves_in_closed_form():
    weights, b = random(4, dtype=torch.complex128), random(2, 4, dtype=torch.complex128)
    damping = torch.tensor([0.1, 2.0], dtype=torch.float64)
    expected = b / (weights.abs() ** 2 + damping[:, None])
    torch.testing.assert_close(Diagonal(weights).solve_normal(b, damping), expected)


def test_adjoint_of_a_learnable_complex_diagonal_follows_its_weights():
    A = Diagonal(torch.nn.Parameter(random(3, dtype=torch.complex128)))
    back = A.H
    with torch.no_grad():
        A.weights.mul_(2)
    assert isinstance(back, Adjoint)
    assert torch.equal(back(torch.ones(3)), A.weights.conj() * torch.ones(3))
    assert [name for name, _ in A.named_parameters()] == ["weights"]


def test_a_real_diagonal_is_its_own_adjoint():
    A = Diagonal(random(3))
    assert A.H is A


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.float32])
def test_mask_takes_zeros_and_ones_of_any_type(dtype):
    keep = torch.tensor([[1, 0, 1], [0, 0, 1]])
    A, x = Mask(keep.to(dtype)), random(4, 2, 3)
    expected = x.clone()
    expected[:, keep == 0] = 0
    assert torch.equal(A(x), expected)
    assert A(x.float()).dtype == torch.float32
    assert A.gram is A
    assert A.norm() == 1
    assert "keeps 50.0%" in repr(A)


def test_mask_solves_in_closed_form():
    keep = torch.tensor([True, False, True])
    b = torch.tensor([3.0, 4.0, 6.0])
    torch.testing.assert_close(Mask(keep).solve_normal(b, 0.5), torch.tensor([2.0, 8.0, 4.0]))
    assert torch.equal(Mask(keep).pinv(b), torch.tensor([3.0, 0.0, 6.0]))


@pytest.mark.parametrize(
    ("shape", "step", "index"),
    [
        (7, 3, (..., slice(None, None, 3))),
        ((5, 6), 2, (..., slice(None, None, 2), slice(None, None, 2))),
        ((5, 6), (1, 4), (..., slice(None), slice(None, None, 4))),
        ((2, 3), 9, (..., slice(1), slice(1))),
    ],
)
def test_subsample_is_slicing(shape, step, index):
    A = Subsample(shape, step)
    x = random(2, *A.in_shape)
    assert torch.equal(A(x), x[index])
    back = torch.zeros_like(x)
    back[index] = x[index]
    assert torch.equal(A.adjoint(A(x)), back)
    assert torch.equal(A.pinv(A(x)), back)


def test_subsample_solves_by_its_other_gram():
    A, b = Subsample(5, 2), random(3, 5)
    kept = torch.tensor([1.0, 0, 1, 0, 1])
    torch.testing.assert_close(A.solve_normal(b, 0.25), b / (kept + 0.25))


def test_real_to_complex_and_back():
    A, x = RealToComplex((2, 3)), random(4, 2, 3)
    assert A(x).dtype == torch.complex128
    assert A(x.float()).dtype == torch.complex64
    assert torch.equal(A(x), x + 0j)
    y = random(4, 2, 3, dtype=torch.complex128)
    assert torch.equal(A.adjoint(y), y.real)
    assert A.gram.is_identity
    torch.testing.assert_close(A.pinv(y), y.real)
    with pytest.raises(TypeError, match=r"RealToComplex: takes a real input, got torch\.complex128"):
        A(y)


def test_from_function_of_a_known_matrix():
    matrix = random(4, 6)
    A = from_function(lambda x: matrix.to(x.dtype) @ x.flatten(), (2, 3))
    assert (A.in_shape, A.out_shape) == ((2, 3), (4,))
    torch.testing.assert_close(A.to_matrix(), matrix)
    torch.testing.assert_close(A.H.to_matrix(), matrix.T)
    y = random(3, 2, 4)
    torch.testing.assert_close(A.pinv(y), (y @ torch.linalg.pinv(matrix).T).reshape(3, 2, 2, 3))


def test_from_function_of_fourier_transforms_has_the_conjugate_adjoint():
    A = from_function(torch.fft.fft, 5)
    y = random(2, 5, dtype=torch.complex128)
    torch.testing.assert_close(A.adjoint(y), torch.fft.ifft(y, norm="forward"))


def test_from_function_shows_the_functions_name():
    def cumulate(x):
        return x.cumsum(0)

    assert repr(from_function(cumulate, 3)) == "FunctionOperator((3,) -> (3,), cumulate)"


@pytest.mark.parametrize("layout", ["sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr"])
def test_a_sparse_matrix_is_taken_in_any_layout(layout):
    dense = torch.arange(24.0).reshape(4, 6) % 3
    blocks = {"blocksize": (2, 2)} if layout == "sparse_bsr" else {}
    A, x = Matrix(dense.to_sparse(layout=getattr(torch, layout), **blocks)), torch.arange(6.0)
    assert torch.equal(A(x), dense @ x)
    assert torch.equal(A.adjoint(dense @ x), dense.T @ (dense @ x))


def test_a_sparse_matrix_without_entries():
    A = Matrix(torch.zeros(3, 4).to_sparse())
    assert torch.equal(A(torch.ones(2, 4)), torch.zeros(2, 3))
    assert A.norm() == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_sparse_matrix_in_16_bits(dtype):
    dense = torch.eye(3, 4)
    A, x = Matrix(dense.to_sparse().to(dtype)), torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=dtype)
    assert torch.equal(A(x), x[:3])


def test_gradients_reach_what_a_sparse_matrix_was_made_of():
    scale = torch.tensor(3.0, requires_grad=True)
    A = Matrix(torch.eye(3).to_sparse() * scale)
    A(torch.ones(3)).sum().backward()
    assert scale.grad == 3


def test_gradients_of_any_order_in_the_entries_of_a_sparse_matrix():
    dense = torch.tensor([[1.0, 0, 2], [0, 0, 3]], dtype=torch.complex128) * (1 + 2j)
    A = Matrix(torch.nn.Parameter(dense.to_sparse()))
    values, x = (
        A.values.detach().clone().requires_grad_(),
        torch.randn(2, 3, dtype=torch.complex128, requires_grad=True),
    )

    def product(values, x):
        y = torch.func.functional_call(A, {"values": values}, (x,))
        return torch.func.functional_call(A.H, {"operator.values": values}, (y * y.conj(),))

    assert torch.autograd.gradcheck(product, (values, x))
    assert torch.autograd.gradgradcheck(product, (values, x))


def test_a_tall_matrix_multiplies_its_gram_out_once():
    tall = Matrix(torch.arange(12.0).reshape(6, 2))
    assert isinstance(tall.gram, Matrix)
    assert tall.gram is tall.gram
    assert torch.equal(tall.gram.values, tall.values.T @ tall.values)
    tall.values.mul_(2)
    assert torch.equal(tall.gram.values, tall.values.T @ tall.values)
    assert not isinstance(tall.H.gram, Matrix), "a matrix of 6 x 6 is dearer than two of 6 x 2"
