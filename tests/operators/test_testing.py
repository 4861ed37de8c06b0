"""The conformance suite itself: each promise that an operator breaks is named, with the size of the violation."""

import pytest
import torch

from operators import Diagonal, Identity, LinearOperator, Subsample
from operators.testing import adjoint_error, check_operator


class Scale(LinearOperator):
    """A sound operator, of which each case below breaks one thing."""

    def __init__(self, length=4):
        super().__init__(length, length)

    def _forward(self, x):
        return 2 * x


def faulty(**methods):
    """A `Scale` with some methods replaced."""
    return type("Faulty", (Scale,), methods)()


def test_a_newcomers_operator_passes_and_is_reported():
    class Fold(LinearOperator):
        def __init__(self, length):
            super().__init__(in_shape=length, out_shape=length // 2)

        def _forward(self, x):
            left, right = x.chunk(2, dim=-1)
            return left + right.flip(-1)

    report = check_operator(Fold(8))
    assert {"adjoint", "gradient", "compile", "norm", "copies"} <= set(report.passed)
    assert {"parameters", "pickling"} <= set(report.not_checked)
    assert "Fold((8,) -> (4,))" in str(report)


def change_input(self, x):
    x.detach().mul_(2)
    return 1.0 * x


def violations(operator):
    with pytest.raises(AssertionError) as caught:
        check_operator(operator)
    return str(caught.value)


@pytest.mark.parametrize(
    ("methods", "words"),
    [
        ({"_adjoint": lambda self, y: 2.1 * y}, "adjoint: <A x, y> differs from <x, A.H y> by"),
        ({"_adjoint": lambda self, y: y.new_zeros((*y.shape[:-1], 3))}, "the adjoint of (4,) gives (3,), not (4,)"),
        ({"_forward": lambda self, x: x.abs()}, "linearity: A is not linear: f(a u + b v) differs"),
        ({"_forward": lambda self, x: x + 1}, "linearity: A maps zero to 1.0e+00"),
        ({"_forward": lambda self, x: x[..., :3]}, "an input (4,) gives (3,), not (4,)"),
        ({"_forward": lambda self, x: x - x.mean(0)}, "batches: A of a batch differs from A of its samples by"),
        (
            {"_forward": lambda self, x: x.to(torch.promote_types(x.dtype, torch.float64))},
            "an input of type torch.float32 gives an output of type",
        ),
        ({"_forward": lambda self, x: 2 * x.detach()}, "gradient: raised RuntimeError"),
        ({"_forward": change_input}, "purity: A changes its input"),
        ({"_forward": lambda self, x: x * torch.rand(())}, "purity: A gives another result when called again"),
        ({"_gram": lambda self: Identity(4)}, "gram: A.gram(x) and A.adjoint(A(x)) differ by"),
        ({"_norm": lambda self: torch.tensor(3.0)}, "norm: norm() is 3, but the largest singular value is 2"),
        ({"_norm": lambda self: torch.ones(2)}, "norm: norm() must be a real scalar tensor"),
        ({"_solve_normal": lambda self, b, damping: b}, "inverses: solve_normal(b, damping) leaves"),
        ({"_direct_inverse": lambda self, y: y / 0}, "inverses: direct_inverse(y) gives"),
        ({"_forward": lambda self, x: torch.from_numpy(2 * x.detach().numpy())}, "gradient: raised"),
        ({"_check": lambda self, x, shape, what: None}, "error messages: A of integers"),
        ({"__repr__": lambda self: "?"}, "repr shows no shapes"),
    ],
)
def test_each_fault_is_named(methods, words):
    assert words in violations(faulty(**methods))


def test_all_faults_are_listed_together():
    text = violations(faulty(_norm=lambda self: torch.tensor(3.0), _gram=lambda self: Identity(4)))
    assert "norm()" in text
    assert "A.gram(x)" in text
    assert "Faulty((4,) -> (4,)) violates" in text


def test_a_wrong_parameter_gradient_is_found():
    class Detached(Diagonal):
        def _forward(self, x):
            return self.weights.detach() * x + 0 * self.weights

    assert "parameters: the gradient in weights" in violations(Detached(torch.nn.Parameter(torch.ones(3))))


def test_a_broken_call_is_an_assertion_with_the_operators_words():
    def forward(self, x):
        raise RuntimeError("no such weather")

    with pytest.raises(AssertionError, match="Faulty: a call on a random input raised RuntimeError: no such weather"):
        check_operator(faulty(_forward=forward))


def test_what_is_too_large_is_said_to_be_unchecked():
    report = check_operator(Identity(2000))
    assert "choose smaller shapes" in report.not_checked["norm"]
    assert "adjoint" in report.passed


def test_adjoint_error_is_the_number():
    A = faulty(_adjoint=lambda self, y: 2.2 * y)
    assert 1e-4 < adjoint_error(A) < 1
    assert adjoint_error(Subsample((4, 6), 2), dtype=torch.float64) < 1e-15
    assert adjoint_error(Subsample((4, 6), 2), dtype=torch.complex64, batch=(3,)) < 1e-6


def test_it_takes_operators_only():
    with pytest.raises(TypeError, match="takes a LinearOperator, got function"):
        check_operator(lambda x: x)
