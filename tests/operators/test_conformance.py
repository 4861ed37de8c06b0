"""The battery: `check_operator` on every operator that the library exports, found by discovery."""

import contextlib
import importlib
import inspect
import pkgutil

import pytest
import torch

import operators
from operators.core import LinearOperator
from operators.testing import adjoint_error, check_operator
from tests.operators.cases import CASES, EXPRESSIONS, build

INSTANCES = [pytest.param(make, id=f"{name}-{i}") for name, makes in CASES.items() for i, make in enumerate(makes)]
INSTANCES += [pytest.param(make, id=f"expression-{i}") for i, make in enumerate(EXPRESSIONS)]


def exported_names():
    return [name for name in operators.__all__ if callable(getattr(operators, name))]


@pytest.mark.parametrize("name", exported_names())
def test_every_export_has_a_case(name):
    assert CASES.get(name), f"operators.{name} is exported, but tests/operators/cases.py has no case for it"


def test_every_operator_class_is_met_in_some_case():
    for module in pkgutil.walk_packages(operators.__path__, "operators."):
        importlib.import_module(module.name)
    met = set()
    for makes in [*CASES.values(), EXPRESSIONS]:
        for make in makes:
            A = build(make)
            for part in (A, A.gram, A.H, A.H.gram):
                met |= {type(module) for module in part.modules()}
    classes = [c for c in _subclasses(LinearOperator) if c.__module__.startswith("operators.")]
    assert [c.__name__ for c in classes if c not in met and not inspect.isabstract(c)] == []


def _subclasses(kind):
    return {c for direct in kind.__subclasses__() for c in [direct, *_subclasses(direct)]}


@pytest.mark.parametrize("make", INSTANCES)
def test_conformance(make):
    check_operator(build(make))


@pytest.mark.parametrize("make", INSTANCES)
def test_adjoint_error_is_at_rounding_level(make):
    A = build(make)
    for dtype, bound in [(torch.float32, 1e-6), (torch.float64, 1e-12)]:
        assert adjoint_error(A, dtype=dtype, batch=(2,)) < bound


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("make", INSTANCES)
def test_conformance_on_a_gpu(make):
    try:
        A = build(make).to("cuda")
        if any(getattr(part, "runs_on_cpu_only", False) for part in A.modules()):
            pytest.skip("it computes on the CPU only")
        with contextlib.suppress(TypeError):  # it takes another type
            A(torch.zeros(A.in_shape, device="cuda"))
    except ImportError as missing:
        pytest.skip(str(missing))
    check_operator(A)
