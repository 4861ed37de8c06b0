"""Measures how the normal operator grows with the image, and draws it: ``python docs/draw_gram_growth.py``.

Writes ``docs/_static/ct_gram_growth.svg``; views and detectors grow with the image. Run it on a quiet machine.
"""

import math
import statistics
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from operators import ParallelBeam
from tests.benchmarks.harness import environment, measure

matplotlib.rcParams |= {"svg.hashsalt": "ct", "font.size": 10, "font.family": "sans-serif"}

SIZES = [256, 384, 512, 768, 1024]
JOSEPH, FOURIER = "Joseph: adjoint after forward", "Fourier: Toeplitz gram"
# How the work grows: every view crosses every pixel; two Fourier transforms of the image.
GROWTH = {JOSEPH: lambda n: n**3, FOURIER: lambda n: n**2 * math.log(n)}
COLORS = {JOSEPH: "#b3352b", FOURIER: "#1f5fa8"}


def milliseconds(size):
    """The median time of a call by both models."""
    views = size * 360 // 512
    angles = torch.arange(views, dtype=torch.float64) * math.pi / views
    x = torch.rand(size, size)
    joseph, gram = ParallelBeam((size, size), angles), ParallelBeam((size, size), angles, model="fourier").gram
    times = measure({JOSEPH: lambda: joseph.adjoint(joseph(x)), FOURIER: lambda: gram(x)}, rounds=9)
    return {name: 1e3 * statistics.median(values) for name, values in times.items()}


def main():
    """Measure, print, draw."""
    times = [milliseconds(size) for size in SIZES]
    for size, row in zip(SIZES, times, strict=True):
        print(
            f"{size:5}" + "".join(f"{row[name]:10.2f} ms" for name in GROWTH), f"ratio {row[JOSEPH] / row[FOURIER]:.1f}"
        )
    figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    for name, growth in GROWTH.items():
        axes.loglog(SIZES, [row[name] for row in times], "o-", color=COLORS[name], label=name)
        least = times[0][name] / growth(SIZES[0])
        axes.loglog(SIZES, [least * growth(size) for size in SIZES], ":", color=COLORS[name], linewidth=1)
    axes.set(xlabel="rows = columns; views in proportion", ylabel="milliseconds", xticks=SIZES)
    axes.set_xticks(SIZES, [str(size) for size in SIZES])
    axes.minorticks_off()
    axes.set_title(f"{environment()}; dotted: $N^3$ and $N^2 \\log N$", fontsize=8)
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    figure.savefig(Path(__file__).parent / "_static" / "ct_gram_growth.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
