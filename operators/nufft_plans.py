"""The plans by which finufft and cufinufft transform, made once for a set of points and reused."""

from __future__ import annotations

import itertools
import threading
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch

from operators.checks import check_finite
from operators.extras import require

__all__ = ["PlanStore", "plan_store"]

_KEPT = 4  # plans of one set of points: for different batch sizes and precisions

# finufft's tolerance is an estimate: its relative error (in the Euclidean norm) was met at up to 4.1 times of it.
_SAFETY = 5.0
_FINEST = 1e-15


class PlanStore:
    """The plans of one operator's points. Copies and pickles begin empty.

    Attributes
    ----------
    handle : int
        By which `plan_store` finds it: torch's custom operators take tensors and numbers alone.
    """

    def __init__(self) -> None:
        self.handle = next(_handles)
        self._lock = threading.Lock()
        self._plans: OrderedDict[tuple, Plan] = OrderedDict()
        _stores[self.handle] = self

    def get(self, points: torch.Tensor, dtype: torch.dtype, shape: Sequence[int], count: int, eps: float) -> Plan:
        """The plan for `count` transforms of an image of `shape` at a time."""
        if points.is_inference():  # its changes leave no trace by which an outdated plan could be told
            return Plan(points, dtype, shape, count, eps)
        # A plan works with the threads, or on the stream, that were current when it was made.
        place = torch.cuda.current_stream(points.device).cuda_stream if points.is_cuda else torch.get_num_threads()
        where = (points.data_ptr(), points._version, points.device, points.dtype, len(points))
        key = (where, dtype, tuple(shape), count, eps, place)
        with self._lock:
            if key in self._plans:
                self._plans.move_to_end(key)
                return self._plans[key]
            for other in [other for other in self._plans if other[0] != where]:
                del self._plans[other]  # of points as they were before
            plan = self._plans[key] = Plan(points, dtype, shape, count, eps)
            if len(self._plans) > _KEPT:
                self._plans.popitem(last=False)
            return plan

    def __reduce__(self) -> tuple:
        return PlanStore, ()


_handles = itertools.count(1)
_stores: weakref.WeakValueDictionary[int, PlanStore] = weakref.WeakValueDictionary()


def plan_store(handle: int) -> PlanStore:
    """The store of a handle; an empty one if there is none, or no longer."""
    return _stores.get(handle) or PlanStore()


class Plan:
    """A transform of type 2 (to the points), and its exact adjoint (type 1), with their points set.

    Parameters
    ----------
    points : torch.Tensor, shape (M, d)
        In cycles per field of view.
    dtype : torch.dtype
        The complex type of the computation.
    shape : sequence of int
        Of the image, d entries.
    count : int
        Images transformed at a time.
    tolerance : float
    """

    def __init__(
        self, points: torch.Tensor, dtype: torch.dtype, shape: Sequence[int], count: int, tolerance: float
    ) -> None:
        self.dtype = dtype
        self.image_shape, self.sample_shape = (count, *shape), (count, len(points))
        check_finite(points, "NUFFT", "points")  # also what training made of them: the library would crash
        self._points = points.detach()  # keeps the memory, so that no other points can have the same address
        self._lock = threading.Lock()  # a plan has one workspace
        turn = 2 * torch.pi / torch.tensor(shape, dtype=torch.float64, device=points.device)
        angles = (self._points.double() * turn).to(dtype.to_real()).T.contiguous()
        eps = max(tolerance / _SAFETY, _FINEST)
        make = _cuda_transforms if points.is_cuda else _cpu_transforms
        self._transforms = make(angles, dtype, tuple(shape), count, eps)

    def execute(self, data: torch.Tensor, adjoint: bool) -> torch.Tensor:
        """Transform images to samples, or back by the adjoint."""
        data = data.resolve_conj().resolve_neg().to(self.dtype).contiguous()
        out = torch.empty(self.image_shape if adjoint else self.sample_shape, dtype=self.dtype, device=data.device)
        with self._lock:
            if data.is_cuda:
                self._transforms[adjoint](data, out=out)
            else:
                self._transforms[adjoint](data.numpy(), out=out.numpy())
        return out


def _cpu_transforms(angles: torch.Tensor, dtype: torch.dtype, shape: tuple[int, ...], count: int, eps: float) -> Any:
    finufft = require("finufft", extra="mri")
    options: dict[str, Any] = {"nthreads": torch.get_num_threads(), "showwarn": 0}
    if dtype == torch.complex64:
        options["upsampfac"] = 1.25  # its FFTs of twice the size are four times as slow as those in double precision
    plan = finufft.Plan(2, shape, count, eps, -1, _name(dtype), **options)
    plan.setpts(*angles.numpy())
    return plan.execute, plan.execute_adjoint


def _cuda_transforms(angles: torch.Tensor, dtype: torch.dtype, shape: tuple[int, ...], count: int, eps: float) -> Any:
    cufinufft = require("cufinufft", extra="mri-cuda")
    options = {
        "gpu_device_id": angles.device.index,
        "gpu_stream": torch.cuda.current_stream(angles.device).cuda_stream,
        "upsampfac": 2.0,  # not chosen for each: they are each other's transpose only with the same kernel
    }
    plans = [cufinufft.Plan(kind, shape, count, eps, sign, _name(dtype), **options) for kind, sign in [(2, -1), (1, 1)]]
    for plan in plans:
        plan.setpts(*angles)
    return [plan.execute for plan in plans]


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
