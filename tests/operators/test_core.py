"""The interface and its algebra: against dense matrices, and by the structure that survives it."""

import copy

import numpy as np
import pytest
import torch

import operators
from operators import (
    Convolution,
    Diagonal,
    FiniteDifference,
    FourierTransform,
    Identity,
    LinearOperator,
    Mask,
    Matrix,
    RealToComplex,
    Subsample,
    Zero,
    block_diag,
    from_function,
    hstack,
    normalize,
    vstack,
)
from tests.operators.plain import Plain, random

A, B, C = Plain(random(3, 4)), Plain(random(3, 4, seed=1)), Plain(random(4, 5, seed=2))
Z = Plain(random(4, 3, dtype=torch.complex128, seed=3))


@pytest.mark.parametrize(
    ("operator", "matrix"),
    [
        (A @ C, A.matrix @ C.matrix),
        (A + B, A.matrix + B.matrix),
        (A - B, A.matrix - B.matrix),
        (2.5 * A, 2.5 * A.matrix),
        (A * 2.5, 2.5 * A.matrix),
        (A / 2, A.matrix / 2),
        (-A, -A.matrix),
        (torch.tensor(3.0) * A, 3 * A.matrix),
        (A.H, A.matrix.T),
        (A.gram, A.matrix.T @ A.matrix),
        (A.H.gram, A.matrix @ A.matrix.T),
        ((A @ C).H, (A.matrix @ C.matrix).T),
        ((A @ C).gram, C.matrix.T @ A.matrix.T @ A.matrix @ C.matrix),
        ((2 * A + B).H @ (A - B), (2 * A.matrix + B.matrix).T @ (A.matrix - B.matrix)),
        (vstack([A, B]), torch.cat([A.matrix, B.matrix])),
        (vstack([A, C.H]), torch.cat([A.matrix, C.matrix.T])),
        (hstack([A, B]), torch.cat([A.matrix, B.matrix], 1)),
        (hstack([A.H, C]), torch.cat([A.matrix.T, C.matrix], 1)),
        (block_diag([A, C]), torch.block_diag(A.matrix, C.matrix)),
        (vstack([A, B]).gram, A.matrix.T @ A.matrix + B.matrix.T @ B.matrix),
        (vstack([A, B]).H, torch.cat([A.matrix, B.matrix]).T),
    ],
)
def test_the_algebra_is_that_of_matrices(operator, matrix):
    torch.testing.assert_close(operator.to_matrix(), matrix)
    torch.testing.assert_close(operator.H.to_matrix(), matrix.T)


def test_pythons_sum_adds_operators():
    torch.testing.assert_close(sum([A, B, A]).to_matrix(), 2 * A.matrix + B.matrix)
    assert sum([A]) is A
    for term in (1, 0.0):
        with pytest.raises(TypeError, match="unsupported operand"):
            term + A


def test_complex_scalars_and_adjoints():
    matrix = (1 - 2j) * Z.matrix
    torch.testing.assert_close(((1 - 2j) * Z).to_matrix(torch.complex128), matrix)
    torch.testing.assert_close(((1 - 2j) * Z).H.to_matrix(torch.complex128), matrix.mH)


def test_at_applies_to_tensors():
    x = random(2, 4)
    assert torch.equal(A @ x, A(x))


def test_adjoint_of_the_adjoint_is_the_operator_itself():
    assert A.H.H is A


def test_products_with_the_adjoint_are_grams():
    U = FourierTransform((4, 5))
    assert (U.H @ U).is_identity
    assert (U @ U.H).is_identity
    S = Subsample((4, 6), 2)
    assert (S @ S.H).is_identity
    product = (Mask(torch.eye(4, 5) > 0) @ U).H @ (Mask(torch.eye(4, 5) > 0) @ U)
    assert "FourierTransform" in repr(product)


def test_identity_and_zero_vanish():
    assert A @ Identity(4) is A
    assert Identity(3) @ A is A
    assert A + Zero(4, 3) is A
    assert isinstance(A @ Zero(2, 4), Zero)
    assert (2 * Identity(3) + Identity(3)).has_closed_solve
    torch.testing.assert_close((2 * Identity(3) - 5 * Identity(3))(torch.ones(3)), torch.full((3,), -3.0))


def test_diagonals_stay_diagonal():
    weights = random(3, 4)
    D = Diagonal(weights)
    for operator, expected in [
        (D @ D, weights**2),
        (D + 2 * Identity((3, 4)), weights + 2),
        (Mask(weights > 0) @ D, weights.clamp_min(0)),
        (3 * D, 3 * weights),
        (vstack([D, Identity((3, 4))]).gram, weights**2 + 1),
    ]:
        assert isinstance(operator, Diagonal)
        torch.testing.assert_close(operator.weights, expected)


def test_numbers_merged_into_a_mask_are_as_exact_as_the_image():
    keep = torch.tensor([True, False, True])
    M, eye, w = Mask(keep), Identity(3), torch.tensor([1.5, 2.5, 3.5])
    lines = operators.CartesianMRI(keep, in_shape=(2, 3))
    for dtype, tolerance in ((torch.float32, 1e-7), (torch.float64, 1e-16)):
        x = random(3).to(dtype) + 2
        for A, expected in (
            (0.1 * M, 0.1 * (keep * x)),
            (M / 3 + eye, keep * x / 3 + x),
            (0.3 * M - 0.1 * eye, 0.3 * (keep * x) - 0.1 * x),
            ((0.1 * M).H @ (0.7 * M), 0.1 * (keep * (0.7 * x))),
            (1j * M, 1j * (keep * x)),
            (vstack([M, 0.1 * eye]).gram, keep * x + 0.1**2 * x),
            (Diagonal(w) @ M, w.to(dtype) * keep * x),
        ):
            torch.testing.assert_close(A(x), expected, rtol=4 * tolerance, atol=4 * tolerance)
        image = random(2, 3).to(dtype) + 0j
        for A in (lines, lines.H):
            torch.testing.assert_close((0.1 * A).gram(image), 0.01 * A.gram(image), rtol=0, atol=8 * tolerance)
    assert (Diagonal(w.double()) @ M)(torch.ones(3)).dtype == torch.float64


def test_circular_sums_are_solved_in_closed_form():
    shape = (8, 6)
    blur = Convolution(random(3, 3), shape, padding="circular")
    joint = vstack([blur, 0.5 * FiniteDifference(shape, "circular")])
    assert joint.gram.has_closed_solve
    b = random(2, *shape)
    x = joint.solve_normal(b, 0.1)
    torch.testing.assert_close(joint.gram(x) + 0.1 * x, b)


@pytest.mark.parametrize("padding", ["circular"])
def test_blur_and_subsampling_is_solved_in_closed_form(padding):
    blur = Convolution(random(3, 3), (8, 6), padding=padding)
    coarse = Subsample((8, 6), 2) @ blur
    assert coarse.H.gram.has_closed_solve
    b = random(8, 6)
    x = coarse.solve_normal(b, 0.1)
    torch.testing.assert_close(coarse.gram(x) + 0.1 * x, b)


def test_a_unitary_inner_factor_is_taken_out_of_the_solve():
    mask = random(4, 5) > 0
    mri = Mask(mask) @ FourierTransform((4, 5))
    b = random(4, 5, dtype=torch.complex128)
    spectrum = FourierTransform((4, 5))(b)
    expected = FourierTransform((4, 5)).H(spectrum / (mask + 0.3))
    torch.testing.assert_close(mri.solve_normal(b, 0.3), expected)


def test_channels_are_lifted_in_a_composition():
    weights = random(3, 4, 6)
    operator = Subsample((4, 6), 2) @ Diagonal(weights)
    assert (operator.in_shape, operator.out_shape) == ((3, 4, 6), (3, 2, 3))
    x = random(3, 4, 6)
    torch.testing.assert_close(operator(x), (weights * x)[:, ::2, ::2])
    other = Diagonal(weights) @ Mask(weights[0] > 0)
    torch.testing.assert_close(other(x), weights * x * (weights[0] > 0))


def test_default_adjoint_promotes_as_the_forward_map_does():
    double = Plain(random(3, 4))
    assert double.adjoint(torch.ones(3)).dtype == torch.float64
    assert Z.adjoint(torch.ones(4, dtype=torch.float64)).dtype == torch.complex128
    torch.testing.assert_close(Z.adjoint(torch.ones(4, dtype=torch.float64)), Z.matrix.mH.sum(1))


def test_a_real_part_in_the_forward_map_is_named_as_not_linear():
    class RealPart(LinearOperator):
        def _forward(self, x):
            return x.real

    with pytest.raises(TypeError, match=r"RealPart: maps torch.complex128 to torch.float64.*RealToComplex"):
        RealPart(3, 3).adjoint(torch.ones(3, dtype=torch.complex128))


class OwnFourier(LinearOperator):
    """As a user writes it: torch's FFT refuses a batch of no samples."""

    def __init__(self):
        super().__init__(in_shape=8, out_shape=8)

    def _forward(self, x):
        return torch.fft.fft(x, norm="ortho")


def test_functions_that_refuse_empty_batches_do_not_show():
    F = OwnFourier()
    x = torch.zeros(3, 0, 8, dtype=torch.complex128, requires_grad=True)
    assert F(x).shape == F.adjoint(x).shape == (3, 0, 8)
    assert F(x.detach().real).dtype == torch.complex128
    (gradient,) = torch.autograd.grad(F(x).abs().sum(), x)
    assert gradient.shape == x.shape
    y = random(2, 8, dtype=torch.complex128)  # the solvers ask for the type of a solution by an empty batch
    assert torch.allclose(operators.solve.lstsq(F, y), torch.fft.ifft(y, norm="ortho"))


def test_a_forward_map_of_another_shape_than_declared_is_named_by_the_adjoint():
    A = operators.from_function(lambda x: x.sum(0), (4, 4))
    with pytest.raises(ValueError, match=r"_forward maps \(2, 4, 4\) to \(4, 4\), not \(2, 4\)"):
        type("Summed", (LinearOperator,), {"_forward": lambda self, x: x.sum(0)})((4, 4), 4).adjoint(torch.ones(2, 4))
    assert A.adjoint(torch.ones(2, 4)).shape == (2, 4, 4)


def test_results_are_of_the_declared_shape():
    summed = type("Summed", (LinearOperator,), {"_forward": lambda self, x: x.sum(0)})((4, 4), 4)
    assert summed(torch.ones(4, 4)).shape == (4,)
    with pytest.raises(ValueError, match=r"^Summed: _forward maps \(2, 4, 4\) to \(4, 4\), not \(2, 4\)"):
        summed(torch.ones(2, 4, 4))
    halves = {"_forward": lambda self, x: 0.5 * x, "_adjoint": lambda self, y: y[..., :2]}
    with pytest.raises(ValueError, match=r"^Halves: _adjoint maps \(4,\) to \(2,\), not \(4,\)"):
        type("Halves", (LinearOperator,), halves)(4, 4).adjoint(torch.ones(4))
    with pytest.raises(TypeError, match=r"^Nothing: _forward gives NoneType, where a tensor is due"):
        type("Nothing", (LinearOperator,), {"_forward": lambda self, x: None})(4, 4)(torch.ones(4))


def test_arrays_of_numpy_make_no_arrays_of_operators():
    array = np.ones(4)
    for expression in (lambda: array * A, lambda: A * array, lambda: A / array):
        with pytest.raises(ValueError, match=r"^Plain: is scaled by one number, got a ndarray of shape \(4,\)"):
            expression()
    for expression in (lambda: array @ A, lambda: array + A):
        with pytest.raises(TypeError, match=r"unsupported operand|not implemented"):
            expression()
    with pytest.raises(TypeError, match=r"Plain: takes a torch\.Tensor as an input, got ndarray; .*from_array"):
        A @ array
    for two in (np.float64(2), np.float32(2), np.int64(2), np.array(2.0)):
        assert repr(two * A) == repr(A * two) == repr(A / (1 / two)) == "2 * Plain((4,) -> (3,))"


def test_a_forward_map_by_numpy_names_what_is_to_be_written():
    class ByNumpy(LinearOperator):
        def _forward(self, x):
            return torch.from_numpy(x.numpy().cumsum(-1))

    with pytest.raises(RuntimeError, match=r"ByNumpy: torch can't differentiate _forward, .* write _adjoint, too"):
        ByNumpy(4, 4).adjoint(torch.ones(4))


def test_real_to_complex_takes_the_real_part_back():
    F = FourierTransform(6) @ RealToComplex(6)
    y = random(6, dtype=torch.complex128)
    back = F.H(y)
    assert back.dtype == torch.float64
    torch.testing.assert_close(back, (FourierTransform(6).H(y)).real)


def test_norm_of_products_and_multiples():
    D = Diagonal(torch.tensor([1.0, -3.0]))
    assert (2 * D).norm().item() == pytest.approx(6)
    assert D.gram.norm().item() == pytest.approx(9)
    assert D.H.norm().item() == pytest.approx(3)
    assert block_diag([D, Identity(2)]).norm().item() == pytest.approx(3)
    assert normalize(A).norm().item() == pytest.approx(1)


def test_pinv_is_numpys():
    y = random(2, 3)
    expected = torch.linalg.pinv(A.matrix) @ y.T
    torch.testing.assert_close(A.pinv(y), expected.T)
    torch.testing.assert_close(Diagonal(torch.tensor([2.0, 0.0])).pinv(torch.ones(2)), torch.tensor([0.5, 0.0]))


def test_direct_inverse_is_at_the_scale_of_the_image():
    pool = operators.AveragePool((4, 4), 2)
    torch.testing.assert_close(pool.direct_inverse(torch.ones(2, 2)), torch.ones(4, 4))
    stacked = vstack([2 * Identity(3), 2 * Identity(3)])
    torch.testing.assert_close(stacked.direct_inverse(torch.full((2, 3), 2.0)), torch.ones(3))


def test_gradients_reach_learnable_parameters_through_the_algebra():
    weights = torch.nn.Parameter(random(4))
    operator = normalize(2 * Diagonal(weights) @ C)
    loss = operator(random(5)).square().sum() + operator.gram(random(5)).sum()
    loss.backward()
    assert weights.grad is not None
    assert bool(torch.isfinite(weights.grad).all())
    assert dict(operator.named_parameters())


def test_a_normalized_learnable_operator_trains_and_copies():
    weights = torch.nn.Parameter(torch.tensor([1.0, 4.0]))
    operator = normalize(Diagonal(weights))
    for _ in range(2):  # nothing of the norm's own graph is kept, and lost after the first step
        weights.grad = None
        operator(torch.ones(2)).sum().backward()
        torch.testing.assert_close(weights.grad, torch.full((2,), 0.25))
    torch.testing.assert_close(copy.deepcopy(operator)(torch.ones(2)), torch.tensor([0.25, 1.0]))


def test_a_gram_of_a_learnable_operator_copies():
    weights = torch.nn.Parameter(torch.tensor([1.0, 4.0]))
    gram = Diagonal(weights).gram
    other = copy.deepcopy(gram)
    torch.testing.assert_close(other(torch.ones(2)), torch.tensor([1.0, 16.0]))
    assert not any(tensor.requires_grad for tensor in other.buffers())
    model = torch.nn.ModuleList([Diagonal(weights), gram, Matrix(weights[None]).gram, vstack([gram, gram])])
    for operator in copy.deepcopy(model):
        operator(torch.ones(2)).sum().backward() if operator._parameters else operator(torch.ones(2))
    assert weights.grad is None


def test_copies_share_what_the_originals_share():
    D = Diagonal(torch.nn.Parameter(torch.tensor([1.0, 4.0])))
    pair = copy.deepcopy(vstack([D, D @ D]))
    assert len(list(pair.parameters())) == 1
    assert pair.blocks[0] is pair.blocks[1].inner


def test_expressions_follow_a_parameter_that_changes():
    weights = torch.nn.Parameter(torch.ones(3))
    D = Diagonal(weights)
    expressions = [
        2 * D,
        D @ Diagonal(torch.ones(3)),
        Diagonal(torch.ones(3)) @ D,
        D + Identity(3),
        D.H,
        Identity(3) @ D,
    ]
    before = [A(torch.ones(3)).sum().item() for A in expressions]
    with torch.no_grad():
        weights.mul_(3)
    assert before == [6, 3, 3, 6, 3, 3]
    assert [A(torch.ones(3)).sum().item() for A in expressions] == [18, 9, 9, 12, 9, 9]


def test_from_function_is_the_function_of_each_image():
    def twist(x):
        return x.flip(0) + 2 * x.roll(1, 1)

    operator = from_function(twist, (3, 4))
    x = random(2, 5, 3, 4)
    torch.testing.assert_close(operator(x)[1, 2], twist(x[1, 2]))
    assert operator(x[:0]).shape == (0, 5, 3, 4)


def test_from_function_takes_what_works_in_double_precision_alone():
    W = random(3, 4)
    A = from_function(lambda x: W @ x, 4)
    x = random(2, 4, seed=1)
    torch.testing.assert_close(A(x), x @ W.T)
    torch.testing.assert_close(A.H(A(x)), x @ W.T @ W)
    with pytest.raises(ValueError, match=r"from_function: the function takes no image of shape \(5,\) \(Run"):
        from_function(lambda x: W.float() @ x, 5)


def test_multiples_by_zero_and_differences_that_vanish_are_zero_maps():
    S, y, b = Subsample(4, 2), random(2), random(4)
    for operator in (0 * S, torch.tensor(0.0) * S, S - S):
        assert operator.norm().item() == 0
        assert not operator.direct_inverse(y).any()
        assert not operator.pinv(y).any()
        torch.testing.assert_close(operator.solve_normal(b, 0.5), 2 * b)


def test_division_by_zero_names_the_operator():
    with pytest.raises(ValueError, match="Subsample: is divided by a number other than zero, got 0"):
        Subsample(4, 2) / 0


def test_sums_with_negative_multiples_of_the_identity():
    D = Diagonal(torch.tensor([2.0, 3.0]))
    torch.testing.assert_close((D - 5 * Identity(2)).to_matrix(), torch.diag(torch.tensor([-3.0, -2.0])).double())
    torch.testing.assert_close((-1 * Identity(2)).solve_normal(torch.ones(2), 0.5), torch.full((2,), 2 / 3))


def test_repr_reads_as_the_expression():
    assert repr(2 * A @ C) == "2 * (Plain((4,) -> (3,)) @ Plain((5,) -> (4,)))"
    assert repr((2 - 1j) * A) == "(2-1j) * Plain((4,) -> (3,))"
    assert repr(A.H) == "Plain((4,) -> (3,)).H"
    assert repr(A.gram) == "Plain((4,) -> (3,)).gram"
    assert repr(A + B) == "Plain((4,) -> (3,)) + Plain((4,) -> (3,))"
    assert repr(Matrix(torch.eye(2))) == "Matrix((2,) -> (2,))"
