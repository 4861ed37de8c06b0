"""The conformance suite itself: each promise that an operator breaks is named, with the size of the violation."""

import re

import pytest
import torch

from operators import Diagonal, FourierTransform, Identity, LinearOperator, RealToComplex, Subsample
from operators.testing import adjoint_error, check_operator
from operators.testing.check import CHECKS


class Scale(LinearOperator):
    """A sound operator, of which each fault below breaks one thing."""

    def __init__(self, length=4):
        super().__init__(length, length)

    def _forward(self, x):
        return 2 * x


def faulty(**methods):
    """A `Scale` with some methods replaced."""
    return type("Faulty", (Scale,), {"__module__": __name__, "__qualname__": "faulty.<locals>.Faulty", **methods})()


class Doubled(torch.autograd.Function):
    """``2 x`` by one's own kernel: all of its derivatives are one's own, too."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return 2 * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, g):
        return 2 * g

    @staticmethod
    def jvp(ctx, tangent):
        return 2 * tangent


class DoubledWithAWrongBackward(Doubled):
    @staticmethod
    def backward(ctx, g):
        return 3 * g


class DoubledOnceDifferentiable(Doubled):
    @staticmethod
    def backward(ctx, g):
        return 2 * g.detach()


class DoubledWithoutForwardMode(Doubled):
    jvp = torch.autograd.Function.jvp


class Weighted(LinearOperator):
    """A product with weights, sound but for what the subclasses do."""

    def __init__(self):
        super().__init__(4, 4)
        self.register_buffer("weights", torch.full((4,), 2.0, dtype=torch.float64))

    def _forward(self, x):
        return self.weights * x


class KeepsOldWeights(Weighted):
    def _forward(self, x):
        if getattr(self, "place", None) != self.weights.data_ptr():
            self.place, self.kept = self.weights.data_ptr(), self.weights.clone()
        return self.kept * x


class CountsCalls(Weighted):
    def _forward(self, x):
        self.weights.data.add_(1e-14)
        return self.weights * x

    _adjoint = _forward


class LeavesWeightsBehind(Scale):
    def __init__(self):
        super().__init__()
        self.weights = torch.full((4,), 2.0)

    def _forward(self, x):
        return self.weights * x


class Detached(Diagonal):
    def _forward(self, x):
        return self.weights.detach() * x


class DetachedAdjoint(Diagonal):
    def _adjoint(self, y):
        return self.weights.detach() * y


def change_input(self, x):
    x.detach().mul_(2)
    return 1.0 * x


def refuse_complex_input(self, x):
    if x.is_complex():
        raise RuntimeError("not implemented for 'ComplexFloat'")
    return 2 * x


def ignore_strides(self, x):
    return 2 * x.as_strided(x.shape, torch.empty(x.shape).stride())


def ignore_conjugation(self, x):
    return torch.view_as_complex(2 * torch.view_as_real(x)) if x.is_complex() else 2 * x


def break_the_graph(self, x):
    torch._dynamo.graph_break()
    return 2 * x


def look_at_the_data(self, x):
    return 2 * x if x.sum().real > 0 else 2.0 * x


def learnable_ones():
    return torch.nn.Parameter(torch.ones(3))


BY = r"by \d\.\de[+-]\d\d, where .* is allowed"

FAULTS = {
    "shapes and types": [
        (
            lambda: faulty(_forward=lambda self, x: x.reshape(-1, 4)[0]),  # right for one image
            r"raised ValueError: Faulty: _forward maps \(1, 4\) to \(4,\), not \(1, 4\)",
        ),
        (
            lambda: faulty(_adjoint=lambda self, y: y.new_zeros((*y.shape[:-1], 3))),
            r"raised ValueError: Faulty: _adjoint maps \(4,\) to \(3,\), not \(4,\)",
        ),
        (
            lambda: faulty(_forward=lambda self, x: x.to(torch.promote_types(x.dtype, torch.float64))),
            r"an input of type torch\.float32 gives an output of type torch\.float64 from A",
        ),
        (
            lambda: faulty(_forward=refuse_complex_input),
            "type torch.complex64 raises RuntimeError: not implemented .* where a TypeError that names Faulty is due",
        ),
    ],
    "batches": [
        (lambda: faulty(_forward=lambda self, x: x - x.mean(0)), f"A of a batch differs from A of its samples {BY}")
    ],
    "linearity": [
        (lambda: faulty(_forward=lambda self, x: x.abs()), f"A is not linear: .* {BY}"),
        (lambda: faulty(_forward=lambda self, x: x + 1), r"A maps zero to .* by 2\.0e\+00, where nothing is allowed"),
    ],
    "adjoint": [
        (lambda: faulty(_adjoint=lambda self, y: 2.1 * y), rf"in torch\.float32, <A x, y> .* <x, A.H y> {BY}"),
        (lambda: faulty(_adjoint=lambda self, y: (2 + 1e-9) * y), rf"in torch\.float64, <A x, y> .* <x, A.H y> {BY}"),
    ],
    "adjoint operator": [
        (
            lambda: faulty(_adjoint_operator=lambda self: Identity(4)),
            r"A.H\(y\) differs from A.adjoint\(y\) by 5.0e-01",
        ),
        (lambda: faulty(_adjoint_operator=lambda self: Identity(3)), r"A.H maps \(3,\) to \(3,\), where A maps \(4,\)"),
    ],
    "half precision": [
        (
            lambda: faulty(_adjoint=lambda self, y: 3 * y if y.dtype == torch.bfloat16 else 2 * y),
            rf"in torch\.bfloat16, <A x, y> .* <x, A.H y> {BY}",
        )
    ],
    "gram": [
        (lambda: faulty(_gram=lambda self: Identity(4)), r"A.gram\(x\) differs from A.adjoint\(A\(x\)\) by 7.5e-01")
    ],
    "matrix": [
        (
            lambda: faulty(to_matrix=lambda self, dtype: torch.eye(4, dtype=dtype)),
            r"A.to_matrix\(\) @ x differs from A\(x\) by 5.0e-01",
        )
    ],
    "norm": [
        (
            lambda: faulty(_norm=lambda self: torch.tensor(3.0)),
            r"A.norm\(\) is 3, but the largest singular value is 2: they differ by 5.0e-01",
        ),
        (lambda: faulty(_norm=lambda self: torch.ones(2)), r"A.norm\(\) must be a real scalar tensor, .* \(2,\)"),
    ],
    "inverses": [
        (lambda: faulty(_solve_normal=lambda self, b, damping: b), r"solve_normal\(b, damping\), .* differs from b by"),
        (lambda: faulty(pinv=lambda self, y: y), r"x = pinv\(y\) is not a least-squares solution: .* by 1.0e\+00"),
        (lambda: faulty(_direct_inverse=lambda self, y: y / 0), r"direct_inverse\(y\) gives .* not finite"),
        (
            lambda: faulty(_direct_inverse=lambda self, y: y.double() / 2),
            r"of type torch.float32, direct_inverse\(y\) is of type torch.float64, but A.adjoint\(y\) torch.float32",
        ),
    ],
    "gradient": [
        (
            lambda: faulty(_forward=lambda self, x: DoubledWithAWrongBackward.apply(x), _adjoint=lambda self, y: 2 * y),
            r"the gradient of A\(x\) differs from A.adjoint by 5.0e-01",
        ),
        (lambda: faulty(_forward=lambda self, x: 2 * x.detach()), "raised RuntimeError"),
    ],
    "second derivative": [
        (
            lambda: faulty(_forward=lambda self, x: DoubledOnceDifferentiable.apply(x), _adjoint=lambda self, y: 2 * y),
            "the gradient of A can't be differentiated again",
        )
    ],
    "forward mode": [
        (
            lambda: faulty(_forward=lambda self, x: DoubledWithoutForwardMode.apply(x), _adjoint=lambda self, y: 2 * y),
            "raised .*jvp",
        )
    ],
    "vmap": [(lambda: faulty(_forward=look_at_the_data, _adjoint=lambda self, y: 2 * y), "raised RuntimeError: vmap")],
    "compile": [(lambda: faulty(_forward=break_the_graph, _adjoint=lambda self, y: 2 * y), "raised Unsupported")],
    "parameters": [
        (lambda: Detached(learnable_ones()), r"gradient of A\(x\) in weights .* is 0, but a finite difference gives"),
        (lambda: DetachedAdjoint(learnable_ones()), r"gradient of A.adjoint\(y\) in weights along a direction is 0"),
    ],
    "memory layout": [
        (lambda: faulty(_forward=ignore_strides), f"A of a non-contiguous input differs {BY}"),
        (
            lambda: faulty(_forward=ignore_conjugation),
            "raised RuntimeError: view_as_real doesn't work on unresolved conj",
        ),
    ],
    "purity": [
        (lambda: faulty(_forward=change_input), r"A changes its input: it differs by 1.0e\+00"),
        (
            lambda: faulty(_forward=lambda self, x: x * torch.rand(())),
            f"A gives another result when called again: .* {BY}",
        ),
        (CountsCalls, "a call changes the operator's weights: it differs by .*, where nothing is allowed"),
    ],
    "copies": [(KeepsOldWeights, r"after a change of its state, the operator differs by 1.0e\+00")],
    "pickling": [
        (
            lambda: faulty(__reduce_ex__=lambda self, protocol: (Identity, (4,))),
            "a pickled copy's result differs by 5.0e-01",
        )
    ],
    "precision": [(lambda: faulty(float=lambda self: Identity(4)), r"after .float\(\), A\(x\) differs by 5.0e-01")],
    "device": [(LeavesWeightsBehind, "raised RuntimeError: .*device")],
    "error messages": [
        (lambda: faulty(forward=lambda self, x: 2 * x), "A of integers raises nothing, where TypeError is due"),
    ],
    "representation": [(lambda: faulty(__repr__=lambda self: "?"), "repr shows no shapes")],
}


def violations(operator):
    with pytest.raises(AssertionError) as caught:
        check_operator(operator)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [pytest.param(name, *fault, id=f"{name}-{i}") for name, faults in FAULTS.items() for i, fault in enumerate(faults)],
)
def test_each_fault_is_named(name, make, words):
    assert re.search(rf"- ([\w ]+, )*{name}(, [\w ]+)*: .*{words}", violations(make()))


def test_every_check_has_a_fault_that_it_finds():
    assert set(FAULTS) == set(CHECKS)


# torch's compiler makes an instance of a Function where it has a jvp.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_the_sound_operators_that_faults_are_made_of_pass():
    check_operator(Scale())
    check_operator(Weighted())
    check_operator(faulty(_forward=lambda self, x: Doubled.apply(x), _adjoint=lambda self, y: 2 * y))


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
    assert set(report.passed) | set(report.not_checked) == set(CHECKS)
    assert 0 < report.passed["adjoint"].error < report.passed["adjoint"].allowed == 1e-6
    assert report.dtypes[:4] == ("float32", "float64", "complex64", "complex128")


def test_the_report_is_a_table_of_what_was_and_was_not_checked():
    text = str(check_operator(Identity(2000)))
    assert repr(check_operator(Identity(2000))) == text
    assert "Identity((2000,) -> (2000,)): " in text
    assert re.search(r"^  adjoint +\d\.\de[+-]\d\d +1e-06$", text, re.MULTILINE)
    assert "not checked: norm (a dense matrix of 2000 x 2000 entries is too large: choose smaller shapes)" in text
    assert "not checked: parameters (it has no learnable parameters)" in text


def test_all_faults_are_listed_together():
    text = violations(faulty(_norm=lambda self: torch.tensor(3.0), _gram=lambda self: Identity(4)))
    assert re.match(r"Faulty\(\(4,\) -> \(4,\)\) violates \d of its promises:", text)
    assert "A.norm() is 3" in text
    assert "A.gram(x) differs" in text


def test_what_others_rest_on_comes_first_and_is_said_once():
    text = violations(faulty(_forward=lambda self, x: x.mul_(2)))
    first, *others = text.splitlines()[1:-1]
    assert first == "  - purity: A changes its input: it differs by 1.0e+00, where nothing is allowed"
    assert sum("torch can't differentiate _forward, from which it makes the adjoint" in line for line in others) == 1
    assert text.endswith("Begin with the first: the others may follow from it.")


def test_a_wrong_adjoint_is_told_with_its_largest_error_in_each_type():
    lines = violations(faulty(_adjoint=lambda self, y: 3 * y)).splitlines()
    assert [line.split(",")[0] for line in lines if line.startswith("  - adjoint: ")] == [
        f"  - adjoint: in torch.{dtype}" for dtype in ("float32", "float64", "complex64", "complex128")
    ]


def test_numbers_that_are_not_finite_are_named():
    assert "- purity: A gives NaN or infinite numbers for finite ones" in violations(
        faulty(_forward=lambda self, x: x / 0)
    )


def test_a_forward_map_of_another_shape_is_told_once():
    with pytest.raises(AssertionError) as error:
        check_operator(faulty(_forward=lambda self, x: x[..., :3]))
    words = "a call on a random input raised ValueError: Faulty: _forward maps (4,) to (3,), not (4,)"
    assert str(error.value) == f"Faulty: {words}"


def test_forgotten_return_and_forgotten_super():
    class Forgetful(LinearOperator):
        def __init__(self):
            self.length = 4

        def _forward(self, x):
            return x

    with pytest.raises(AssertionError, match=r"Faulty: .* _forward gives NoneType, where a tensor is due"):
        check_operator(faulty(_forward=lambda self, x: None))
    with pytest.raises(AssertionError, match=r"Forgetful: has no in_shape; __init__ calls super\(\).__init__"):
        check_operator(Forgetful())


def test_an_operator_on_real_inputs_alone_refuses_complex_ones_by_a_type_error():
    def refuse(self, x):
        if x.is_complex():
            raise TypeError(f"{self.name}: takes real inputs, got {x.dtype}")
        return 2 * x

    assert check_operator(faulty(_forward=refuse)).dtypes == ("float32", "float64", "bfloat16", "float16")


def test_maps_between_real_and_complex_data_are_linear_over_the_real_numbers():
    for A in (RealToComplex(3), RealToComplex(3).H, (FourierTransform(3) @ RealToComplex(3)).H):
        assert "over either" in check_operator(A).not_checked["matrix"]


def test_a_broken_call_is_an_assertion_with_the_operators_words():
    def forward(self, x):
        raise RuntimeError("no such weather")

    with pytest.raises(AssertionError, match="Faulty: a call on a random input raised RuntimeError: no such weather"):
        check_operator(faulty(_forward=forward))


def test_it_takes_operators_only():
    with pytest.raises(TypeError, match="takes a LinearOperator, got function"):
        check_operator(lambda x: x)


def test_adjoint_error_is_the_relative_gap_of_the_inner_products():
    A = faulty(_adjoint=lambda self, y: 2.2 * y)
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(3, 4, dtype=torch.float64, generator=generator)
    y = torch.randn(3, 4, dtype=torch.float64, generator=generator)
    expected = 0.2 * (x * y).sum().abs() / (2 * x.norm() * y.norm())
    assert adjoint_error(A, dtype=torch.float64, batch=(3,), seed=5) < 0.1
    # The inputs are drawn after one trial of each type, so only the size of the number is known from outside.
    assert adjoint_error(A, dtype=torch.float64, batch=(3,), seed=5) > 1e-3 * expected


def test_adjoint_error_of_exact_adjoints_is_rounding():
    for dtype, bound in [(torch.float64, 1e-15), (torch.complex128, 1e-15), (torch.complex64, 1e-7)]:
        assert adjoint_error(Subsample((4, 6), 2), dtype=dtype, batch=(3,)) < bound


def test_adjoint_error_is_that_of_the_operator_not_of_the_measure():
    n = 1_000_000  # summed in float32, the inner products themselves would differ by more than 1e-7
    assert adjoint_error(Diagonal(torch.linspace(0.5, 2, n))) < 1e-9


def test_adjoint_error_refuses_a_type_that_is_not_taken():
    with pytest.raises(TypeError, match=r"RealToComplex: takes a real input, got torch\.complex64"):
        adjoint_error(RealToComplex(3), dtype=torch.complex64)
