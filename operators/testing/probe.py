"""Random inputs for an operator of the types that it takes, and the error of its adjoint."""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Callable, Iterator

import torch

from operators.core import LinearOperator
from operators.registration import device_of
from operators.testing.measure import inner, size

__all__ = ["Probe", "adjoint_error", "both_ways"]

DTYPES = (torch.float32, torch.float64, torch.complex64, torch.complex128)
HALF_DTYPES = (torch.bfloat16, torch.float16)

Map = Callable[[torch.Tensor], torch.Tensor]


class Probe:
    """Draws inputs of an operator, on its device and of the types that it takes.

    Parameters
    ----------
    operator : LinearOperator
    seed : int

    Attributes
    ----------
    dtypes : tuple of torch.dtype
        Those of float32, float64, complex64 and complex128 that the operator takes.
    refusals : dict of torch.dtype to Exception
        What it raised for the others.
    """

    def __init__(self, operator: LinearOperator, seed: int = 0) -> None:
        self.operator = operator
        self.generator = torch.Generator().manual_seed(seed)
        self.device = device_of(operator) or torch.device("cpu")
        tried = {dtype: self._refusal(dtype) for dtype in DTYPES}
        self.refusals = {dtype: error for dtype, error in tried.items() if error is not None}
        self.dtypes = tuple(dtype for dtype in DTYPES if dtype not in self.refusals)
        if not self.dtypes:
            raise self.refusals[torch.float64]

    def _refusal(self, dtype: torch.dtype) -> Exception | None:
        try:
            self.operator(self.x(dtype=dtype))
        except Exception as error:
            return error
        return None

    def _works(self, dtype: torch.dtype) -> bool:
        with _experimental():
            try:
                self.operator.adjoint(self.operator(self.x(dtype=dtype)))
            except (TypeError, RuntimeError):
                return False
        return True

    @functools.cached_property
    def half_dtypes(self) -> tuple[torch.dtype, ...]:
        """The 16-bit types for which the operator and its adjoint work; torch lacks many functions for them."""
        return tuple(dtype for dtype in HALF_DTYPES if self._works(dtype))

    @functools.cached_property
    def dtype(self) -> torch.dtype:
        """The type in which most checks run: of double precision, and complex if the operator mixes in complex numbers.

        It is complex, too, for an operator that makes complex data real: its domain is complex.
        """
        real, complex_ = torch.float64 in self.dtypes, torch.complex128 in self.dtypes
        if not (real and complex_):
            return torch.float64 if real else self.dtypes[-1]
        makes_complex = self._output_dtype(torch.float64).is_complex
        makes_real = not self._output_dtype(torch.complex128).is_complex
        return torch.complex128 if makes_complex or makes_real else torch.float64

    @functools.cached_property
    def is_complex_linear(self) -> bool:
        """Whether complex data go to complex data; otherwise the operator is linear over the real numbers alone."""
        return any(dtype.is_complex and self._output_dtype(dtype).is_complex for dtype in self.dtypes)

    def _output_dtype(self, dtype: torch.dtype) -> torch.dtype:
        with torch.no_grad():
            return self.operator(torch.zeros_like(self.x(dtype=dtype))).dtype

    def is_named_in(self, message: str) -> bool:
        """Whether a message names the operator, or a part that found the mistake."""
        parts = [part for part in self.operator.modules() if isinstance(part, LinearOperator)]
        return any(part.name in message for part in parts)

    @property
    def rounding(self) -> float:
        """What may remain where the operator multiplies its own numbers, in their precision, before it applies them."""
        numbers = [t for t in self.operator._tensors(recurse=True) if t.is_floating_point() or t.is_complex()]
        coarsest = max((torch.finfo(t.dtype).eps for t in numbers), default=0.0)
        return max(1e-10, 10 * coarsest)

    def random(self, *shape: int, dtype: torch.dtype | None = None) -> torch.Tensor:
        """Normally distributed numbers."""
        wide = torch.complex128 if (dtype or self.dtype).is_complex else torch.float64
        return torch.randn(shape, dtype=wide, generator=self.generator).to(dtype or self.dtype).to(self.device)

    def x(self, *batch: int, dtype: torch.dtype | None = None) -> torch.Tensor:
        """An input of the operator."""
        return self.random(*batch, *self.operator.in_shape, dtype=dtype)

    def y(self, *batch: int, dtype: torch.dtype | None = None) -> torch.Tensor:
        """An input of its adjoint, of the type that the operator gives for an input of `dtype`."""
        return self.random(*batch, *self.operator.out_shape, dtype=self._output_dtype(dtype or self.dtype))


def adjoint_error(
    operator: LinearOperator, *, dtype: torch.dtype | None = None, batch: tuple[int, ...] = (), seed: int = 0
) -> float:
    """How far an operator's adjoint is from its transpose: ``|<A x, y> - <x, A.H y>| / (|A x| |y|)``.

    The inner products are accumulated in double precision, so that the number is the operator's alone. For an operator
    that takes or gives real data only, the real parts are compared.

    Parameters
    ----------
    operator : LinearOperator
    dtype : torch.dtype, optional
        Type of the input; by default float32 (or complex64, if the operator takes complex inputs only).
    batch : tuple of int
        Batch dimensions of the input.
    seed : int
        Of the random x and y.

    Returns
    -------
    float
        Without the division, if ``A x`` is zero.

    Raises
    ------
    TypeError
        If the operator does not take this type.

    Examples
    --------
    >>> from operators import Subsample
    >>> adjoint_error(Subsample((8, 8), 2)) < 1e-6
    True
    """
    probe = Probe(operator, seed)
    dtype = probe.dtypes[0] if dtype is None else dtype
    with torch.no_grad(), _experimental():
        x = probe.x(*batch, dtype=dtype)
        y = probe.y(*batch, dtype=dtype)
        image, back = operator(x), operator.adjoint(y)
        gap = inner(image, y) - inner(x, back)
        if not probe.is_complex_linear:
            gap = gap.real
        scale = size(image) * size(y)
    return (gap.abs() / scale).item() if scale > 0 else gap.abs().item()


@contextlib.contextmanager
def _experimental() -> Iterator[None]:
    """Without torch's warning that its 16-bit complex numbers are experimental."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "ComplexHalf support is experimental")
        yield


def both_ways(A: LinearOperator, x: torch.Tensor, y: torch.Tensor) -> list[tuple[str, Map, torch.Tensor]]:
    """An operator and its adjoint, each with a name and an input: most checks hold for both."""
    return [("A", A, x), ("A.adjoint", A.adjoint, y)]
