"""Projection along the rays of a planar geometry and its transpose, where they are computed.

`project` and `backproject` are differentiable to any order in what they project. For derivatives in the geometry, of
first order, they take the rays' courses (`operators.ct.rays.courses`), which depend on it by plain torch.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from types import ModuleType

import torch

from operators.ct import reference
from operators.ct.rays import courses
from operators.linear_pair import Fixed, linear_pair

__all__ = ["HAS_TRITON", "backproject", "project", "rays", "takes_16_bits"]

# Triton 3.3, which takes tuples of tensors, comes with torch 2.7. (torch's version compares as a version, not as text.)
HAS_TRITON = importlib.util.find_spec("triton") is not None and torch.__version__ >= "2.7"


def rays(views: torch.Tensor, places: torch.Tensor, spacing: Sequence[float], size: Sequence[int]) -> Fixed:
    """What `project` and `backproject` take as a geometry.

    Parameters
    ----------
    views : torch.Tensor, shape (views, 9), float64
    places : torch.Tensor, shape (2, detectors), float64
    spacing : (float, float)
        Of rows and of columns, in the user's unit of length.
    size : (int, int)
        Height and width of the image.
    """
    return Fixed([views.detach(), places.detach()], list(spacing), list(size), [views.shape[0], places.shape[1]])


def takes_16_bits(device: torch.device) -> bool:
    """Whether images of 16 bits are taken as they are on a device: the sums then have 32."""
    return HAS_TRITON and device.type == "cuda"


def _on(device: torch.device) -> ModuleType:
    """Where it is computed: each module has `project`, `backproject` and `line_sums`."""
    if device.type == "cpu":
        from operators.ct import on_cpu

        return on_cpu
    if device.type == "cuda" and HAS_TRITON:
        from operators.ct import on_gpu

        return on_gpu
    return reference


def _project(images: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    return _on(images.device).project(images, fixed)


def _backproject(sinograms: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    return _on(sinograms.device).backproject(sinograms, fixed)


def _course_gradient(images: torch.Tensor, cotangents: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    """The gradient of ``<project(images), cotangents>`` in the courses of the rays."""
    views, places = fixed.tensors
    lengths = courses(views, places, fixed.numbers)[:, 2]
    values, across, across_rows = _on(images.device).line_sums(images, cotangents, fixed).unbind(-1)
    # A measurement is the length per row times the sum of the values at column + slope * row.
    return torch.stack([across * lengths, across_rows * lengths, values], 1)


project, backproject = linear_pair("ct_project", _project, _backproject, _course_gradient)
