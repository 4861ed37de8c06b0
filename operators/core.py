"""The interface of a linear operator, and the algebra on operators."""

from __future__ import annotations

import abc
import math
from collections.abc import Iterator
from itertools import chain
from typing import overload

import torch

from operators import solve
from operators.checks import Shape, as_shape

__all__ = ["Adjoint", "Batched", "Compose", "Gram", "LinearOperator", "Scalar", "Scaled", "Sum", "normalize"]

Scalar = float | complex | torch.Tensor


class LinearOperator(torch.nn.Module, abc.ABC):
    """A linear map from tensors of shape ``(*batch, *in_shape)`` to ``(*batch, *out_shape)``.

    A subclass writes `_forward`, and `_adjoint` where it knows a faster transpose than autograd's.
    The methods named ``_adjoint``, ``_gram``, ``_solve_normal`` and so on are hooks: each has a general default, and a
    subclass overrides those for which its structure gives something better.

    Parameters
    ----------
    in_shape, out_shape : int or sequence of int
        Trailing dimensions of what the operator takes and returns. All dimensions before them are batch.

    Raises
    ------
    TypeError, ValueError
        If a shape is not made of positive integers.

    Examples
    --------
    >>> import torch
    >>> class Flip(LinearOperator):
    ...     def __init__(self, length):
    ...         super().__init__(in_shape=length, out_shape=length)
    ...     def _forward(self, x):
    ...         return x.flip(-1)
    >>> A = Flip(3)
    >>> A(torch.tensor([1.0, 2.0, 3.0]))
    tensor([3., 2., 1.])
    >>> A.H(torch.tensor([3.0, 2.0, 1.0]))
    tensor([1., 2., 3.])
    """

    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    is_identity = False  # whether the operator is known to be the identity map
    has_closed_solve = False  # whether `_solve_shifted` is a closed form rather than an iteration
    has_fast_gram = False  # whether its gram is cheaper than it and then its adjoint
    merges_numbers = False  # whether its sums and products with others are new operators of merged numbers

    def __init__(self, in_shape: Shape, out_shape: Shape) -> None:
        super().__init__()
        self.in_shape = as_shape(in_shape, self.name, "in_shape")
        self.out_shape = as_shape(out_shape, self.name, "out_shape")

    # ---------------------------------------------------------------- what a subclass writes

    @abc.abstractmethod
    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        """Apply the operator to ``x`` of shape ``(*batch, *in_shape)``."""

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        """Apply the adjoint to ``y`` of shape ``(*batch, *out_shape)``; by default by autograd's transpose."""
        return transpose(self, y)

    def _adjoint_operator(self) -> LinearOperator:
        return Adjoint(self)

    def _gram(self) -> LinearOperator:
        """``A.H @ A`` in its cheapest form."""
        return Gram(self)

    def _cogram(self) -> LinearOperator:
        """``A @ A.H`` in its cheapest form."""
        return Gram(Adjoint(self))

    def _norm(self) -> torch.Tensor:
        return solve.norm(self)

    def _direct_inverse(self, y: torch.Tensor, /) -> torch.Tensor:
        # One Landweber step from zero: the adjoint at the scale of the image.
        return self._adjoint(y) * reciprocal(self.norm().detach() ** 2)

    def _solve_shifted(self, b: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        """Solve ``(A + shift I) x = b`` for a positive semidefinite A; `shift` broadcasts to the batch."""
        return solve.cg(self, b, shift=shift)

    def _solve_normal(self, b: torch.Tensor, damping: torch.Tensor) -> torch.Tensor:
        gram = self.gram
        if gram.has_closed_solve or not bool((damping > 0).all()):
            return gram._solve_shifted(b, damping)
        cogram = self.H.gram
        if not cogram.has_closed_solve:
            return gram._solve_shifted(b, damping)
        # Woodbury: (A^H A + d)^-1 = (1 - A^H (A A^H + d)^-1 A) / d
        inner = cogram._solve_shifted(self(b), damping)
        return (b - self.adjoint(inner)) / solve.over_batch(damping, self.in_shape)

    def _composed_with(self, inner: LinearOperator) -> LinearOperator | None:
        """``self @ inner`` where that simplifies, else None. Asked of the left factor."""
        return None

    def _composed_into(self, outer: LinearOperator) -> LinearOperator | None:
        """``outer @ self`` where that simplifies, else None. Asked when the left factor knows nothing."""
        return None

    def _added_to(self, other: LinearOperator) -> LinearOperator | None:
        """``self + other`` where that simplifies, else None."""
        return None

    def _scaled_by(self, scalar: Scalar) -> LinearOperator:
        return Scaled(scalar, self)

    def _weighted_gram(self, weight: LinearOperator) -> LinearOperator | None:
        """``self.H @ weight @ self`` where that simplifies, else None."""
        return None

    def _real_part(self) -> LinearOperator | None:
        """What it does to real images, of which the real part is taken, where that simplifies; else None."""
        return None

    def _register(self, name: str, value: torch.Tensor) -> None:
        """Keep an `nn.Parameter` as a parameter and any other tensor as a buffer, for ``.to()`` and ``state_dict``."""
        if isinstance(value, torch.nn.Parameter):
            self.register_parameter(name, value)
        else:
            self.register_buffer(name, value)

    # ---------------------------------------------------------------- what every operator has

    @property
    def name(self) -> str:
        """The operator's name in messages."""
        return type(self).__name__

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the operator.

        Parameters
        ----------
        x : torch.Tensor, shape ``(*batch, *in_shape)``
            Floating-point or complex, on the operator's device.

        Returns
        -------
        torch.Tensor, shape ``(*batch, *out_shape)``

        Raises
        ------
        ValueError
            If the trailing shape or the device is wrong.
        TypeError
            If `x` is no floating-point or complex tensor.
        """
        self._check(x, self.in_shape, "an input")
        return self._forward(x)

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Apply the adjoint: ``<A x, y> = <x, A.adjoint(y)>`` with ``<u, v> = sum(conj(u) v)``.

        Parameters
        ----------
        y : torch.Tensor, shape ``(*batch, *out_shape)``

        Returns
        -------
        torch.Tensor, shape ``(*batch, *in_shape)``

        Raises
        ------
        TypeError, ValueError
            As for a call of the operator.
        """
        self._check(y, self.out_shape, "an adjoint input")
        return self._adjoint(y)

    @property
    def H(self) -> LinearOperator:  # noqa: N802 (the field's name)
        """The adjoint as an operator; ``A.H.H`` is ``A``."""
        return self._adjoint_operator()

    @property
    def gram(self) -> LinearOperator:
        """The normal operator ``A.H @ A``, in the cheapest form that the structure allows.

        It may hold numbers computed from the operator's parameters as they are: after these have changed, ask again.
        """
        return self._gram()

    def norm(self) -> torch.Tensor:
        """The largest singular value, a real scalar tensor; differentiable in the operator's parameters."""
        return self._norm()

    def to_matrix(self, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        """The dense matrix of shape ``(prod(out_shape), prod(in_shape))``: for small sizes and for tests.

        Parameters
        ----------
        dtype : torch.dtype
            Type of the unit vectors that the operator is applied to.
        """
        size = math.prod(self.in_shape)
        tensor = next(self._tensors(recurse=True), None)
        basis = torch.eye(size, dtype=dtype, device=None if tensor is None else tensor.device)
        # Columns in blocks: a batch of all of them would hold size**2 numbers in every intermediate result.
        blocks = (block.reshape(-1, *self.in_shape) for block in basis.split(256))
        columns = [self(block).reshape(len(block), -1) for block in blocks]
        return torch.cat(columns).T

    def direct_inverse(self, y: torch.Tensor) -> torch.Tensor:
        """A fast approximate inverse, without iterations and at the scale of the image.

        Unless an operator knows better (its class says so), this is ``A.H y / |A|^2``, which is exact for a multiple of
        an isometry.

        Parameters
        ----------
        y : torch.Tensor, shape ``(*batch, *out_shape)``

        Returns
        -------
        torch.Tensor, shape ``(*batch, *in_shape)``
        """
        self._check(y, self.out_shape, "a measurement")
        return self._direct_inverse(y)

    def pinv(self, y: torch.Tensor) -> torch.Tensor:
        """The pseudo-inverse: the least-squares solution of smallest norm, by `operators.solve.lstsq`.

        Parameters
        ----------
        y : torch.Tensor, shape ``(*batch, *out_shape)``

        Returns
        -------
        torch.Tensor, shape ``(*batch, *in_shape)``
        """
        return solve.lstsq(self, y)

    def solve_normal(self, b: torch.Tensor, damping: float | torch.Tensor = 0.0) -> torch.Tensor:
        """Solve ``(A.H A + damping I) x = b``: in closed form where the structure allows, else by conjugate gradients.

        Parameters
        ----------
        b : torch.Tensor, shape ``(*batch, *in_shape)``
        damping : float or torch.Tensor, shape broadcastable to batch
            At least zero.

        Returns
        -------
        torch.Tensor, shape ``(*batch, *in_shape)``

        Raises
        ------
        ValueError
            If the damping is negative or not finite.
        """
        self._check(b, self.in_shape, "a right-hand side")
        return self._solve_normal(b, solve.as_damping(damping, b, len(self.in_shape), self.name))

    # ---------------------------------------------------------------- algebra

    @overload
    def __matmul__(self, other: LinearOperator) -> LinearOperator: ...
    @overload
    def __matmul__(self, other: torch.Tensor) -> torch.Tensor: ...
    def __matmul__(self, other: LinearOperator | torch.Tensor) -> LinearOperator | torch.Tensor:
        if isinstance(other, torch.Tensor):
            return self(other)
        if isinstance(other, LinearOperator):
            return compose(self, other)
        return NotImplemented

    def __add__(self, other: LinearOperator) -> LinearOperator:
        return add(self, other) if isinstance(other, LinearOperator) else NotImplemented

    def __sub__(self, other: LinearOperator) -> LinearOperator:
        return add(self, -other) if isinstance(other, LinearOperator) else NotImplemented

    def __mul__(self, scalar: Scalar) -> LinearOperator:
        if isinstance(scalar, torch.Tensor) and scalar.ndim > 0:
            raise ValueError(f"{self.name}: is scaled by one number, got a tensor of shape {tuple(scalar.shape)}")
        if not isinstance(scalar, int | Scalar):
            return NotImplemented
        is_learnable = self._parameters or isinstance(scalar, torch.nn.Parameter)
        return Scaled(scalar, self) if self.merges_numbers and is_learnable else self._scaled_by(scalar)

    __rmul__ = __mul__

    def __truediv__(self, scalar: Scalar) -> LinearOperator:
        if not isinstance(scalar, int | Scalar):
            return NotImplemented
        if not isinstance(scalar, torch.Tensor) and scalar == 0:
            raise ValueError(f"{self.name}: is divided by a number other than zero, got {scalar}")
        return self * (1 / scalar)

    def __neg__(self) -> LinearOperator:
        return self * -1

    # ---------------------------------------------------------------- looks and checks

    def __repr__(self) -> str:
        details = self.extra_repr()
        return f"{self.name}({self.in_shape} -> {self.out_shape}{', ' if details else ''}{details})"

    def _tensors(self, recurse: bool = False) -> Iterator[torch.Tensor]:
        if recurse:
            return chain(self.parameters(), self.buffers())
        return (t for t in chain(self._parameters.values(), self._buffers.values()) if t is not None)

    def _check(self, x: torch.Tensor, shape: tuple[int, ...], what: str) -> None:
        if not isinstance(x, torch.Tensor):
            raise TypeError(f"{self.name}: takes a torch.Tensor as {what}, got {type(x).__name__}")
        if x.shape[x.ndim - len(shape) :] != shape or x.ndim < len(shape):
            takes = ", ".join(["...", *map(str, shape)])
            raise ValueError(f"{self.name}: takes {what} of shape ({takes}), got {tuple(x.shape)}")
        if not (x.dtype.is_floating_point or x.dtype.is_complex):
            raise TypeError(f"{self.name}: takes {what} of a floating-point or complex type, got {x.dtype}")
        for tensor in self._tensors():
            if tensor.device != x.device and tensor.ndim > 0:  # torch mixes scalars of any device
                raise ValueError(f"{self.name}: takes {what} on its device {tensor.device}, got {x.device}")


def transpose(operator: LinearOperator, y: torch.Tensor) -> torch.Tensor:
    """Apply the exact transpose of ``operator._forward`` by reverse-mode differentiation.

    A linear map is its own derivative, so its vector-Jacobian product at any point (here zero) is its adjoint. In
    torch's convention for complex numbers that is the conjugate transpose.
    """
    batch = y.shape[: y.ndim - len(operator.out_shape)]
    x = y.new_zeros((*batch, *operator.in_shape))
    out, pullback, *_ = torch.func.vjp(operator._forward, x)
    if out.dtype != y.dtype:
        # The operator promotes: its domain is then of the promoted type, as its range is.
        dtype = torch.promote_types(out.dtype, y.dtype)
        y = y.to(dtype)
        out, pullback, *_ = torch.func.vjp(operator._forward, x.to(dtype))
        if out.dtype != dtype:
            raise TypeError(
                f"{operator.name}: maps {dtype} to {out.dtype}, so it is not linear over its domain; "
                "compose with RealToComplex to go from real images to complex data"
            )
    return pullback(y)[0]


class Adjoint(LinearOperator):
    """The adjoint of an operator, as ``A.H`` makes it."""

    def __init__(self, operator: LinearOperator) -> None:
        super().__init__(operator.out_shape, operator.in_shape)
        self.operator = operator

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
        return self.H.gram

    def _composed_with(self, inner: LinearOperator) -> LinearOperator | None:
        simpler = simplified(self.inner, inner)
        return None if simpler is None else compose(self.outer, simpler)

    def _composed_into(self, outer: LinearOperator) -> LinearOperator | None:
        simpler = simplified(outer, self.outer)
        return None if simpler is None else compose(simpler, self.inner)

    def _norm(self) -> torch.Tensor:
        if is_unitary(self.inner):
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
            return b * solve.over_batch(reciprocal(shift), self.in_shape)
        return self.operator._solve_shifted(b / self.scalar, shift / self.scalar)

    def __repr__(self) -> str:
        value = self.scalar.item() if isinstance(self.scalar, torch.Tensor) else self.scalar
        number = f"({value:.6g})" if isinstance(value, complex) else f"{value:.6g}"
        return f"{number} * {_factor(self.operator)}"


class Batched(LinearOperator):
    """An operator that declares some of its batch dimensions, so that it composes with one that mixes them.

    Parameters
    ----------
    operator : LinearOperator
        Acts on the trailing dimensions.
    leading : int or sequence of int
        The dimensions before them that now belong to both shapes.

    Examples
    --------
    >>> from operators import Identity
    >>> Batched(Identity(4), 3)
    Batched((3, 4) -> (3, 4), Identity((4,) -> (4,)))
    """

    def __init__(self, operator: LinearOperator, leading: Shape) -> None:
        lead = as_shape(leading, "Batched", "leading")
        super().__init__((*lead, *operator.in_shape), (*lead, *operator.out_shape))
        self.operator = operator
        self.leading = lead
        self.has_closed_solve, self.has_fast_gram = operator.has_closed_solve, operator.has_fast_gram

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return self.operator(x)

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return self.operator.adjoint(y)

    def _adjoint_operator(self) -> LinearOperator:
        return Batched(self.operator.H, self.leading)

    def _gram(self) -> LinearOperator:
        return Batched(self.operator.gram, self.leading)

    def _cogram(self) -> LinearOperator:
        return Batched(self.operator.H.gram, self.leading)

    def _norm(self) -> torch.Tensor:
        return self.operator.norm()

    def _direct_inverse(self, y: torch.Tensor, /) -> torch.Tensor:
        return self.operator.direct_inverse(y)

    def _solve_shifted(self, b: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        if not self.has_closed_solve:
            return super()._solve_shifted(b, shift)
        # The inner operator sees the leading dimensions as batch, so the shift must broadcast over them.
        return self.operator._solve_shifted(b, solve.over_batch(shift, self.leading))

    def extra_repr(self) -> str:
        """The operator inside."""
        return repr(self.operator)


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
    # A merged number would be a copy of a parameter as it is now: it must stay what training changes.
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

    An equal number of entries does not tell the second: `RealToComplex` is no map onto all complex images.
    """
    is_square = math.prod(operator.in_shape) == math.prod(operator.out_shape)  # cheap, where a gram may not be
    return is_square and operator.gram.is_identity and operator.H.gram.is_identity


def identity_multiple(operator: LinearOperator) -> Scalar | None:
    """The scalar c if the operator is known to be c times the identity, else None."""
    if operator.is_identity:
        return 1
    return operator.scalar if isinstance(operator, Scaled) and operator.operator.is_identity else None


def conj(scalar: Scalar) -> Scalar:
    """The complex conjugate of a number or a tensor."""
    return scalar.conj() if isinstance(scalar, torch.Tensor) else scalar.conjugate()


@overload
def reciprocal(scalar: torch.Tensor) -> torch.Tensor: ...
@overload
def reciprocal(scalar: Scalar) -> Scalar: ...
def reciprocal(scalar: Scalar) -> Scalar:
    """One over a number or a tensor, and zero for zero: the pseudo-inverse."""
    if not isinstance(scalar, torch.Tensor):
        return 1 / scalar if scalar else 0.0
    is_zero = scalar == 0
    return torch.where(is_zero, 0, 1 / torch.where(is_zero, 1, scalar))


def is_complex(scalar: Scalar) -> bool:
    """Whether a number or a tensor is of a complex type."""
    return scalar.is_complex() if isinstance(scalar, torch.Tensor) else isinstance(scalar, complex)


def magnitude(scalar: Scalar) -> float | torch.Tensor:
    """The absolute value of a number or a tensor."""
    return scalar.abs() if isinstance(scalar, torch.Tensor) else abs(scalar)


def _factor(operator: LinearOperator) -> str:
    """The operator's text, in brackets if it is an expression."""
    text = repr(operator)
    return f"({text})" if isinstance(operator, Compose | Sum | Scaled) else text
