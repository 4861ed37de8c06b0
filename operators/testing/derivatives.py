"""Checks of an operator under differentiation and torch's transforms."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch

from operators.testing.linear import NotChecked
from operators.testing.probe import Probe, both_ways, difference, inner

__all__: list[str] = []


def gradient(probe: Probe) -> Iterator[str]:
    """The gradient through A is ``A.H``, and that through ``A.H`` is A."""
    A = probe.operator
    x, y = probe.x(2).requires_grad_(), probe.y(2).requires_grad_()
    (through,) = torch.autograd.grad(A(x), x, y.detach())
    expected = A.adjoint(y.detach())
    yield from _differing("the gradient of A(x)", through, expected, "A.adjoint")
    cotangent = A.adjoint(y)
    (through,) = torch.autograd.grad(cotangent, y, x.detach().to(cotangent.dtype))
    yield from _differing("the gradient of A.adjoint(y)", through, A(x.detach()), "A")


def second_derivative(probe: Probe) -> Iterator[str]:
    """The gradient can be differentiated again: that of ``A.H y`` in y is A."""
    A = probe.operator
    x, y, z = probe.x().requires_grad_(), probe.y().requires_grad_(), probe.x()
    (first,) = torch.autograd.grad(A(x), x, y, create_graph=True)
    (second,) = torch.autograd.grad(first, y, z)
    yield from _differing("the second derivative of A(x)", second, A(z), "A")
    (first,) = torch.autograd.grad(A.adjoint(y), y, z.to(A.adjoint(y).dtype).requires_grad_(), create_graph=True)
    if not first.requires_grad:
        yield "the gradient of A.adjoint(y) can't be differentiated again"


def forward_mode(probe: Probe) -> Iterator[str]:
    """The derivative in a direction is A of that direction."""
    A = probe.operator
    for name, function, direction in both_ways(A, probe.x(2), probe.y(2)):
        _, derivative, *_ = torch.func.jvp(
            function, (probe.random(*direction.shape, dtype=direction.dtype),), (direction,)
        )
        yield from _differing(f"torch.func.jvp of {name}", derivative, function(direction), name)


def vmap(probe: Probe) -> Iterator[str]:
    """`torch.func.vmap` gives what a batch gives."""
    A = probe.operator
    for name, function, batch in both_ways(A, probe.x(3), probe.y(3)):
        yield from _differing(f"torch.func.vmap of {name}", torch.func.vmap(function)(batch), function(batch), name)


def compiled(probe: Probe) -> Iterator[str]:
    """`torch.compile` takes A and its adjoint whole, and changes nothing."""
    A = probe.operator
    for name, function, argument in both_ways(A, probe.x(2), probe.y(2)):
        torch._dynamo.reset()
        compiled_function = torch.compile(function, fullgraph=True, backend="aot_eager")
        yield from _differing(f"torch.compile of {name}", compiled_function(argument), function(argument), name)
    torch._dynamo.reset()


def parameters(probe: Probe) -> Iterator[str]:
    """Gradients in learnable parameters agree with finite differences."""
    A = copy.deepcopy(probe.operator).double()
    names = [name for name, _ in A.named_parameters()]
    if not names:
        raise NotChecked("it has no learnable parameters")
    x = probe.x()
    y = probe.random(*A.out_shape, dtype=A(x).dtype)
    loss = inner(y, A(x)).real
    for name, parameter in A.named_parameters():
        (slope,) = torch.autograd.grad(loss, parameter, retain_graph=True)
        direction = probe.random(*parameter.shape, dtype=parameter.dtype)
        expected = inner(slope, direction).real
        step = 1e-6
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter.add_(direction, alpha=sign * step)
                values.append(inner(y, A(x)).real)
                parameter.add_(direction, alpha=-sign * step)
        got = (values[0] - values[1]) / (2 * step)
        if not (got - expected).abs() <= 1e-5 * (got.abs() + expected.abs()) + 1e-8 * loss.abs():
            yield f"the gradient in {name} is {expected:.6g} along a direction, a finite difference {got:.6g}"


def _differing(name: str, got: torch.Tensor, expected: torch.Tensor, other: str) -> Iterator[str]:
    error = difference(got, expected)
    if not error < 1e-11:
        yield f"{name} differs from {other} by {error:.1e}"
