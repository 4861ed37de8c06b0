"""Projection of volumes along rays and its transpose, where they are computed.

`project_volume` and `backproject_volume` are differentiable to any order in what they project, and, if they are handed
them, of first order in the views.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import torch

from operators.ct import reference3d
from operators.ct.project import HAS_TRITON
from operators.linear_pair import Fixed, linear_pair

__all__ = ["backproject_volume", "project_volume", "volume_rays"]


def volume_rays(views: torch.Tensor, spacing: Sequence[float], size: Sequence[int], detectors: Sequence[int]) -> Fixed:
    """What `project_volume` and `backproject_volume` take as a geometry.

    Parameters
    ----------
    views : torch.Tensor, shape (views, 13), float64
    spacing : (float, float, float)
        Of slices, rows and columns, in the user's unit of length.
    size : (depth, height, width)
    detectors : (rows, columns)
    """
    return Fixed([views.detach()], list(spacing), list(size), [views.shape[0], *detectors])


def _on(device: torch.device) -> ModuleType:
    """Where it is computed: each module has `project`, `backproject` and `view_gradient`."""
    if device.type == "cpu":
        from operators.ct import on_cpu3d

        return on_cpu3d
    if device.type == "cuda" and HAS_TRITON:
        from operators.ct import on_gpu3d

        return on_gpu3d
    return reference3d


def _project(volumes: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    return _on(volumes.device).project(volumes, fixed)


def _backproject(measured: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    return _on(measured.device).backproject(measured, fixed)


def _view_gradient(volumes: torch.Tensor, cotangents: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    return _on(volumes.device).view_gradient(volumes, cotangents, fixed)


project_volume, backproject_volume = linear_pair("ct_project_volume", _project, _backproject, _view_gradient)
