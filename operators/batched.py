"""An operator on each of several images, as an operator."""

from __future__ import annotations

import torch

from operators.checks import Shape, as_shape
from operators.core import LinearOperator
from operators.solve import over_batch

__all__ = ["Batched"]


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

    operator: LinearOperator

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
        return self.operator._solve_shifted(b, over_batch(shift, self.leading))

    def extra_repr(self) -> str:
        """The operator inside."""
        return repr(self.operator)
