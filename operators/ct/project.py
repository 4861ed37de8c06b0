"""Projection along the rays of a geometry and its transpose, under all of torch's transforms.

Both are differentiable to any order in what they project. For derivatives in the geometry, of first order, they take
the rays' `courses`: tensors that depend on the geometry by plain torch, to which the gradients are handed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from operators.ct import joseph

__all__ = ["backproject", "project"]


def project(
    images: torch.Tensor,
    views: torch.Tensor,
    places: torch.Tensor,
    spacing: Sequence[float],
    courses: torch.Tensor | None = None,
) -> torch.Tensor:
    """The line integrals of images.

    Parameters
    ----------
    images : torch.Tensor, shape (B, height, width), float32 or float64
    views : torch.Tensor, shape (views, 9), float64
    places : torch.Tensor, shape (2, detectors), float64
    spacing : (float, float)
        Of rows and of columns, in the user's unit of length.
    courses : torch.Tensor, shape (2, 3, views, detectors), optional
        Of the rays, as `operators.ct.rays.courses` makes them from the views: where gradients in the geometry go.

    Returns
    -------
    torch.Tensor, shape (B, views, detectors)
    """
    apply = torch.ops.operators.ct_project if torch.compiler.is_compiling() else _Project.apply
    return apply(images, courses, views.detach(), places, list(spacing))


def backproject(
    sinograms: torch.Tensor,
    size: Sequence[int],
    views: torch.Tensor,
    places: torch.Tensor,
    spacing: Sequence[float],
    courses: torch.Tensor | None = None,
) -> torch.Tensor:
    """The transpose of `project`: from (B, views, detectors) to images of shape ``(B, *size)``."""
    apply = torch.ops.operators.ct_backproject if torch.compiler.is_compiling() else _Backproject.apply
    return apply(sinograms, courses, views.detach(), places, list(spacing), list(size))


@torch.library.custom_op("operators::ct_project", mutates_args=())
def _project(
    images: torch.Tensor,
    courses: torch.Tensor | None,
    views: torch.Tensor,
    places: torch.Tensor,
    spacing: list[float],
) -> torch.Tensor:
    return joseph.project(images.contiguous(), views, places, spacing)


@_project.register_fake
def _(images, courses, views, places, spacing):  # type: ignore[no-untyped-def]
    return images.new_empty((images.shape[0], views.shape[0], places.shape[1]))


@torch.library.custom_op("operators::ct_backproject", mutates_args=())
def _backproject(
    sinograms: torch.Tensor,
    courses: torch.Tensor | None,
    views: torch.Tensor,
    places: torch.Tensor,
    spacing: list[float],
    size: list[int],
) -> torch.Tensor:
    return joseph.backproject(sinograms.contiguous(), views, places, spacing, size)


@_backproject.register_fake
def _(sinograms, courses, views, places, spacing, size):  # type: ignore[no-untyped-def]
    return sinograms.new_empty((sinograms.shape[0], *size))


@torch.library.custom_op("operators::ct_course_gradient", mutates_args=())
def _course_gradient(
    images: torch.Tensor, sinograms: torch.Tensor, views: torch.Tensor, places: torch.Tensor, spacing: list[float]
) -> torch.Tensor:
    """The gradient of ``<project(images), sinograms>`` in the courses of the rays."""
    return joseph.course_gradient(images.contiguous(), sinograms.contiguous(), views, places, spacing)


@_course_gradient.register_fake
def _(images, sinograms, views, places, spacing):  # type: ignore[no-untyped-def]
    return views.new_empty((2, 3, views.shape[0], places.shape[1]))


class _Project(torch.autograd.Function):
    """The custom operator with forward-mode differentiation and vmap, which `torch.library` does not have both."""

    @staticmethod
    def forward(images, courses, views, places, spacing):  # type: ignore[no-untyped-def]
        return _project(images, courses, views, places, spacing)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: torch.Tensor) -> None:
        images, courses, views, places, ctx.spacing = inputs
        ctx.size = list(images.shape[1:])
        # The image is needed for the gradient in the geometry only: without it, nothing of its size is kept.
        _keep(ctx, None if courses is None else images, courses, views, places)

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor | None) -> tuple:
        if g is None:
            return (None,) * 5
        images, courses, views, places = ctx.saved_tensors
        grad_images, grad_courses = None, None
        if ctx.needs_input_grad[0]:
            grad_images = backproject(g, ctx.size, views, places, ctx.spacing, courses)
        if ctx.needs_input_grad[1]:
            grad_courses = torch.ops.operators.ct_course_gradient(images, g, views, places, ctx.spacing)
        return grad_images, grad_courses, None, None, None

    @staticmethod
    def jvp(ctx: Any, dimages: torch.Tensor | None, dcourses: torch.Tensor | None, *_: Any) -> torch.Tensor:
        images = _only_tangent(dimages, dcourses)
        _, courses, views, places = ctx.saved_tensors
        return project(images, views, places, ctx.spacing, courses)

    @staticmethod
    def vmap(info: Any, in_dims: tuple, images: torch.Tensor, courses: Any, views: torch.Tensor, *rest: Any) -> tuple:
        return _over_batch(_Project, info, in_dims, images, courses, views, *rest)


class _Backproject(torch.autograd.Function):
    @staticmethod
    def forward(sinograms, courses, views, places, spacing, size):  # type: ignore[no-untyped-def]
        return _backproject(sinograms, courses, views, places, spacing, size)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: torch.Tensor) -> None:
        sinograms, courses, views, places, ctx.spacing, ctx.size = inputs
        _keep(ctx, None if courses is None else sinograms, courses, views, places)

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor | None) -> tuple:
        if g is None:
            return (None,) * 6
        sinograms, courses, views, places = ctx.saved_tensors
        grad_sinograms, grad_courses = None, None
        if ctx.needs_input_grad[0]:
            grad_sinograms = project(g, views, places, ctx.spacing, courses)
        if ctx.needs_input_grad[1]:
            grad_courses = torch.ops.operators.ct_course_gradient(g, sinograms, views, places, ctx.spacing)
        return grad_sinograms, grad_courses, None, None, None, None

    @staticmethod
    def jvp(ctx: Any, dsinograms: torch.Tensor | None, dcourses: torch.Tensor | None, *_: Any) -> torch.Tensor:
        sinograms = _only_tangent(dsinograms, dcourses)
        _, courses, views, places = ctx.saved_tensors
        return backproject(sinograms, ctx.size, views, places, ctx.spacing, courses)

    @staticmethod
    def vmap(info: Any, in_dims: tuple, sinograms: torch.Tensor, courses: Any, views: Any, *rest: Any) -> tuple:
        return _over_batch(_Backproject, info, in_dims, sinograms, courses, views, *rest)


def _keep(ctx: Any, *tensors: torch.Tensor | None) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*tensors)
    ctx.save_for_forward(*tensors)


def _only_tangent(tangent: torch.Tensor | None, dcourses: torch.Tensor | None) -> torch.Tensor:
    if tangent is None or dcourses is not None:
        raise NotImplementedError("a projection's geometry is differentiated in reverse mode, not in forward mode")
    return tangent


def _over_batch(function: Any, info: Any, in_dims: tuple, batch: torch.Tensor, *rest: Any) -> tuple[torch.Tensor, int]:
    """The vmapped dimension as one more of the batch; geometries that differ are taken one after the other."""
    if any(dim is not None for dim in in_dims[1:3]):
        samples = [
            _unbound(argument, dim, info.batch_size) for argument, dim in zip((batch, *rest), in_dims, strict=True)
        ]
        return torch.stack([function.apply(*sample) for sample in zip(*samples, strict=True)]), 0
    batch = batch.movedim(in_dims[0], 0)
    result = function.apply(batch.flatten(0, 1), *rest)
    return result.unflatten(0, batch.shape[:2]), 0


def _unbound(argument: Any, dim: int | None, size: int) -> Sequence[Any]:
    return [argument] * size if dim is None else argument.unbind(dim)


_project.register_autograd(_Project.backward, setup_context=_Project.setup_context)
_backproject.register_autograd(_Backproject.backward, setup_context=_Backproject.setup_context)
