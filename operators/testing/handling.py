"""Checks of how an operator handles its inputs, itself and the user's mistakes."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Iterator

import torch

from operators.testing.measure import Finding, NotChecked, compared
from operators.testing.probe import Map, Probe, both_ways

__all__: list[str] = []

_SAME = 1e-12


def memory_layout(probe: Probe) -> Iterator[Finding]:
    """Strided, expanded and lazily conjugated inputs give what contiguous ones give."""
    dtype = torch.complex128 if torch.complex128 in probe.dtypes else probe.dtype
    for name, function, x in both_ways(probe.operator, probe.x(3, 2, dtype=dtype), probe.y(3, 2, dtype=dtype)):
        backwards = tuple(reversed(range(x.ndim)))
        strided = x.permute(backwards).contiguous().permute(backwards)
        expected = function(x)
        yield compared(f"{name} of a non-contiguous input differs", function(strided), expected, _SAME)
        got = function(x[:1, :1].expand_as(x))
        yield compared(f"{name} of an expanded input differs", got, expected[:1, :1].expand_as(expected), _SAME)
        if x.is_complex():
            lazy = x.conj().resolve_conj().conj()
            yield compared(f"{name} of a lazily conjugated input differs", function(lazy), expected, _SAME)


def purity(probe: Probe) -> Iterator[Finding]:
    """A call gives finite numbers, changes neither its input nor the operator, and repeats itself."""
    A = probe.operator
    state = {name: tensor.detach().clone() for name, tensor in A.state_dict().items()}
    for name, function, x in both_ways(A, probe.x(2), probe.y(2)):
        before = x.clone()
        first = function(x).clone()
        if not bool(torch.isfinite(first).all()):
            yield f"{name} gives NaN or infinite numbers for finite ones"
            return
        yield compared(f"{name} changes its input: it differs", x, before, 0)
        yield compared(f"{name} gives another result when called again: it differs", function(before), first, _SAME)
    for name, tensor in A.state_dict().items():
        yield compared(f"a call changes the operator's {name}: it differs", tensor, state[name], 0)


def copies(probe: Probe) -> Iterator[Finding]:
    """A deep copy does what the original does, and so does one into which the original's state is loaded."""
    A, x = probe.operator, probe.x(2)
    expected = A(x)
    other = copy.deepcopy(A)
    yield compared("a deep copy's result differs", other(x), expected, _SAME)
    for tensor in other.state_dict().values():
        with torch.no_grad():
            tensor.copy_(0.5 * tensor)
    # What the operator keeps of its tensors must follow them.
    yield compared("after a change of its state, the operator differs", other(x), copy.deepcopy(other)(x), _SAME)
    stream = io.BytesIO()
    torch.save(A.state_dict(), stream)
    stream.seek(0)
    other.load_state_dict(torch.load(stream))
    yield compared("the result of a copy with a loaded state_dict differs", other(x), expected, _SAME)


def pickling(probe: Probe) -> Iterator[Finding]:
    """What was pickled does what the original does."""
    A, x = probe.operator, probe.x(2)
    try:
        stored = pickle.dumps(A)
    except (AttributeError, pickle.PicklingError) as error:
        if any(sign in str(error) for sign in ("local", "lambda", "attribute lookup")):
            raise NotChecked("Python pickles only classes and functions that can be imported by name") from error
        raise
    yield compared("a pickled copy's result differs", pickle.loads(stored)(x), A(x), _SAME)


def precision(probe: Probe) -> Iterator[Finding]:
    """``.double()`` and ``.float()`` keep the operator what it is."""
    A, x, y = probe.operator, probe.x(2), probe.y(2)
    double, single = copy.deepcopy(A).double(), copy.deepcopy(A).float()
    low = torch.complex64 if x.is_complex() else torch.float32
    for name, other, given in [(".double()", double, x), (".float()", single, x.to(low) if low in probe.dtypes else x)]:
        image = other(given)
        yield compared(f"after {name}, A(x) differs", image, A(x), 1e-5)
        back = other.adjoint(y.to(image.dtype))
        yield compared(f"after {name}, A.adjoint(y) differs", back, A.adjoint(y), 1e-5)


def device(probe: Probe) -> Iterator[Finding]:
    """``.to(device)`` moves all of the operator: to a GPU if there is one, else for shapes alone to "meta"."""
    A, x, y = probe.operator, probe.x(2), probe.y(2)
    if any(getattr(part, "runs_on_cpu_only", False) for part in A.modules()):
        raise NotChecked("it computes on the CPU only")
    there = "cuda" if torch.cuda.is_available() and probe.device.type != "cuda" else "meta"
    moved = copy.deepcopy(A).to(there)
    results = [("A(x)", moved(x.to(there)), A(x)), ("A.adjoint(y)", moved.adjoint(y.to(there)), A.adjoint(y))]
    if there == "cuda":
        results.append(("A.gram(x)", moved.gram(x.to(there)), A.gram(x)))
    left = [
        f"on {there}, {name} gives shape {tuple(got.shape)} on {got.device}"
        for name, got, expected in results
        if got.device.type != there or got.shape != expected.shape
    ]
    if left:
        yield from left
    elif there == "meta":
        raise NotChecked("there is no GPU; moved to the meta device, its shapes and devices are right")
    else:
        for name, got, expected in results:
            yield compared(f"on {there}, {name} differs", got.cpu(), expected, probe.rounding)


def error_messages(probe: Probe) -> Iterator[Finding]:
    """Wrong inputs raise at once, by an error that names the operator."""
    A = probe.operator
    for name, function, good in both_ways(A, probe.x(), probe.y()):
        bad: dict[str, tuple[object, type[Exception]]] = {
            "integers": (good.real.to(torch.int64), TypeError),
            "a list": (good.tolist(), TypeError),
        }
        if good.ndim:
            longer = (*good.shape[:-1], good.shape[-1] + 1)
            bad["a wrong last dimension"] = (good.new_zeros(longer), ValueError)
            bad["too few dimensions"] = (good.new_zeros(()), ValueError)
        if any(tensor.ndim for tensor in A._tensors(recurse=True)) and probe.device.type != "meta":
            bad["a tensor on another device"] = (good.to("meta"), ValueError)
        for what, (value, expected) in bad.items():
            yield from _unfriendly(f"{name} of {what}", function, value, expected, probe)


def _unfriendly(what: str, function: Map, bad: object, expected: type[Exception], probe: Probe) -> Iterator[str]:
    try:
        function(bad)  # type: ignore[arg-type]
    except expected as error:
        if not probe.is_named_in(str(error)):
            yield f"{what}: the message does not name {probe.operator.name}: {error}"
    except Exception as error:
        yield f"{what} raises {type(error).__name__} instead of {expected.__name__}"
    else:
        yield f"{what} raises nothing, where {expected.__name__} is due"


def representation(probe: Probe) -> Iterator[Finding]:
    """``repr`` shows the shapes."""
    A = probe.operator
    if not all(str(n) in repr(A) for n in (*A.in_shape, *A.out_shape)):
        yield f"repr shows no shapes: {A!r}"
