"""Learnable linear splines, and the potentials of which they are the derivatives."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["LinearSpline", "evaluate", "integrate", "odd_coefficients"]


class LinearSpline(nn.Module):
    """Values at equidistant knots on [low, high], one row of them for each of some functions.

    Parameters
    ----------
    functions, knots : int
    low, high : float
        The first and the last knot. Beyond, the function keeps its value there.
    init : torch.Tensor, shape ``(knots,)``
        The values that training begins with.
    """

    def __init__(self, functions: int, knots: int, low: float, high: float, init: torch.Tensor) -> None:
        super().__init__()
        self.low, self.high = low, high
        self.values = nn.Parameter(init.expand(functions, knots).clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Every function at every point: ``(*points)`` to ``(*points, functions)``."""
        count = self.values.shape[1]
        place = ((x - self.low) * ((count - 1) / (self.high - self.low))).clamp(0, count - 1)
        left = place.detach().floor().long().clamp_max(count - 2)
        values = self.values.to(x.dtype)
        return torch.lerp(values[:, left], values[:, left + 1], place - left).movedim(0, -1)

    def extra_repr(self) -> str:
        """The functions, knots and range."""
        functions, knots = self.values.shape
        return f"functions={functions}, knots={knots}, low={self.low:g}, high={self.high:g}"


def odd_coefficients(values: torch.Tensor, spacing: float, low: float, high: float) -> torch.Tensor:
    """Values at knots whose function is odd, has slopes between two bounds, and is constant beyond the knots.

    Parameters
    ----------
    values : torch.Tensor, shape ``(functions, knots)``
    spacing : float
        Of the knots.
    low, high : float
        Bounds of the slopes.

    Returns
    -------
    torch.Tensor, shape ``(functions, knots)``
    """
    slopes = values.diff(dim=-1).clamp(low * spacing, high * spacing)[:, 1:-1]
    inner = torch.nn.functional.pad(slopes, (1, 1)).cumsum(-1)
    centred = torch.nn.functional.pad(inner, (1, 0))
    return 0.5 * (centred - centred.flip(-1))


def evaluate(coefficients: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The splines with knots on [-1, 1] at the points of ``x``, of shape ``(batch, channels, *spatial)``.

    Parameters
    ----------
    coefficients : torch.Tensor, shape ``(1, knots)`` or ``(channels, knots)``
        One function for all channels, or one for each.
    x : torch.Tensor
    """
    place, rest, _ = _located(coefficients, x)
    return torch.addcmul(coefficients.flatten()[place], rest, _rises(coefficients)[place])


def integrate(coefficients: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The splines' integrals from zero to the points; as `evaluate`, which gives their derivatives."""
    place, rest, beyond = _located(coefficients, x)
    values, rises = coefficients.flatten()[place], _rises(coefficients)[place]
    spacing = 2 / (coefficients.shape[1] - 1)
    areas = 0.5 * spacing * (coefficients[:, 1:] + coefficients[:, :-1])
    sums = torch.nn.functional.pad(areas.cumsum(-1), (1, 0))
    middle = coefficients.shape[1] // 2
    sums = (sums - sums[:, middle : middle + 1]).flatten()
    inside = sums[place] + spacing * rest * (values + 0.5 * rest * rises)
    return inside + beyond * torch.addcmul(values, rest, rises)


def _located(coefficients: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The index of the knot to the left, how far beyond it (0 to 1), and how far outside the knots."""
    functions, knots = coefficients.shape
    inside = x.clamp(-1, 1)
    place = (inside + 1) * (0.5 * (knots - 1))
    left = place.detach().floor().clamp_max(knots - 2)
    index = left.int()
    if functions > 1:
        rows = knots * torch.arange(functions, dtype=torch.int32, device=x.device)
        index = index + rows.reshape(-1, *(1 for _ in x.shape[2:]))
    return index, place - left, x - inside


def _rises(coefficients: torch.Tensor) -> torch.Tensor:
    """From each knot to the next; zero after the last."""
    return torch.nn.functional.pad(coefficients.diff(dim=-1), (0, 1)).flatten()
