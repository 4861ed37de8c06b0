"""Checks of an operator under differentiation and torch's transforms."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch

from operators.core import LinearOperator
from operators.testing.measure import Bound, Finding, NotChecked, compared, inner
from operators.testing.probe import Map, Probe, both_ways

__all__: list[str] = []

_ALLOWED = 1e-11


def gradient(probe: Probe) -> Iterator[Finding]:
    """The gradient through A is ``A.H``, and that through ``A.H`` is A."""
    A = probe.operator
    x, y = probe.x(2).requires_grad_(), probe.y(2).requires_grad_()
    (through,) = torch.autograd.grad(A(x), x, y.detach())
    yield compared("the gradient of A(x) differs from A.adjoint", through, A.adjoint(y.detach()), _ALLOWED)
    back = A.adjoint(y)
    (through,) = torch.autograd.grad(back, y, x.detach().to(back.dtype))
    yield compared("the gradient of A.adjoint(y) differs from A", through, A(x.detach()), _ALLOWED)


def second_derivative(probe: Probe) -> Iterator[Finding]:
    """The gradient is differentiable, too: that of ``<A.H y, z>`` in y is ``A z``, and the other way round."""
    for name, function, u in both_ways(probe.operator, probe.x(), probe.y()):
        u.requires_grad_()
        out = function(u)
        cotangent = probe.random(*out.shape, dtype=out.dtype).requires_grad_()
        (first,) = torch.autograd.grad(out, u, cotangent, create_graph=True)
        if not first.requires_grad:
            yield f"the gradient of {name} can't be differentiated again"
            continue
        direction = probe.random(*u.shape, dtype=u.dtype)
        (second,) = torch.autograd.grad(first, cotangent, direction)
        yield compared(f"the second derivative of {name} differs from {name}", second, function(direction), _ALLOWED)


def forward_mode(probe: Probe) -> Iterator[Finding]:
    """The derivative in a direction is A of that direction."""
    for name, function, direction in both_ways(probe.operator, probe.x(2), probe.y(2)):
        point = probe.random(*direction.shape, dtype=direction.dtype)
        _, derivative, *_ = torch.func.jvp(function, (point,), (direction,))
        yield compared(f"torch.func.jvp of {name} differs from {name}", derivative, function(direction), _ALLOWED)


def vmap(probe: Probe) -> Iterator[Finding]:
    """`torch.func.vmap` gives what a batch gives."""
    for name, function, batch in both_ways(probe.operator, probe.x(3), probe.y(3)):
        mapped = torch.func.vmap(function)(batch)
        yield compared(f"torch.func.vmap of {name} differs from {name} of a batch", mapped, function(batch), _ALLOWED)


def compiled(probe: Probe) -> Iterator[Finding]:
    """`torch.compile` takes A and its adjoint whole, and changes nothing."""
    for name, function, argument in both_ways(probe.operator, probe.x(2), probe.y(2)):
        torch._dynamo.reset()
        whole = torch.compile(function, fullgraph=True, backend="aot_eager")
        yield compared(f"torch.compile of {name} differs from {name}", whole(argument), function(argument), _ALLOWED)
    torch._dynamo.reset()


def parameters(probe: Probe) -> Iterator[Finding]:
    """Gradients in learnable parameters, through A, its adjoint and its gram, agree with finite differences."""
    if not any(True for _ in probe.operator.parameters()):
        raise NotChecked("it has no learnable parameters")
    A = _in_double(probe.operator)
    x, y = probe.x(), probe.y()
    # The gram is made anew by every call: it may hold numbers computed from the parameters.
    maps: list[tuple[str, Map, torch.Tensor]] = [
        ("A(x)", A, x),
        ("A.adjoint(y)", A.adjoint, y),
        ("A.gram(x)", lambda x: A.gram(x), x),
    ]
    for text, function, argument in maps:
        cotangent = function(argument).detach()
        cotangent = probe.random(*cotangent.shape, dtype=cotangent.dtype)
        loss = inner(cotangent, function(argument)).real
        directions = {name: probe.random(*p.shape, dtype=p.dtype) for name, p in A.named_parameters()}
        # All of them before the finite differences, which change what backward needs.
        slopes = {name: _slope(loss, p, directions[name]) for name, p in A.named_parameters()}
        for name, parameter in A.named_parameters():
            direction, slope = directions[name], slopes[name]
            expected = _finite_difference(function, argument, cotangent, parameter, direction)
            # An absolute error of 1e-8 of the loss is within the rounding of a finite difference.
            scale = abs(slope) + abs(expected) + 1e-3 * abs(loss.item())
            words = f"the gradient of {text} in {name} along a direction is {slope:.6g}, but a finite difference gives"
            error = abs(slope - expected) / scale if scale > 0 else 0.0
            yield Bound(f"{words} {expected:.6g}: they differ", error, 1e-5)


def _in_double(operator: LinearOperator) -> LinearOperator:
    """A copy with all tensors in double precision, also the complex ones, which `nn.Module.double` leaves alone."""

    def double(tensor: torch.Tensor) -> torch.Tensor:
        has_precision = tensor.is_floating_point() or tensor.is_complex()
        return tensor.to(torch.promote_types(tensor.dtype, torch.float64)) if has_precision else tensor

    return copy.deepcopy(operator)._apply(double)


def _slope(loss: torch.Tensor, parameter: torch.Tensor, direction: torch.Tensor) -> float:
    """The derivative of the loss along a direction; zero if the loss does not depend on the parameter."""
    if not loss.requires_grad:
        return 0.0
    (gradient,) = torch.autograd.grad(loss, parameter, retain_graph=True, allow_unused=True)
    return 0.0 if gradient is None else inner(gradient, direction).real.item()


@torch.no_grad()
def _finite_difference(
    function: Map, argument: torch.Tensor, cotangent: torch.Tensor, parameter: torch.Tensor, direction: torch.Tensor
) -> float:
    step, before = 1e-6, parameter.clone()
    values = []
    for sign in (1, -1):
        parameter.copy_(before + sign * step * direction)
        values.append(inner(cotangent, function(argument)).real.item())
    parameter.copy_(before)
    return (values[0] - values[1]) / (2 * step)
