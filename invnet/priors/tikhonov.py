"""Squared length of an image or of its gradient."""

from __future__ import annotations

import torch

from invnet.priors.base import Prior
from operators import FiniteDifference
from operators.checks import check_choice
from operators.solve import over_batch

__all__ = ["Tikhonov"]


class Tikhonov(Prior):
    r"""Half the squared length of the image or of its gradient [1]_: a Gaussian prior.

    :math:`R(x) = \tfrac12 \sum_i |x_i|^2`, or :math:`\tfrac12 \sum_i |(\nabla x)_i|^2`, which favours smooth images.
    The proximal map is linear, in closed form: that of the gradient by a cosine transform.

    Parameters
    ----------
    of : {"gradient", "image"}
        What the length is of. The gradient is that of `operators.FiniteDifference`.
    dims : int
        How many trailing dimensions the gradient is taken along; all before them (channels, batch) are apart.

    Raises
    ------
    TypeError, ValueError
        If `dims` is not a positive integer, or `of` is another word.

    References
    ----------
    .. [1] A. Tikhonov, "Solution of incorrectly formulated problems and the regularization method", Soviet Math. Dokl.
       4, 1963.

    Examples
    --------
    >>> step = torch.zeros(4, 4)
    >>> step[:, 2:] = 1.0
    >>> Tikhonov()(step)  # a jump of one along four pixels
    tensor(2.)
    >>> Tikhonov("image").prox(step, 1.0)[0]
    tensor([0.0000, 0.0000, 0.5000, 0.5000])
    """

    def __init__(self, of: str = "gradient", dims: int = 2) -> None:
        super().__init__(dims)
        self.of = check_choice(of, ("gradient", "image"), self.name, "of")

    def _value(self, x: torch.Tensor) -> torch.Tensor:
        values = x if self.of == "image" else self._gradient(x)(x)
        batch = x.ndim - self.dims
        return 0.5 * values.abs().square().flatten(batch).sum(-1)

    def _prox(self, x: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        inner = tuple(x.shape[step.ndim :])
        if self.of == "image":
            return x / (1 + over_batch(step, inner))
        step = step.clamp_min(1e-20)  # the same, to any precision
        return self._gradient(x).solve_normal(x / over_batch(step, inner), 1 / step)

    def _gradient(self, x: torch.Tensor) -> FiniteDifference:
        return FiniteDifference(tuple(x.shape[x.ndim - self.dims :])).to(x.device)

    def extra_repr(self) -> str:
        """What the length is of, and the dimensions."""
        return f"{self.of!r}, dims={self.dims}"
