"""What a check finds: numbers with the bounds that they must keep, or plain words."""

from __future__ import annotations

import dataclasses

import torch

__all__ = ["Bound", "Finding", "NotChecked", "compared", "difference", "inner", "size"]


@dataclasses.dataclass(frozen=True)
class Bound:
    """A number that shows how far a property is from holding, and how large it may be.

    Attributes
    ----------
    text : str
        What differs: the beginning of a sentence that ends in the number.
    error, allowed : float
    """

    text: str
    error: float
    allowed: float

    @property
    def holds(self) -> bool:
        """Whether the error is allowed; not a number is not."""
        return self.error <= self.allowed

    @property
    def share(self) -> float:
        """The error as a share of what is allowed."""
        return self.error / self.allowed if self.allowed else 0.0

    def __str__(self) -> str:
        return (
            f"{self.text} by {self.error:.1e}, where {f'{self.allowed:.0e}' if self.allowed else 'nothing'} is allowed"
        )


Finding = Bound | str  # words alone are a violation


class NotChecked(Exception):
    """A property that can't be checked here, with the reason."""


def compared(text: str, got: torch.Tensor, expected: torch.Tensor, allowed: float) -> Bound:
    """The relative difference of two results as a bound."""
    return Bound(text, difference(got, expected), allowed)


def difference(got: torch.Tensor, expected: torch.Tensor) -> float:
    """The norm of the difference relative to that of `expected`, infinite if the shapes differ or it is not finite."""
    if got.shape != expected.shape:
        return float("inf")
    gap, scale = size(got.to(torch.complex128) - expected.to(torch.complex128)), size(expected)
    value = (gap / scale if scale > 0 else gap).item()
    return value if value == value else float("inf")


def inner(u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """``sum(conj(u) v)`` in double precision, complex."""
    return torch.sum(u.to(torch.complex128).conj() * v.to(torch.complex128))


def size(x: torch.Tensor) -> torch.Tensor:
    """The Euclidean norm in double precision."""
    return torch.linalg.vector_norm(x.detach().to(torch.complex128))
