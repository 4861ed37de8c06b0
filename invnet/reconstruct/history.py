"""The curves of a reconstruction: objective and residual over the iterations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from operators.extras import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_curves"]

_COLOR = "#1f6fb4"
_TEXT = {"fontsize": 9, "color": "#222222"}


def draw_curves(curves: dict[str, list[float]], at: list[int], title: str) -> Figure:
    """A panel for each curve that has entries, logarithmic where they span more than a decade.

    Parameters
    ----------
    curves : mapping of name to values
    at : list of int
        The iterations after which the values were recorded.
    title : str

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    shown = {name: values for name, values in curves.items() if values}
    figure = require("matplotlib.figure", extra="plot").Figure(
        figsize=(3.6 * len(shown), 2.9), dpi=150, facecolor="white", layout="constrained"
    )
    figure.suptitle(title, **_TEXT)
    for axes, (name, values) in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown.items(), strict=True):
        finite = [value if math.isfinite(value) else math.nan for value in values]
        few = len(values) <= 40
        axes.plot(at[: len(values)], finite, color=_COLOR, linewidth=1.2, marker="o" if few else None, markersize=3)
        seen = [value for value in values if math.isfinite(value)] or [0.0]
        axes.set_yscale("log" if 0 < 10 * min(seen) < max(seen) else "linear")
        axes.set_xlabel("iteration", **_TEXT)
        axes.set_title(name, **_TEXT)
        axes.tick_params(which="both", labelsize=8)
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.xaxis.set_major_locator(require("matplotlib.ticker", extra="plot").MaxNLocator(integer=True))
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    return figure
