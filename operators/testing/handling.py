"""Checks of how an operator handles its inputs, itself and the user's mistakes."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable, Iterator

import torch

from operators.testing.linear import NotChecked
from operators.testing.probe import Probe, both_ways, difference

__all__: list[str] = []


def memory_layout(probe: Probe) -> Iterator[str]:
    """Strided and expanded inputs give what contiguous ones give."""
    A = probe.operator
    for name, function, x in both_ways(A, probe.x(3, 2), probe.y(3, 2)):
        backwards = tuple(reversed(range(x.ndim)))
        expected = function(x)
        layouts = {
            "a non-contiguous input": (x.permute(backwards).contiguous().permute(backwards), expected),
            "an expanded input": (x[:1, :1].expand_as(x), expected[:1, :1].expand_as(expected)),
        }
        for layout, (given, result) in layouts.items():
            error = difference(function(given), result)
            if not error < 1e-12:
                yield f"{name} of {layout} differs by {error:.1e}"


def purity(probe: Probe) -> Iterator[str]:
    """A call changes neither its input nor the operator, and repeats itself."""
    A = probe.operator
    state = {name: tensor.detach().clone() for name, tensor in A.state_dict().items()}
    for name, function, x in both_ways(A, probe.x(2), probe.y(2)):
        before = x.clone()
        first = function(x).clone()
        if not torch.equal(x, before):
            yield f"{name} changes its input"
        if not torch.equal(function(before), first):
            yield f"{name} gives another result when called again"
    if any(not torch.equal(state[name], tensor) for name, tensor in A.state_dict().items()):
        yield "a call changes the operator's state"


def pickling(probe: Probe) -> Iterator[str]:
    """A pickled operator does what the original does."""
    A, x = probe.operator, probe.x(2)
    try:
        stored = pickle.dumps(A)
    except (AttributeError, pickle.PicklingError) as error:
        if "local" in str(error) or "lambda" in str(error):
            raise NotChecked("Python pickles no classes and functions that are defined inside of a function") from error
        raise
    gap = difference(pickle.loads(stored)(x), A(x))
    if not gap < 1e-12:
        yield f"a pickled copy differs from the original by {gap:.1e}"


def copies(probe: Probe) -> Iterator[str]:
    """Deep copies and a loaded state do what the original does."""
    A, x = probe.operator, probe.x(2)
    expected = A(x)
    others = {"a deep copy": copy.deepcopy(A)}
    stream = io.BytesIO()
    torch.save(A.state_dict(), stream)
    stream.seek(0)
    restored = copy.deepcopy(A)
    with torch.no_grad():
        for tensor in restored.state_dict().values():
            tensor.zero_()
    restored.load_state_dict(torch.load(stream))
    others["a copy with a loaded state_dict"] = restored
    for name, other in others.items():
        error = difference(other(x), expected)
        if not error < 1e-12:
            yield f"{name} differs from the original by {error:.1e}"


def moves(probe: Probe) -> Iterator[str]:
    """``.double()`` and ``.to(device)`` keep the operator what it is."""
    A = probe.operator
    x, y = probe.x(2), probe.y(2)
    double = copy.deepcopy(A).double()
    for name, got, expected in [("A", double(x), A(x)), ("A.adjoint", double.adjoint(y), A.adjoint(y))]:
        error = difference(got, expected)
        if not error < 1e-6:
            yield f"after .double(), {name} differs by {error:.1e}"
    device = "cuda" if torch.cuda.is_available() else "meta"
    moved = copy.deepcopy(A).to(device)
    image, back = moved(x.to(device)), moved.adjoint(y.to(device))
    for name, got, expected in [("A", image, A(x)), ("A.adjoint", back, A.adjoint(y))]:
        if got.device.type != device or got.shape != expected.shape:
            yield f"on {device}, {name} gives shape {tuple(got.shape)} on {got.device}"
        elif device == "cuda" and not difference(got.cpu(), expected) < 1e-10:
            yield f"on {device}, {name} differs by {difference(got.cpu(), expected):.1e}"


def error_messages(probe: Probe) -> Iterator[str]:
    """Wrong inputs raise at once, by an error that names the operator."""
    A = probe.operator
    for name, function, good in both_ways(A, probe.x(), probe.y()):
        wrong_shape = torch.zeros((*good.shape[:-1], good.shape[-1] + 1) if good.ndim else (2,), dtype=good.dtype)
        cases: dict[str, tuple[object, type[Exception]]] = {
            "integers": (good.real.to(torch.int64), TypeError),
            "a list": (good.tolist(), TypeError),
        }
        if good.ndim:
            cases["a wrong last dimension"] = (wrong_shape.to(good.device), ValueError)
            cases["too few dimensions"] = (good.new_zeros(()), ValueError)
        for what, (bad, expected) in cases.items():
            yield from _unfriendly(f"{name} of {what}", function, bad, expected, A.name)


def _unfriendly(
    what: str, function: Callable[[torch.Tensor], torch.Tensor], bad: object, expected: type[Exception], owner: str
) -> Iterator[str]:
    try:
        function(bad)  # type: ignore[arg-type]
    except expected as error:
        if owner not in str(error):
            yield f"{what}: the message does not name {owner}: {error}"
    except Exception as error:
        yield f"{what} raises {type(error).__name__} instead of {expected.__name__}"
    else:
        yield f"{what} raises nothing, where {expected.__name__} is due"
