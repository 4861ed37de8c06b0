"""Makes of compiled code for a linear map and its transpose two functions that all of torch's transforms take.

Both are custom operators of `torch.library`, so that `torch.compile` keeps them whole. Outside of it they are called by
an `autograd.Function`, which has forward-mode differentiation and vmap as well; `torch.library` does not have both.
Where torch only computes they are called as they are.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from operators.plain import is_plain

__all__ = ["Fixed", "LinearMap", "linear_pair"]


class Fixed(NamedTuple):
    """What a linear map depends on and is not differentiated in.

    Attributes
    ----------
    tensors : list of torch.Tensor
    numbers : list of float
    in_size, out_size : list of int
        The map takes ``(B, *in_size)`` to ``(B, *out_size)``, and its transpose back.
    """

    tensors: list[torch.Tensor]
    numbers: list[float]
    in_size: list[int]
    out_size: list[int]


Kernel = Callable[[torch.Tensor, Fixed], torch.Tensor]
Gradient = Callable[[torch.Tensor, torch.Tensor, Fixed], torch.Tensor]


@dataclasses.dataclass(eq=False)
class LinearMap:
    """A linear map or a transpose, as `linear_pair` makes them, differentiable to any order in its argument."""

    kernel: Kernel
    op: Any
    gradient_op: Any
    is_transpose: bool
    other: LinearMap | None = None

    def __call__(self, x: torch.Tensor, fixed: Fixed, learnable: torch.Tensor | None = None) -> torch.Tensor:
        """Apply the map.

        Parameters
        ----------
        x : torch.Tensor, shape ``(B, *in_size)``, of a transpose ``(B, *out_size)``
        fixed : Fixed
        learnable : torch.Tensor, optional
            What the pair's `gradient` is the gradient in. It is handed gradients of first order; the map's value
            depends on `fixed` alone.

        Returns
        -------
        torch.Tensor, shape ``(B, *out_size)``, of a transpose ``(B, *in_size)``
        """
        if torch.compiler.is_compiling():
            return self.op(x, learnable, *fixed)
        if is_plain(x, *(() if learnable is None else (learnable,))):
            return self.kernel(x.detach().contiguous(), fixed)
        return _Apply.apply(x, learnable, self, *fixed.tensors, fixed._replace(tensors=[]))

    def gradients(
        self, g: torch.Tensor, x: torch.Tensor | None, learnable: torch.Tensor | None, fixed: Fixed
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The gradients of ``<map(x), g>`` in `x` and in what is learnable, for which alone `x` is needed."""
        assert self.other is not None
        grad_x = self.other(g, fixed, learnable)
        if learnable is None or x is None:
            return grad_x, None
        return grad_x, self.gradient_op(*((g, x) if self.is_transpose else (x, g)), learnable, *fixed)


def linear_pair(
    name: str, forward: Kernel, transpose: Kernel, gradient: Gradient | None = None
) -> tuple[LinearMap, LinearMap]:
    """A linear map and its transpose.

    Parameters
    ----------
    name : str
        Of the custom operator; that of the transpose ends in ``_transpose``.
    forward, transpose : callable
        Take a contiguous batch and what is `Fixed`, and return a new batch; each other's exact transpose.
    gradient : callable, optional
        The gradient of ``<forward(x), y>`` in a learnable tensor, from x, y and what is `Fixed`: a new tensor of its
        shape and type.

    Returns
    -------
    two of LinearMap
    """
    forward, transpose = _on_its_device(forward), _on_its_device(transpose)
    gradient_op = None if gradient is None else _gradient_op(name, _on_its_device(gradient))
    first = LinearMap(forward, _map_op(name, forward, False), gradient_op, False)
    second = LinearMap(transpose, _map_op(f"{name}_transpose", transpose, True), gradient_op, True)
    first.other, second.other = second, first
    for each in (first, second):
        each.op.register_autograd(_compiled_backward(each), setup_context=_compiled_context)
    return first, second


def _on_its_device(kernel: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """The function with the GPU that holds its first argument as the current one: on that, kernels are launched."""

    @functools.wraps(kernel)
    def run(x: torch.Tensor, *others: Any) -> torch.Tensor:
        if not x.is_cuda:
            return kernel(x, *others)
        with torch.cuda.device(x.device):
            return kernel(x, *others)

    return run


def _map_op(name: str, kernel: Kernel, is_transpose: bool) -> Any:
    def run(x, learnable, *fixed):  # type: ignore[no-untyped-def]
        return kernel(x.contiguous(), Fixed(*fixed))

    def fake(x, learnable, tensors, numbers, in_size, out_size):  # type: ignore[no-untyped-def]
        return x.new_empty((x.shape[0], *(in_size if is_transpose else out_size)))

    op = torch.library.custom_op(f"operators::{name}", run, mutates_args=(), schema=f"({_ARGUMENTS}) -> Tensor")
    op.register_fake(fake)
    return op


def _gradient_op(name: str, gradient: Gradient) -> Any:
    def run(x, y, learnable, *fixed):  # type: ignore[no-untyped-def]
        return gradient(x.contiguous(), y.contiguous(), Fixed(*fixed)).reshape(learnable.shape)

    def fake(x, y, learnable, *fixed):  # type: ignore[no-untyped-def]
        return torch.empty_like(learnable)

    schema = f"(Tensor x, Tensor y, Tensor learnable, {_FIXED}) -> Tensor"
    op = torch.library.custom_op(f"operators::{name}_gradient", run, mutates_args=(), schema=schema)
    op.register_fake(fake)
    return op


_FIXED = "Tensor[] tensors, float[] numbers, SymInt[] in_size, SymInt[] out_size"
_ARGUMENTS = f"Tensor x, Tensor? learnable, {_FIXED}"


class _Apply(torch.autograd.Function):
    """``apply(x, learnable, map, *tensors, the rest of what is fixed)``: torch does not look for tensors in lists."""

    @staticmethod
    def forward(x, learnable, linear_map, *fixed):  # type: ignore[no-untyped-def]
        if is_plain(x):
            return linear_map.kernel(x.contiguous(), _joined(fixed))
        return linear_map.op(x, learnable, *_joined(fixed))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: torch.Tensor) -> None:
        x, learnable, ctx.map, *tensors, ctx.rest = inputs
        ctx.set_materialize_grads(False)
        # The argument is needed for the gradient in what is learnable only: else nothing of its size is kept.
        ctx.save_for_backward(None if learnable is None else x, learnable, *tensors)
        ctx.save_for_forward(None, learnable, *tensors)

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor | None) -> tuple:
        x, learnable, *tensors = ctx.saved_tensors
        gradients = (None, None)
        if g is not None:
            gradients = ctx.map.gradients(g, x, learnable, ctx.rest._replace(tensors=tensors))
        return *gradients, None, *(None for _ in tensors), None

    @staticmethod
    def jvp(ctx: Any, dx: torch.Tensor | None, dlearnable: torch.Tensor | None, *_: Any) -> torch.Tensor:
        if dx is None or dlearnable is not None:
            raise NotImplementedError("a geometry is differentiated in reverse mode, not in forward mode")
        _, learnable, *tensors = ctx.saved_tensors
        return ctx.map(dx, ctx.rest._replace(tensors=tensors), learnable)

    @staticmethod
    def vmap(info: Any, in_dims: tuple, x: torch.Tensor, *others: Any) -> tuple[torch.Tensor, int]:
        # The last is not a tensor, and its dimensions are a tuple of Nones.
        if any(dim is not None for dim in in_dims[1:-1]):  # maps that differ are applied one after the other
            each = [_unbound(*pair, info.batch_size) for pair in zip((x, *others[:-1]), in_dims[:-1], strict=True)]
            return torch.stack([_Apply.apply(*sample, others[-1]) for sample in zip(*each, strict=True)]), 0
        x = x.movedim(in_dims[0], 0)
        return _Apply.apply(x.flatten(0, 1), *others).unflatten(0, x.shape[:2]), 0


def _joined(fixed: tuple) -> Fixed:
    *tensors, rest = fixed
    return rest._replace(tensors=list(tensors))


def _unbound(argument: Any, dim: int | None, size: int) -> list[Any]:
    return [argument] * size if dim is None else list(argument.unbind(dim))


def _compiled_context(ctx: Any, inputs: tuple, output: torch.Tensor) -> None:
    x, learnable, tensors, ctx.numbers, ctx.in_size, ctx.out_size = inputs
    ctx.save_for_backward(None if learnable is None else x, learnable, *tensors)


def _compiled_backward(linear_map: LinearMap) -> Callable:
    def backward(ctx: Any, g: torch.Tensor) -> tuple:
        x, learnable, *tensors = ctx.saved_tensors
        fixed = Fixed(tensors, ctx.numbers, ctx.in_size, ctx.out_size)
        return *linear_map.gradients(g, x, learnable, fixed), [None for _ in tensors], None, None, None

    return backward
