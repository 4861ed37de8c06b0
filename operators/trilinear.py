"""Makes of compiled code for a trilinear form three bilinear maps that all of torch's transforms take.

A map ``y = C(x, w)`` that is linear in the image and in its parameters is one of the three that come from the form
``<y, C(x, w)>`` by leaving out one argument; the others are its transpose and the gradient in its parameters. The
derivatives of each are the other two, so all are differentiable to any order in either argument.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from operators.plain import is_plain

__all__ = ["BilinearMap", "trilinear_form"]

Kernel = Callable[[torch.Tensor, torch.Tensor, Sequence[torch.Tensor], Sequence[int]], torch.Tensor]
Sizes = Callable[[Sequence[int]], tuple[Sequence[int], ...]]


class BilinearMap:
    """One of the maps that `trilinear_form` makes, which takes two of image, parameters and result to the third."""

    def __init__(self, kernel: Kernel, op: Any, roles: tuple[int, int, int]) -> None:
        self.kernel, self.op = kernel, op
        self.roles = roles  # of the arguments and of the value: 0 of an image, 1 of the parameters, 2 of a result
        self.by_role: dict[int, BilinearMap] = {}  # the form's maps, by the roles of their values

    def __call__(
        self, u: torch.Tensor, v: torch.Tensor, tensors: Sequence[torch.Tensor], numbers: Sequence[int]
    ) -> torch.Tensor:
        """Apply the map.

        Parameters
        ----------
        u, v : torch.Tensor
            The arguments, in the order image, parameters, result; images and results with any batch.
        tensors : sequence of torch.Tensor
            What the form depends on and is not differentiated in.
        numbers : sequence of int
            Likewise.
        """
        if torch.compiler.is_compiling():
            return self.op(u, v, list(tensors), list(numbers))
        if is_plain(u, v):
            return self.kernel(_detached(u), _detached(v), tensors, numbers)
        return _Apply.apply(u, v, self, tuple(numbers), *tensors)

    def gradients(self, g: torch.Tensor, ctx: Any) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """The gradients of ``Re <g, map(u, v)>`` in u and in v."""
        u, v, *tensors = ctx.saved_tensors

        def gradient(index: int, other: torch.Tensor) -> torch.Tensor | None:
            if not ctx.needs_input_grad[index]:
                return None
            given = {self.roles[1 - index]: other.conj(), self.roles[2]: g}
            wanted = self.by_role[self.roles[index]]
            return wanted(given[wanted.roles[0]], given[wanted.roles[1]], tensors, ctx.numbers)

        return gradient(0, v), gradient(1, u)


def trilinear_form(
    name: str, result: Kernel, transpose: Kernel, gradient: Kernel, sizes: Sizes
) -> tuple[BilinearMap, BilinearMap, BilinearMap]:
    """The three maps of a form that is linear, without conjugation, in image, parameters and result.

    Parameters
    ----------
    name : str
        Of the custom operator; those of the others end in ``_transpose`` and ``_gradient``.
    result, transpose, gradient : callable
        Take (image, parameters), (parameters, result) and (image, result), each followed by the tensors and the numbers
        that the form depends on, and return a new tensor.
    sizes : callable
        From the numbers: the sizes of an image, of the parameters and of a result, without the batch.

    Returns
    -------
    three of BilinearMap
    """
    roles = {"": (0, 1, 2), "_transpose": (1, 2, 0), "_gradient": (0, 2, 1)}
    kernels = zip(roles.items(), (result, transpose, gradient), strict=True)
    maps = [BilinearMap(kernel, _op(name + suffix, kernel, sizes, each), each) for (suffix, each), kernel in kernels]
    for each in maps:
        each.by_role = {other.roles[2]: other for other in maps}
        each.op.register_autograd(_compiled_backward(each), setup_context=_compiled_context)
    return maps[0], maps[1], maps[2]


def _op(name: str, kernel: Kernel, sizes: Sizes, roles: tuple[int, int, int]) -> Any:
    def fake(u, v, tensors, numbers):  # type: ignore[no-untyped-def]
        size = sizes(numbers)
        if roles[2] == 1:
            return u.new_empty(size[1])
        images, role = (v, roles[1]) if roles[0] == 1 else (u, roles[0])
        return u.new_empty((*images.shape[: images.ndim - len(size[role])], *size[roles[2]]))

    schema = "(Tensor u, Tensor v, Tensor[] tensors, int[] numbers) -> Tensor"
    op = torch.library.custom_op(f"operators::{name}", kernel, mutates_args=(), schema=schema)
    op.register_fake(fake)
    return op


class _Apply(torch.autograd.Function):
    """The map with forward-mode differentiation and vmap, which `torch.library` does not have both."""

    @staticmethod
    def forward(u, v, bilinear_map, numbers, *tensors):  # type: ignore[no-untyped-def]
        return (bilinear_map.kernel if is_plain(u, v) else bilinear_map.op)(u, v, list(tensors), numbers)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: torch.Tensor) -> None:
        u, v, ctx.map, ctx.numbers, *tensors = inputs
        # What is linear in one argument needs that for the gradient in the other alone.
        needs_u, needs_v = ctx.needs_input_grad[:2]
        ctx.save_for_backward(u if needs_v else None, v if needs_u else None, *tensors)
        ctx.save_for_forward(u, v, *tensors)

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> tuple:
        return *ctx.map.gradients(g, ctx), None, None, *(None for _ in ctx.saved_tensors[2:])

    @staticmethod
    def jvp(ctx: Any, du: torch.Tensor | None, dv: torch.Tensor | None, *_: Any) -> torch.Tensor:
        u, v, *tensors = ctx.saved_tensors
        terms = [] if du is None else [ctx.map(du, v, tensors, ctx.numbers)]
        if dv is not None:
            terms.append(ctx.map(u, dv, tensors, ctx.numbers))
        return sum(terms[1:], terms[0])

    @staticmethod
    def vmap(info: Any, in_dims: tuple, u: torch.Tensor, v: torch.Tensor, bilinear_map: Any, *rest: Any) -> tuple:
        *_, value = bilinear_map.roles
        index = 1 if bilinear_map.roles[0] == 1 else 0  # of the images
        if value != 1 and in_dims[1 - index] is None:  # one map for all images: a larger batch
            pair = [u, v]
            pair[index] = pair[index].movedim(in_dims[index], 0)
            return _Apply.apply(*pair, bilinear_map, *rest), 0
        each = [
            [t] * info.batch_size if dim is None else t.unbind(dim) for t, dim in zip((u, v), in_dims[:2], strict=True)
        ]
        return torch.stack([_Apply.apply(*pair, bilinear_map, *rest) for pair in zip(*each, strict=True)]), 0


def _detached(t: torch.Tensor) -> torch.Tensor:
    return t.detach() if t.requires_grad else t


def _compiled_context(ctx: Any, inputs: tuple, output: torch.Tensor) -> None:
    u, v, tensors, ctx.numbers = inputs
    ctx.save_for_backward(u, v, *tensors)


def _compiled_backward(bilinear_map: BilinearMap) -> Callable:
    def backward(ctx: Any, g: torch.Tensor) -> tuple:
        return *bilinear_map.gradients(g, ctx), [None for _ in ctx.saved_tensors[2:]], None

    return backward
