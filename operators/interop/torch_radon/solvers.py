"""torch-radon's solvers, for any pair of ``forward`` and ``backward``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch

__all__ = ["Landweber", "cg", "cgne"]

Map = Callable[[torch.Tensor], torch.Tensor]


class _Pair(Protocol):
    def forward(self, x: torch.Tensor, /) -> torch.Tensor: ...
    def backward(self, y: torch.Tensor, /) -> torch.Tensor: ...


class Landweber:
    """The projected Landweber iteration ``x <- P(x - alpha * A.T (A x - y))`` for ``min |A x - y|^2`` over a set.

    Parameters
    ----------
    operator : object
        With ``forward`` and its adjoint ``backward``, such as `Radon`.
    projection : callable, optional
        P, onto the set.
    grad : bool
        Whether the iteration can be differentiated.

    Examples
    --------
    >>> from operators.interop.torch_radon import Radon
    >>> radon, x = Radon(16, torch.linspace(0, 3, 20)), torch.rand(16, 16)
    >>> landweber = Landweber(radon, projection=lambda x: x.clamp(0, 1))
    >>> alpha = 0.95 * landweber.estimate_alpha(16, "cpu")
    >>> image = landweber.run(torch.zeros_like(x), radon.forward(x), alpha, iterations=50)
    """

    def __init__(self, operator: _Pair, projection: Map | None = None, grad: bool = False) -> None:
        self.operator, self.grad = operator, grad
        self.projection: Map = (lambda x: x) if projection is None else projection

    def estimate_alpha(self, img_size: int, device: torch.device | str, n_iter: int = 50, batch_size: int = 8) -> float:
        """Twice the inverse of the largest eigenvalue of ``A.T A``, by the power method: an upper bound of alpha.

        Parameters
        ----------
        img_size : int
            Height and width of the images.
        device : torch.device or str
        n_iter : int
            Iterations.
        batch_size : int
            Images from which it starts, drawn from torch's global generator, as in torch-radon.

        Returns
        -------
        float
        """
        with torch.no_grad():
            x = torch.randn((batch_size, img_size, img_size), device=device)
            size = _norms(x)
            for _ in range(n_iter):
                x = self.operator.backward(self.operator.forward(x / size))
                size = _norms(x)
            return 2.0 / size.max().item()

    def run(
        self,
        x_zero: torch.Tensor,
        y: torch.Tensor,
        alpha: float,
        iterations: int = 100,
        callback: Map | None = None,
    ) -> Any:
        """Iterate from `x_zero`.

        Parameters
        ----------
        x_zero : torch.Tensor, shape ``(*batch, height, width)``
        y : torch.Tensor, shape ``(*batch, views, detectors)``
        alpha : float
            The step.
        iterations : int
        callback : callable, optional
            Called with every image.

        Returns
        -------
        x : torch.Tensor
        values : list
            What the callback returned, if there is one.
        """
        values = []
        with torch.set_grad_enabled(self.grad):
            x = x_zero.clone()
            for _ in range(iterations):
                x = self.projection(x - alpha * self.operator.backward(self.operator.forward(x) - y))
                if callback is not None:
                    values.append(callback(x))
        return x if callback is None else (x, values)


def cg(
    forward: Map,
    x: torch.Tensor,
    y: torch.Tensor,
    callback: Callable[..., Any] | None = None,
    max_iter: int = 500,
    tol: float = 1e-5,
) -> Any:
    """Conjugate gradients for ``A x = y`` with a symmetric positive definite A.

    Parameters
    ----------
    forward : callable
        The product with A.
    x : torch.Tensor, shape ``(*batch, height, width)``
        The first guess.
    y : torch.Tensor, shape ``(*batch, height, width)``
    callback : callable, optional
        Called with every image and its residual.
    max_iter : int
    tol : float
        It stops when ``|A x - y| <= tol |y|`` for every image. (torch-radon's stops at the first.)

    Returns
    -------
    x : torch.Tensor, shape ``(*batch, height, width)``
    values : list
        What the callback returned, if there is one.

    Examples
    --------
    >>> cg(lambda x: 2 * x, torch.zeros(1, 2), torch.tensor([[2.0, 4.0]]))
    tensor([[1., 2.]])
    """
    r = y - forward(x)
    p, size, target, values = r, _squares(r), tol * _norms(y), []
    for _ in range(max_iter):
        q = forward(p)
        step = size / torch.sum(p * q, (-2, -1), keepdim=True).clamp_min(1e-8)
        x, r = x + step * p, r - step * q
        if callback is not None:
            values.append(callback(x, r))
        last, size = size, _squares(r)
        if bool((size.sqrt() <= target).all()):
            break
        p = r + size / last * p
    return x if callback is None else (x, values)


def cgne(
    operator: _Pair,
    x: torch.Tensor,
    y: torch.Tensor,
    callback: Map | None = None,
    max_iter: int = 5000,
    tol: float = 1e-5,
) -> Any:
    """Conjugate gradients on the normal equations, for ``min |A x - y|^2``.

    Parameters
    ----------
    operator : object
        With ``forward`` and its adjoint ``backward``, such as `Radon`.
    x : torch.Tensor, shape ``(*batch, height, width)``
        The first guess.
    y : torch.Tensor, shape ``(*batch, views, detectors)``
    callback : callable, optional
        Called with every image.
    max_iter : int
    tol : float
        It stops when ``|A.T (A x - y)| <= tol |y|`` for every image.

    Returns
    -------
    x : torch.Tensor, shape ``(*batch, height, width)``
    values : list
        What the callback returned, if there is one.

    Examples
    --------
    >>> from operators.interop.torch_radon import Radon
    >>> radon, x = Radon(16, torch.linspace(0, 3, 40)), torch.rand(16, 16, generator=torch.Generator().manual_seed(0))
    >>> (cgne(radon, torch.zeros_like(x), radon.forward(x)) - x).abs().max() < 0.05
    tensor(True)
    """
    d = y - operator.forward(x)
    s = operator.backward(d)
    p, size, target, values = s, _squares(s), tol * _norms(y), []
    for _ in range(max_iter):
        q = operator.forward(p)
        step = size / _squares(q).clamp_min(1e-8)
        x, d = x + step * p, d - step * q
        s = operator.backward(d)
        if callback is not None:
            values.append(callback(x))
        last, size = size, _squares(s)
        if bool((size.sqrt() <= target).all()):
            break
        p = s + size / last * p
    return x if callback is None else (x, values)


def _squares(x: torch.Tensor) -> torch.Tensor:
    return torch.sum(x.square(), (-2, -1), keepdim=True)


def _norms(x: torch.Tensor) -> torch.Tensor:
    return _squares(x).sqrt()
