"""The algebra on operators: adjoints, grams, products, sums and multiples, simplified where the operators know how."""

from __future__ import annotations

import math

import torch

from operators.batched import Batched
from operators.core import LinearOperator
from operators.scalars import Scalar, conj, magnitude, reciprocal
from operators.solve import over_batch

__all__ = [
    "Adjoint",
    "Compose",
    "Gram",
    "Scaled",
    "Sum",
    "add",
    "compose",
    "identity_multiple",
    "is_unitary",
    "normalize",
    "simplified",
]


class Adjoint(LinearOperator):
    """The adjoint of an operator, as ``A.H`` makes it."""

    def __init__(self, operator: LinearOperator) -> None:
        super().__init__(operator.out_shape, operator.in_shape)
        self.operator = operator

    @property
    def name(self) -> str:
        """The operator's name in messages."""
        made = self._modules.get("operator")  # not yet while its shapes are checked
        return f"{made.name}.H" if isinstance(made, LinearOperator) else "Adjoint"

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return self.operator.adjoint(x)

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return self.operator(y)

    def _adjoint_operator(self) -> LinearOperator:
        return self.operator

    def _gram(self) -> LinearOperator:
        return self.operator._cogram()

    def _cogram(self) -> LinearOperator:
        return self.operator.gram

    def _norm(self) -> torch.Tensor:
        return self.operator.norm()

    def _composed_with(self, inner: LinearOperator) -> LinearOperator | None:
        return inner.gram if inner is self.operator else None

    def _composed_into(self, outer: LinearOperator) -> LinearOperator | None:
        return self.gram if outer is self.operator else None

    def __repr__(self) -> str:
        return f"{_factor(self.operator)}.H"


class Gram(LinearOperator):
    """The normal operator ``A.H A`` of an operator without structure to use."""

    def __init__(self, operator: LinearOperator) -> None:
        super().__init__(operator.in_shape, operator.in_shape)
        self.operator = operator

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return self.operator.adjoint(self.operator(x))

    _adjoint = _forward

    def _adjoint_operator(self) -> LinearOperator:
        return self

    def _norm(self) -> torch.Tensor:
        return self.operator.norm() ** 2

    def __repr__(self) -> str:
        return f"{_factor(self.operator)}.gram"


class Compose(LinearOperator):
    """``outer @ inner``: first `inner`, then `outer`. Users write ``A @ B``."""

    def __init__(self, outer: LinearOperator, inner: LinearOperator) -> None:
        super().__init__(inner.in_shape, outer.out_shape)
        self.outer = outer
        self.inner = inner
        self.has_fast_gram = outer.has_fast_gram

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return self.outer(self.inner(x))

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return self.inner.adjoint(self.outer.adjoint(y))

    def _adjoint_operator(self) -> LinearOperator:
        return compose(self.inner.H, self.outer.H)

    def _gram(self) -> LinearOperator:
        middle = self.outer.gram
        if isinstance(middle, Gram):
            return Gram(self)
        return self.inner.gram if middle.is_identity else compose(self.inner.H, compose(middle, self.inner))

    def _cogram(self) -> LinearOperator:
        # Not the gram of `self.H`: the adjoint operator of a subclass may ask for this very cogram.
        return compose(self.inner.H, self.outer.H).gram

    def _composed_with(self, inner: LinearOperator) -> LinearOperator | None:
        simpler = simplified(self.inner, inner)
        return None if simpler is None else compose(self.outer, simpler)

    def _composed_into(self, outer: LinearOperator) -> LinearOperator | None:
        simpler = simplified(outer, self.outer)
        return None if simpler is None else compose(simpler, self.inner)

    def _norm(self) -> torch.Tensor:
        may_be_onto = math.prod(self.inner.out_shape) <= math.prod(self.inner.in_shape)
        if may_be_onto and self.inner.H.gram.is_identity:  # like a crop: unitary on what it does not lose
            return self.outer.norm()
        return self.inner.norm() if is_unitary(self.outer) else super()._norm()

    def _direct_inverse(self, y: torch.Tensor, /) -> torch.Tensor:
        return self.inner.direct_inverse(self.outer.direct_inverse(y))

    def _solve_normal(self, b: torch.Tensor, damping: torch.Tensor) -> torch.Tensor:
        if is_unitary(self.inner):
            # With U unitary: ((A U)^H A U + d)^-1 = U^H (A^H A + d)^-1 U
            return self.inner.adjoint(self.outer._solve_normal(self.inner(b), damping))
        return super()._solve_normal(b, damping)

    def __repr__(self) -> str:
        return f"{_factor(self.outer)} @ {_factor(self.inner)}"


class Sum(LinearOperator):
    """The sum of two operators. Users write ``A + B``."""

    def __init__(self, first: LinearOperator, second: LinearOperator) -> None:
        super().__init__(first.in_shape, first.out_shape)
        self.first = first
        self.second = second

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return self.first(x) + self.second(x)

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return self.first.adjoint(y) + self.second.adjoint(y)

    def _adjoint_operator(self) -> LinearOperator:
        return self.first.H + self.second.H

    def __repr__(self) -> str:
        return f"{self.first} + {self.second}"


class Scaled(LinearOperator):
    """A multiple of an operator. Users write ``2 * A``; a tensor as the scalar may be learnable."""

    scalar: Scalar

    def __init__(self, scalar: Scalar, operator: LinearOperator) -> None:
        super().__init__(operator.in_shape, operator.out_shape)
        self.operator = operator
        if isinstance(scalar, torch.Tensor):
            self._register("scalar", scalar)
        elif math.isfinite(abs(scalar)):
            self.scalar = scalar
        else:
            raise ValueError(f"{operator.name}: is scaled by a finite number, got {scalar}")
        self.has_closed_solve, self.has_fast_gram = operator.has_closed_solve, operator.has_fast_gram

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return self.scalar * self.operator(x)

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return conj(self.scalar) * self.operator.adjoint(y)

    def _adjoint_operator(self) -> LinearOperator:
        return conj(self.scalar) * self.operator.H

    def _gram(self) -> LinearOperator:
        return magnitude(self.scalar) ** 2 * self.operator.gram

    def _cogram(self) -> LinearOperator:
        return magnitude(self.scalar) ** 2 * self.operator.H.gram

    def _norm(self) -> torch.Tensor:
        return magnitude(self.scalar) * self.operator.norm()

    def _direct_inverse(self, y: torch.Tensor, /) -> torch.Tensor:
        return self.operator.direct_inverse(y * reciprocal(self.scalar))

    def _scaled_by(self, scalar: Scalar) -> LinearOperator:
        return (scalar * self.scalar) * self.operator

    def _composed_with(self, inner: LinearOperator) -> LinearOperator | None:
        return self.scalar * compose(self.operator, inner)

    def _composed_into(self, outer: LinearOperator) -> LinearOperator | None:
        return self.scalar * compose(outer, self.operator)

    def _added_to(self, other: LinearOperator) -> LinearOperator | None:
        if not self.operator.is_identity:
            return None
        multiple = identity_multiple(other)
        return None if multiple is None else (self.scalar + multiple) * self.operator

    def _solve_shifted(self, b: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        if not self.has_closed_solve:
            return super()._solve_shifted(b, shift)
        if bool(self.scalar == 0):  # without a shift, the pseudo-inverse
            return b * over_batch(reciprocal(shift), self.in_shape)
        return self.operator._solve_shifted(b / self.scalar, shift / self.scalar)

    def __repr__(self) -> str:
        value = self.scalar.item() if isinstance(self.scalar, torch.Tensor) else self.scalar
        number = f"({value:.6g})" if isinstance(value, complex) else f"{value:.6g}"
        return f"{number} * {_factor(self.operator)}"


def compose(outer: LinearOperator, inner: LinearOperator) -> LinearOperator:
    """``outer @ inner``, simplified where a factor knows how.

    A factor that acts on fewer dimensions than the other gives or takes is applied to each of the leading ones.
    """
    given, taken = inner.out_shape, outer.in_shape
    extra = len(given) - len(taken)
    if extra > 0 and given[extra:] == taken:
        outer = Batched(outer, given[:extra])
    elif extra < 0 and taken[-extra:] == given:
        inner = Batched(inner, taken[:-extra])
    elif given != taken:
        raise ValueError(f"{outer.name} @ {inner.name}: {outer.name} takes {taken}, but {inner.name} gives {given}")
    return simplified(outer, inner) or Compose(outer, inner)


def simplified(outer: LinearOperator, inner: LinearOperator) -> LinearOperator | None:
    """``outer @ inner`` in simpler form where one of the two knows how, else None."""
    simpler = outer._composed_with(inner) if _may_merge(outer, inner) else None
    simpler = simpler or (inner._composed_into(outer) if _may_merge(inner, outer) else None)
    return simpler or _simplified_sandwich(outer, inner)


def _simplified_sandwich(outer: LinearOperator, inner: LinearOperator) -> LinearOperator | None:
    """``A.H @ W @ A``, grouped either way, in simpler form where A knows how, else None."""
    if isinstance(outer, Adjoint) and isinstance(inner, Compose):
        left, weight, right = outer.operator, inner.outer, inner.inner
    elif isinstance(outer, Compose) and isinstance(outer.outer, Adjoint):
        left, weight, right = outer.outer.operator, outer.inner, inner
    else:
        return None
    return right._weighted_gram(weight) if left is right and not weight._parameters else None


def add(first: LinearOperator, second: LinearOperator) -> LinearOperator:
    """``first + second``, simplified where a term knows how."""
    if (first.in_shape, first.out_shape) != (second.in_shape, second.out_shape):
        raise ValueError(
            f"{first.name} + {second.name}: shapes must agree, got {first.in_shape} -> {first.out_shape} "
            f"and {second.in_shape} -> {second.out_shape}"
        )
    simpler = first._added_to(second) if _may_merge(first, second) else None
    simpler = simpler or (second._added_to(first) if _may_merge(second, first) else None)
    return simpler or Sum(first, second)


def _may_merge(operator: LinearOperator, other: LinearOperator) -> bool:
    # Merged numbers are made from a parameter as it is now, and would not follow it through training.
    return not (operator.merges_numbers and (operator._parameters or other._parameters))


def normalize(operator: LinearOperator) -> LinearOperator:
    """The operator divided by its norm, so that its largest singular value is one.

    The divisor is a constant: after the operator's parameters have changed, it is the norm as it was. For one that
    follows them, and is differentiated with them, write ``A / A.norm()`` where it is used.

    Parameters
    ----------
    operator : LinearOperator
        Not the zero map.

    Returns
    -------
    LinearOperator

    Raises
    ------
    ValueError
        If the operator's norm is zero.

    Examples
    --------
    >>> import torch
    >>> from operators import Diagonal, normalize
    >>> normalize(Diagonal(torch.tensor([1.0, 4.0]))).norm()
    tensor(1.)
    """
    size = operator.norm()
    if not bool(size > 0):
        raise ValueError(f"normalize: takes an operator of positive norm, but that of {operator.name} is {size.item()}")
    return operator / size.detach()


def is_unitary(operator: LinearOperator) -> bool:
    """Whether the operator is known to be unitary: with the identity as its gram, and as that of its adjoint.

    As many outputs as inputs do not imply the second: `RealToComplex` does not reach all complex images.
    """
    is_square = math.prod(operator.in_shape) == math.prod(operator.out_shape)  # cheap, where a gram may not be
    return is_square and operator.gram.is_identity and operator.H.gram.is_identity


def identity_multiple(operator: LinearOperator) -> Scalar | None:
    """The scalar c if the operator is known to be c times the identity, else None."""
    if operator.is_identity:
        return 1
    return operator.scalar if isinstance(operator, Scaled) and operator.operator.is_identity else None


def _factor(operator: LinearOperator) -> str:
    """The operator's text, in brackets if it is an expression."""
    text = repr(operator)
    return f"({text})" if isinstance(operator, Compose | Sum | Scaled) else text
