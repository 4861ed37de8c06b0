"""The non-uniform Fourier transform under all of torch's transforms, also differentiated in its points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from operators.nufft_plans import plan_store

__all__ = ["nufft"]


def nufft(
    points: torch.Tensor,
    data: torch.Tensor,
    shape: Sequence[int],
    scale: float,
    tolerance: float,
    adjoint: bool,
    handle: int = 0,
) -> torch.Tensor:
    """``y[m] = scale sum_j x[j] exp(-2 pi i sum_d points[m, d] j_d / n_d)``, with j from ``-(n // 2)``, or its adjoint.

    Parameters
    ----------
    points : torch.Tensor, shape (M, d)
        In cycles per field of view, real.
    data : torch.Tensor, shape (B, *shape), or (B, M) if adjoint
        Complex, of 32 or 64 bits.
    shape : sequence of int
        Of the image, d of 1, 2 or 3 entries.
    scale, tolerance : float
    adjoint : bool
    handle : int
        Of the `PlanStore` in which plans for these points are kept.

    Returns
    -------
    torch.Tensor, shape (B, M), or (B, *shape) if adjoint
        Of the type of `data`.
    """
    return _call()(points, data, list(shape), scale, tolerance, adjoint, handle)


def _call() -> Any:
    return torch.ops.operators.nufft if torch.compiler.is_compiling() else _Product.apply


@torch.library.custom_op("operators::nufft", mutates_args=())
def _product(
    points: torch.Tensor,
    data: torch.Tensor,
    shape: Sequence[int],
    scale: float,
    tolerance: float,
    adjoint: bool,
    handle: int,
) -> torch.Tensor:
    if data.numel() == 0:
        return data.new_zeros((len(data), *shape) if adjoint else (len(data), len(points)))
    dtype = _working_dtype(data.dtype, shape, tolerance)
    plan = plan_store(handle).get(points, dtype, shape, len(data), tolerance)
    return plan.execute(data, adjoint).mul_(scale).to(data.dtype)


def _working_dtype(dtype: torch.dtype, shape: Sequence[int], tolerance: float) -> torch.dtype:
    """Double precision where the tolerance asks for it: points rounded to single move the phase by up to n eps.

    The transform itself loses some more, also for the smallest images.
    """
    is_enough = tolerance > 2 * max(*shape, 64) * torch.finfo(torch.float32).eps
    return dtype if is_enough else torch.complex128


@_product.register_fake
def _(points, data, shape, scale, tolerance, adjoint, handle):  # type: ignore[no-untyped-def]
    return data.new_empty((data.shape[0], *shape) if adjoint else (data.shape[0], points.shape[0]))


class _Product(torch.autograd.Function):
    """The custom operator with forward-mode differentiation and vmap, which `torch.library` does not have both.

    Every derivative is a transform again: that of ``exp(-2 pi i k j / n)`` in k is a multiplication of the image by
    the ramp ``-2 pi i j / n``.
    """

    @staticmethod
    def forward(points, data, *rest):  # type: ignore[no-untyped-def]
        return _product(points, data, *rest)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: torch.Tensor) -> None:
        points, data, *ctx.rest = inputs
        # The data matter to the derivative in the points alone.
        kept = (points, data) if points.requires_grad else (points,)
        ctx.save_for_backward(*kept)
        ctx.save_for_forward(points, data)

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> tuple:
        points, *data = ctx.saved_tensors
        shape, scale, tolerance, adjoint, handle = ctx.rest
        grad_points, grad_data = None, None
        if ctx.needs_input_grad[0]:
            image, samples = (g, data[0]) if adjoint else (data[0], g)
            grad_points = _gradient_in_points(points, image, samples, shape, scale, tolerance, handle)
        if ctx.needs_input_grad[1]:
            grad_data = _call()(points, g, shape, scale, tolerance, not adjoint, handle)
        return grad_points, grad_data, None, None, None, None, None

    @staticmethod
    def jvp(ctx: Any, dpoints: torch.Tensor | None, ddata: torch.Tensor | None, *_: Any) -> torch.Tensor:
        points, data = ctx.saved_tensors
        shape, scale, tolerance, adjoint, handle = ctx.rest

        def transformed(u: torch.Tensor) -> torch.Tensor:
            return _Product.apply(points, u, shape, scale, tolerance, adjoint, handle)

        terms = [] if ddata is None else [transformed(ddata)]
        if dpoints is not None:
            for ramp, moved in zip(_ramps(data, shape), dpoints.unbind(-1), strict=True):
                step = moved.to(data.dtype)
                terms.append(ramp.conj() * transformed(step * data) if adjoint else step * transformed(ramp * data))
        return sum(terms[1:], terms[0])

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple, points: torch.Tensor, data: torch.Tensor, *rest: Any
    ) -> tuple[torch.Tensor, int]:
        if in_dims[0] is not None:
            settings = rest[:-1]  # without the plans of an operator's own points
            all_points = points.movedim(in_dims[0], 0)
            all_data = data.movedim(in_dims[1], 0) if in_dims[1] is not None else [data] * info.batch_size
            pairs = zip(all_points, all_data, strict=True)
            return torch.stack([_Product.apply(p, each, *settings, 0) for p, each in pairs]), 0
        data = data.movedim(in_dims[1], 0)
        result = _Product.apply(points, data.flatten(0, 1), *rest)
        return result.unflatten(0, data.shape[:2]), 0


_product.register_autograd(_Product.backward, setup_context=_Product.setup_context)


def _gradient_in_points(
    points: torch.Tensor,
    image: torch.Tensor,
    samples: torch.Tensor,
    shape: Sequence[int],
    scale: float,
    tolerance: float,
    handle: int,
) -> torch.Tensor:
    """The gradient of ``Re <samples, A image>`` in the points of A, summed over the batch."""
    slopes = [_call()(points, ramp * image, shape, scale, tolerance, False, handle) for ramp in _ramps(image, shape)]
    return torch.stack([(samples.conj() * slope).real.sum(0) for slope in slopes], -1).to(points.dtype)


def _ramps(like: torch.Tensor, shape: Sequence[int]) -> list[torch.Tensor]:
    """``-2 pi i j_d / n_d`` for each dimension d, of shapes that broadcast over the image."""
    ramps = []
    for dim, n in enumerate(shape):
        index = torch.arange(n, device=like.device, dtype=like.real.dtype) - n // 2
        ramps.append((-2j * math.pi / n * index).reshape(-1, *(1 for _ in shape[dim + 1 :])))
    return ramps
