"""The norm that operators keep: computed once, and never that of other numbers."""

import copy
import math

import pytest
import torch

from operators import Convolution, LinearOperator, ParallelBeam, from_function, solve
from operators.mri import CartesianMRI


def kernel(seed=0):
    return torch.rand(3, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def blur(k):
    return Convolution(k, (8, 8), padding="valid")


@pytest.fixture
def count(monkeypatch):
    """How often a norm was found by iteration."""
    calls = []
    original = solve.norm

    def counted(*args, **kwargs):
        calls.append(args)
        return original(*args, **kwargs)

    monkeypatch.setattr(solve, "norm", counted)
    return lambda: len(calls)


def dense(A):
    return torch.linalg.matrix_norm(A.to_matrix(), 2)


MAPS = torch.randn(3, 8, 8, dtype=torch.complex128, generator=torch.Generator().manual_seed(1))
MAKE = {
    "a blur": lambda: blur(kernel()),
    "a product": lambda: blur(kernel()).H @ blur(kernel(1)),
    "tomography": lambda: ParallelBeam((8, 8), torch.linspace(0, math.pi, 6)[:-1]),
    "coils": lambda: CartesianMRI(torch.rand(8, 8, generator=torch.Generator().manual_seed(0)) > 0.5, MAPS),
}


@pytest.mark.parametrize("name", MAKE)
def test_it_is_found_once(name, count):
    A = MAKE[name]()
    first = A.norm()
    found = count()
    assert found > 0
    second = A.norm()
    assert count() == found
    assert first == second
    first.zero_()  # who got it may change it
    torch.testing.assert_close(A.norm(), dense(A), rtol=1e-4, atol=0, check_dtype=False)
    assert count() == found


def test_a_change_in_place_or_of_a_buffer_is_seen():
    A = blur(kernel())
    A.norm()
    A.kernel.mul_(2)
    torch.testing.assert_close(A.norm(), dense(A))
    A.load_state_dict(blur(kernel(1)).state_dict())
    torch.testing.assert_close(A.norm(), dense(A))
    A.kernel = kernel(2)
    torch.testing.assert_close(A.norm(), dense(A))
    A.to(torch.float32)
    torch.testing.assert_close(A.norm(), dense(A), rtol=1e-6, atol=0)


def test_a_change_in_a_part_is_seen():
    inner = blur(kernel())
    A = blur(kernel(1)).H @ inner
    A.norm()
    inner.kernel.mul_(-3)
    torch.testing.assert_close(A.norm(), dense(A))


def test_learnable_operators_differentiate_theirs_anew(count):
    k = torch.nn.Parameter(kernel())
    A = blur(k)
    for times in (1, 2):
        A.norm().backward()
        assert count() == times
    assert k.grad.abs().sum() > 0
    with torch.no_grad():
        k.mul_(2)
    torch.testing.assert_close(A.norm().detach(), dense(A).detach())
    k.requires_grad_(False)
    A.norm()
    k.requires_grad_()
    assert A.norm().requires_grad


def test_copies_keep_their_own():
    A = blur(kernel())
    A.norm()
    B = copy.deepcopy(A)
    B.kernel.mul_(5)
    torch.testing.assert_close(B.norm(), 5 * A.norm())


class Scaled(LinearOperator):
    def __init__(self, factor):
        super().__init__(4, 4)
        self.factor = factor

    def _forward(self, x):
        return self.factor * x.cumsum(-1)


def test_what_only_a_users_operator_knows_is_never_kept():
    A = Scaled(1.0)
    before = A.norm()
    A.factor = 3.0
    torch.testing.assert_close(A.norm(), 3 * before)
    weights = torch.ones(4, dtype=torch.float64)
    B = from_function(lambda x: weights * x.cumsum(-1), 4)
    before = B.norm()
    weights.mul_(3)
    torch.testing.assert_close(B.norm(), 3 * before)
    C = blur(kernel()) @ from_function(lambda x: weights[0] * x, (8, 8))
    before = C.norm()
    weights.mul_(3)
    torch.testing.assert_close(C.norm(), 3 * before)


def test_within_inference_mode():
    A = blur(kernel())
    with torch.inference_mode():
        first = A.norm()
    assert not A.norm().is_inference()
    torch.testing.assert_close(first.clone(), dense(A))


def test_other_tensors_in_a_functional_call_are_seen():
    A = blur(kernel())
    A.norm()

    class Norm(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.A = A

        def forward(self):
            return self.A.norm()

    doubled = torch.func.functional_call(Norm(), {"A.kernel": 2 * kernel()}, ())
    torch.testing.assert_close(doubled, 2 * dense(A))
    torch.testing.assert_close(A.norm(), dense(A))
