"""Parallel-beam scans."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import numpy as np
import torch

import operators
from invnet.data import TomographyScan
from invnet_cli.problem import Content, Problem, Problems, chosen, load, typical_largest
from invnet_cli.settings import Settings
from operators.ct import find_detector_offset

__all__ = ["parallel_beam_problems"]

_STRENGTH = 10.0


def parallel_beam_problems(content: Content, settings: Settings) -> Problems:
    """The rows of a scan."""
    if isinstance(content, TomographyScan):
        sinograms, angles = content.sinogram, content.angles
        angles = angles if settings.angles is None else _angles(settings.angles, len(angles))
    elif isinstance(content, torch.Tensor) and not content.is_complex():
        sinograms = content if content.dtype == torch.float64 else content.float()
        if settings.angles is None:
            raise ValueError("line integrals take --angles, in degrees: START:STOP, or a file with one for each view")
        angles = _angles(settings.angles, sinograms.shape[-2] if sinograms.ndim > 1 else 0)
    else:
        raise ValueError("parallel-beam takes a DXchange scan, or real line integrals (views, detectors)")
    # Axis and scale by all rows, so that a row alone comes out as among the others.
    every_row, _ = chosen(sinograms, 2, None)
    rows, count = chosen(sinograms, 2, settings.slice)
    detectors = rows.shape[-1]
    middle = (detectors - 1) / 2
    axis = middle - find_detector_offset(every_row, angles).median().item() if settings.axis is None else settings.axis
    if not 0 <= axis <= detectors - 1:
        raise ValueError(
            f"the rotation axis would be at detector {axis:.1f} of {detectors}: is the whole object in view, in all "
            "views? give it by --axis"
        )
    offset = middle - axis
    size = settings.size or max(1, 2 * math.floor(min(axis, detectors - 1 - axis)) + 1)
    operator = operators.ParallelBeam((size, size), angles, detectors, detector_offset=offset)
    scale = typical_largest(operator.direct_inverse(every_row[len(every_row) // 2]))

    def make(number: int) -> Problem:
        sigma = _noise(rows[number]) if settings.sigma is None else settings.sigma
        measurement = rows[number] / scale
        return Problem(measurement, operator, max(sigma, 1e-6) / scale, scale, _STRENGTH, bounds=(0, math.inf))

    note = f"{len(angles)} views of {detectors} detectors; the rotation axis is at detector {axis:.2f}"
    return Problems(count, make, notes=(note,))


def _angles(text: str, views: int) -> torch.Tensor:
    """Angles in radians: from START:STOP in degrees, the stop not included, or from a file in degrees."""
    start, separator, stop = text.partition(":")
    if separator and not Path(text).exists():
        try:
            first, last = float(start), float(stop)
        except ValueError:
            raise ValueError(f"--angles takes START:STOP in degrees or a file, got {text!r}") from None
        degrees = torch.from_numpy(np.linspace(first, last, views, endpoint=False))
    else:
        path = Path(text)
        if not path.is_file():
            raise ValueError(f"--angles takes START:STOP in degrees or a file, and there is no file {text!r}")
        if path.suffix == ".txt":
            degrees = torch.from_numpy(np.atleast_1d(np.loadtxt(path, ndmin=1)))
        else:
            loaded = load(path, None)
            if not isinstance(loaded, torch.Tensor):
                raise ValueError(f"{text} holds no angles")
            degrees = loaded.double()
    if degrees.shape != (views,) or not bool(torch.isfinite(degrees).all()):
        raise ValueError(f"--angles gives {tuple(degrees.shape)} angles, and the scan has {views} views")
    largest = degrees.abs().max().item()
    if views > 1 and largest <= 2 * math.pi:
        warnings.warn(f"--angles takes degrees; the largest of {largest:.4g} looks like radians", stacklevel=2)
    return torch.deg2rad(degrees)


def _noise(sinogram: torch.Tensor) -> float:
    """The noise's standard deviation, from second differences along the detector, in which smooth profiles vanish."""
    differences = sinogram[:, :-2] - 2 * sinogram[:, 1:-1] + sinogram[:, 2:]
    return differences.abs().median().item() / 0.6745 / math.sqrt(6) if differences.numel() else 0.0
