"""Draws the geometries of tomography: ``python docs/draw_ct_geometry.py`` writes ``docs/_static/ct_geometry.svg``."""

import math
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np

matplotlib.rcParams |= {"svg.hashsalt": "ct", "font.size": 10, "font.family": "sans-serif"}

ANGLE = math.radians(35)
ALONG = np.array([math.cos(ANGLE), math.sin(ANGLE)])  # the direction in which the detectors are numbered
AWAY = np.array([-math.sin(ANGLE), math.cos(ANGLE)])  # from the source to the detector
BLUE, RED, GRAY = "#1f5fa8", "#b3352b", "#777777"


def draw_image(axes, title):
    """The pixels, the axis of rotation, x and y."""
    axes.set(xlim=(-8.6, 7.6), ylim=(-8.4, 8.4), title=title)
    axes.set_aspect("equal")
    axes.axis("off")
    for k in range(7):
        axes.plot([-3, 3], [k - 3, k - 3], color="#d8d8d8", linewidth=0.8, zorder=0)
        axes.plot([k - 3, k - 3], [-3, 3], color="#d8d8d8", linewidth=0.8, zorder=0)
    axes.plot([-3, 3, 3, -3, -3], [3, 3, -3, -3, 3], color=GRAY, linewidth=1)
    axes.text(-2.95, 3.12, "pixel (0, 0)", color=GRAY, fontsize=8)
    axes.plot(-2.5, 2.5, "s", color=GRAY, markersize=5)
    arrow(axes, (0, 0), (4.3, 0), GRAY)
    arrow(axes, (0, 0), (0, 4.3), GRAY)
    axes.text(4.4, -0.55, "$x$ (columns)", color=GRAY)
    axes.text(0.2, 4.45, "$y$ (against the rows)", color=GRAY)
    axes.plot(0, 0, "o", color="black", markersize=5)


def arrow(axes, start, stop, color, style="-|>"):
    """An arrow between two points."""
    axes.annotate("", xy=stop, xytext=start, arrowprops={"arrowstyle": style, "color": color, "linewidth": 1.3})


def draw_angle(axes, start, radius):
    """The arc of the angle t from a direction to the one that is turned by it."""
    turn = np.linspace(start, start + ANGLE, 40)
    axes.plot(radius * np.cos(turn), radius * np.sin(turn), color="black", linewidth=1)
    middle = start + ANGLE / 2
    axes.text(1.22 * radius * math.cos(middle), 1.22 * radius * math.sin(middle), "$t$", ha="center", va="center")


def draw_detector(axes, places):
    """Detectors as ticks on their line, the first and the last with their numbers."""
    axes.plot(*places.T, color=BLUE, linewidth=2)
    axes.plot(*places.T, "o", color=BLUE, markersize=4)
    for place, label in ((places[0], "detector 0"), (places[-1], "last detector")):
        axes.text(*(place + 0.35 * AWAY), label, color=BLUE, ha="center", rotation=35, rotation_mode="anchor")


def draw_parallel(axes):
    """Parallel rays."""
    draw_image(axes, "ParallelBeam")
    places = 5.4 * AWAY + 1.4 * np.arange(-2, 3)[:, None] * ALONG
    for place in places:
        arrow(axes, place - 10.4 * AWAY, place, RED)
    draw_detector(axes, places)
    arrow(axes, (0, 0), 5.0 * ALONG, BLUE)
    axes.text(*(5.15 * ALONG), r"$(\cos t,\ \sin t)$", color=BLUE)
    draw_angle(axes, 0, 2.0)
    arrow(axes, -4.4 * AWAY, 2.8 * ALONG - 4.4 * AWAY, "black", "<|-|>")
    axes.text(*(2.1 * ALONG - 4.95 * AWAY), "$s_d$", ha="center", va="center")


def draw_fan(axes):
    """A fan on a flat detector, and where a curved one is."""
    draw_image(axes, "FanBeam")
    source, middle = -6.2 * AWAY, 5.4 * AWAY
    places = middle + 2.4 * np.arange(-2, 3)[:, None] * ALONG
    for place in places:
        arrow(axes, source, place, RED)
    draw_detector(axes, places)
    fan = np.linspace(-0.47, 0.47, 50)[:, None]
    arc = source + 11.6 * (np.cos(fan) * AWAY + np.sin(fan) * ALONG)
    axes.plot(*arc.T, color=BLUE, linestyle="--", linewidth=1.2)
    axes.text(*(arc[-1] + (0.15, 0)), "curved", color=BLUE, va="center")
    axes.plot(*source, "o", color=RED, markersize=7)
    axes.text(source[0] - 1.0, source[1] - 0.8, r"source at $R\,(\sin t,\ -\cos t)$", color=RED)
    axes.plot(*np.array([source, middle]).T, color="black", linewidth=0.8, linestyle=":")
    arrow(axes, source - 5.2 * ALONG, -5.2 * ALONG, "black", "<|-|>")
    arrow(axes, -5.2 * ALONG, middle - 5.2 * ALONG, "black", "<|-|>")
    for end in (source, np.zeros(2)):
        axes.plot(*np.array([end, end - 5.4 * ALONG]).T, color="black", linewidth=0.5, linestyle=":")
    axes.text(*(source / 2 - 5.5 * ALONG), "$R$: source_distance", ha="right", va="center")
    axes.text(*(middle / 2 - 5.5 * ALONG), "$D$: detector_distance", ha="right", va="center")
    draw_angle(axes, -math.pi / 2, 2.0)
    axes.plot([0, 0], [0, -2.4], color="black", linewidth=0.8, linestyle=":")


def main():
    """Write the drawing."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 6.4), layout="constrained")
    draw_parallel(left)
    draw_fan(right)
    path = Path(__file__).parent / "_static" / "ct_geometry.svg"
    figure.savefig(path, metadata={"Date": None}, bbox_inches="tight", pad_inches=0.1)


if __name__ == "__main__":
    main()
