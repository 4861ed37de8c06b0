"""The interface of a linear operator."""

from __future__ import annotations

import abc
import copy
import math
from collections.abc import Iterator
from itertools import chain
from typing import overload

import torch

from operators import solve
from operators.checks import Shape, as_shape
from operators.norm_cache import NormCache
from operators.operands import as_declared, check_operand
from operators.registration import device_of, register_tensor
from operators.scalars import Scalar, as_scalar, reciprocal
from operators.transpose import of_empty, transpose

__all__ = ["LinearOperator"]


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
    runs_on_cpu_only = False  # whether it refuses tensors on other devices
    merges_numbers = False  # whether its sums and products with others are one operator, of numbers made from both's
    __array_ufunc__ = None  # else ``array * A`` would be NumPy's: an array of operators, one for each entry

    def __init__(self, in_shape: Shape, out_shape: Shape) -> None:
        super().__init__()
        self.in_shape = as_shape(in_shape, self.name, "in_shape")
        self.out_shape = as_shape(out_shape, self.name, "out_shape")
        self._norm_cache = NormCache()

    # ---------------------------------------------------------------- what a subclass writes

    @abc.abstractmethod
    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        """Apply the operator to ``x`` of shape ``(*batch, *in_shape)``."""

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        """Apply the adjoint to ``y`` of shape ``(*batch, *out_shape)``; by default by autograd's transpose."""
        return transpose(self, y)

    def _adjoint_operator(self) -> LinearOperator:
        """The adjoint as an operator."""
        return algebra.Adjoint(self)

    def _gram(self) -> LinearOperator:
        """``A.H @ A`` in its cheapest form."""
        return algebra.Gram(self)

    def _cogram(self) -> LinearOperator:
        """``A @ A.H`` in its cheapest form."""
        return algebra.Gram(algebra.Adjoint(self))

    def _norm(self) -> torch.Tensor:
        """The largest singular value."""
        return self._norm_cache.get(self, lambda: solve.norm(self))

    def _direct_inverse(self, y: torch.Tensor, /) -> torch.Tensor:
        """A fast approximate inverse of ``y`` of shape ``(*batch, *out_shape)``."""
        # One Landweber step from zero: the adjoint at the scale of the image.
        return self._adjoint(y) * reciprocal(self.norm().detach() ** 2)

    def _solve_shifted(self, b: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        """Solve ``(A + shift I) x = b`` for a positive semidefinite A; `shift` broadcasts to the batch."""
        return solve.cg(self, b, shift=shift)

    def _solve_normal(self, b: torch.Tensor, damping: torch.Tensor) -> torch.Tensor:
        """Solve ``(A.H A + damping I) x = b``; `damping` broadcasts to the batch."""
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
        """``scalar * self``."""
        return algebra.Scaled(scalar, self)

    def _weighted_gram(self, weight: LinearOperator) -> LinearOperator | None:
        """``self.H @ weight @ self`` where that simplifies, else None."""
        return None

    def _real_part(self) -> LinearOperator | None:
        """The map of a real image to the real part of what it gives, where that simplifies, else None."""
        return None

    def _register(self, name: str, value: torch.Tensor) -> None:
        """Keep an `nn.Parameter` as a parameter and any other tensor as a buffer, for ``.to()`` and ``state_dict``."""
        register_tensor(self, name, value)

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
            If the trailing shape or the device is wrong, or `_forward` gives another shape than `out_shape`.
        TypeError
            If `x` is not a floating-point or complex tensor.
        """
        check_operand(self, x, self.in_shape, "an input")
        y = self._forward(x) if x.numel() else of_empty(self._forward, x, self.in_shape)
        return as_declared(self, y, x, self.in_shape, self.out_shape, "_forward")

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
        check_operand(self, y, self.out_shape, "an adjoint input")
        x = self._adjoint(y) if y.numel() else of_empty(self._adjoint, y, self.out_shape)
        return as_declared(self, x, y, self.out_shape, self.in_shape, "_adjoint")

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
        """The largest singular value, a real scalar tensor; differentiable in the operator's parameters.

        Where it takes an iteration (`operators.solve.norm`), an operator of this package keeps it for as long as its
        tensors stay the same and take no gradients.

        Returns
        -------
        torch.Tensor, shape ``()``
        """
        return self._norm()

    def to_matrix(self, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        """The dense matrix of shape ``(prod(out_shape), prod(in_shape))``: for small sizes and for tests.

        Parameters
        ----------
        dtype : torch.dtype
            Type of the unit vectors that the operator is applied to; the matrix is of the type that it gives for them.
        """
        size = math.prod(self.in_shape)
        basis = torch.eye(size, dtype=dtype, device=device_of(self))
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

        Raises
        ------
        TypeError, ValueError
            As for `adjoint`.
        """
        check_operand(self, y, self.out_shape, "a measurement")
        return self._direct_inverse(y)

    def pinv(self, y: torch.Tensor) -> torch.Tensor:
        """The pseudo-inverse: the least-squares solution of smallest norm, by `operators.solve.lstsq`.

        Parameters
        ----------
        y : torch.Tensor, shape ``(*batch, *out_shape)``

        Returns
        -------
        torch.Tensor, shape ``(*batch, *in_shape)``

        Raises
        ------
        TypeError, ValueError
            If `y` has a wrong shape or type, or is not finite.
        FloatingPointError
            If the result is not finite.
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
        TypeError, ValueError
            If `b` has a wrong shape, type or device, or the damping is not a number, negative, or not finite.
        """
        check_operand(self, b, self.in_shape, "a right-hand side")
        return self._solve_normal(b, solve.as_damping(damping, b, len(self.in_shape), self.name))

    # ---------------------------------------------------------------- algebra

    @overload
    def __matmul__(self, other: LinearOperator) -> LinearOperator: ...
    @overload
    def __matmul__(self, other: torch.Tensor) -> torch.Tensor: ...
    def __matmul__(self, other: LinearOperator | torch.Tensor) -> LinearOperator | torch.Tensor:
        if isinstance(other, LinearOperator):
            return algebra.compose(self, other)
        if isinstance(other, torch.Tensor) or hasattr(other, "__dlpack__"):  # of arrays, the call says what to do
            return self(other)
        return NotImplemented

    def __add__(self, other: LinearOperator) -> LinearOperator:
        return algebra.add(self, other) if isinstance(other, LinearOperator) else NotImplemented

    def __radd__(self, other: int) -> LinearOperator:
        # Python's sum() begins with the number zero.
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __sub__(self, other: LinearOperator) -> LinearOperator:
        return algebra.add(self, -other) if isinstance(other, LinearOperator) else NotImplemented

    def __mul__(self, scalar: Scalar) -> LinearOperator:
        number = as_scalar(scalar, self.name)
        if number is None:
            return NotImplemented
        is_learnable = self._parameters or isinstance(number, torch.nn.Parameter)
        return algebra.Scaled(number, self) if self.merges_numbers and is_learnable else self._scaled_by(number)

    __rmul__ = __mul__

    def __truediv__(self, scalar: Scalar) -> LinearOperator:
        number = as_scalar(scalar, self.name)
        if number is None:
            return NotImplemented
        if not isinstance(number, torch.Tensor) and number == 0:
            raise ValueError(f"{self.name}: is divided by a number other than zero, got {scalar}")
        return self * (1 / number)

    def __neg__(self) -> LinearOperator:
        return self * -1

    # ---------------------------------------------------------------- text, copies, tensors

    def __repr__(self) -> str:
        details = self.extra_repr()
        return f"{self.name}({self.in_shape} -> {self.out_shape}{', ' if details else ''}{details})"

    def __deepcopy__(self, memo: dict) -> LinearOperator:
        # torch copies no tensors that were computed from learnable ones, as a gram's may be; the copy's are numbers.
        for tensor in self.buffers():
            if not tensor.is_leaf and id(tensor) not in memo:
                memo[id(tensor)] = tensor.detach().clone()
        memo[id(self)] = copied = type(self).__new__(type(self))
        copied.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return copied

    def _tensors(self, recurse: bool = False) -> Iterator[torch.Tensor]:
        """Its own parameters and buffers, with `recurse` those of its parts, too."""
        if recurse:
            return chain(self.parameters(), self.buffers())
        return (t for t in chain(self._parameters.values(), self._buffers.values()) if t is not None)


# The operators that the methods above make are subclasses of the one that has these methods, so that their file can
# only be loaded after it.
from operators import algebra  # noqa: E402
