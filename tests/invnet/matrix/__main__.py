"""The table of the documentation: measure what is missing, and write the page."""

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path

import torch

from tests.invnet.matrix.recipes import RECIPES, measured
from tests.invnet.matrix.scenes import OPERATORS, error, scene

__all__ = ["DOCS", "FAMILIES", "page"]

DOCS = Path(__file__).parents[3] / "docs/explanation"


def environment() -> str:
    return f"torch {torch.__version__}, one core, {torch.backends.cpu.get_cpu_capability()}"


def fill(path: Path, size: int) -> dict:
    """Measure the cells that the file lacks, and write it after each."""
    results = json.loads(path.read_text()) if path.exists() else {"size": size, "environment": "", "cells": {}}
    if results["size"] != size:
        raise SystemExit(f"{path} holds a table of size {results['size']}: remove it to measure another")
    results["environment"] = environment()
    for recipe in RECIPES:
        row = results["cells"].setdefault(recipe, {})
        for name in OPERATORS:
            if name in row:
                continue
            s = scene(name, size, True)
            image, preparation, seconds = measured(recipe, s)
            decibels = -10 * math.log10(error(image, s))
            row[name] = {"psnr": round(decibels, 2), "training": round(preparation, 1), "seconds": round(seconds, 2)}
            path.write_text(json.dumps(results, indent=1) + "\n")
            print(f"{recipe:30}{name:22}{decibels:8.2f} dB{seconds:9.2f} s", flush=True)
    return results


FAMILIES = {
    "photographs": ("denoise", "deblur", "inpaint", "average pooling", "bicubic", "colorise"),
    "MRI, tomography, and a user's own operator": (
        "Cartesian MRI",
        "Cartesian MRI, coils",
        "radial MRI",
        "parallel beam",
        "fan beam",
        "cone beam",
        "a user's own",
    ),
}


def tables(results: dict, title: str, value: Callable[[dict], str]) -> list[str]:
    """One table for each family of physics, so that none is wider than a page."""
    return [line for family, names in FAMILIES.items() for line in table(results, f"{title}: {family}", names, value)]


def table(results: dict, title: str, names: tuple[str, ...], value: Callable[[dict], str]) -> list[str]:
    rows = [["", *names]]
    for recipe in RECIPES:
        row = results["cells"].get(recipe, {})
        rows.append([recipe, *(value(row[name]) if name in row else "" for name in names)])
    lines = ["   " + ",".join(f'"{cell}"' for cell in row) for row in rows]
    return [f".. csv-table:: {title}", "   :header-rows: 1", "   :stub-columns: 1", "", *lines, ""]


def page(results: dict) -> str:
    """The documentation's page of the table."""
    size = results["size"]
    incomplete = any(len(results["cells"].get(recipe, {})) < len(OPERATORS) for recipe in RECIPES)
    return "\n".join(
        [
            "Every reconstructor with every physics",
            "======================================",
            "",
            ".. This page is written by ``python -m tests.invnet.matrix``.",
            "",
            f"Photographs of {size}x{size} pixels in [0, 1] (for the cone beam volumes of 4 slices and half that size)",
            "with Gaussian noise of 3 % of the data's size (10 % for denoise and colorise). One setting serves all",
            "columns: the table shows that everything goes with everything, not which method is best.",
            "",
            '- ``invnet.pretrained("denoiser-gray")`` is the denoiser of PlugAndPlay (half-quadratic splitting and',
            "  ADMM), RED and the samplers. Slices, real and imaginary parts go through it one by one; of colours it",
            "  knows that they are nearly grey. Of the samplers the mean of four samples is judged. DPS takes 40",
            "  levels, where its authors take 1000.",
            "- Total variation is the denoiser of proximal gradients: with a network, which need not be a contraction,",
            "  they diverge in some columns, and say so. For colours it is that of luminance and chrominance together",
            "  (:doc:`/how_to/own_prior`): that of red, green and blue is least for greenish colours, the smallest of",
            "  one luminance. A grey image hardly tells colours: what was not trained on others takes off the noise,",
            "  and leaves it grey, but for DeepImagePrior, whose tints are chance.",
            "- The networks of PostProcess, Unrolled and LearnedPrimalDual are small, and were trained for 60 to 150",
            "  steps on two measurements each of eight other photographs. LearnedPrimalDual begins with the direct",
            "  inverse, as Unrolled does: from zeros on, as in the original, so short a training does not get there.",
            "- The autoencoder of LatentMAP was trained for 500 steps on patches of these photographs. Its latent",
            "  field has as many numbers as the image, for volumes half as many.",
            "",
            *(["An empty cell was not measured yet.", ""] if incomplete else []),
            *tables(results, "PSNR in dB", lambda cell: f"{cell['psnr']:.1f}"),
            *tables(results, "Seconds, on one processor core", lambda cell: f"{cell['seconds']:.2g}"),
            f"Measured with {results['environment']}; seconds of the processor, not of the clock.",
            "",
        ]
    )


def main() -> None:
    """Measure what is missing, and write the page."""
    parser = argparse.ArgumentParser(description="The table of every reconstructor with every physics.")
    parser.add_argument("--size", type=int, default=64, help="pixels along a side (default: 64)")
    parser.add_argument("--page-only", action="store_true", help="measure nothing, write the page anew")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    path = DOCS / "matrix.json"
    results = json.loads(path.read_text()) if arguments.page_only else fill(path, arguments.size)
    (DOCS / "matrix.rst").write_text(page(results))
    print(f"{DOCS / 'matrix.rst'}")


if __name__ == "__main__":
    main()
