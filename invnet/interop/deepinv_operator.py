"""The operator of a deepinv physics."""

from __future__ import annotations

from itertools import chain
from typing import Any

import torch

from invnet.interop.channels import as_channels, as_complex
from operators.extras import require
from operators.interop.foreign import Foreign, ForeignOperator, computed
from operators.linear_pair import LinearMap
from operators.transpose import transpose

__all__ = ["DeepinvOperator"]


class DeepinvOperator(ForeignOperator):
    """The operator of a deepinv physics, as `from_deepinv` makes it.

    Parameters
    ----------
    physics : deepinv.physics.LinearPhysics
    img_size : tuple of int
    """

    foreign: _FromDeepinv

    def __init__(self, physics: Any, img_size: tuple[int, ...]) -> None:
        mri = require("deepinv.physics.mri", extra="deepinv")
        takes_complex = isinstance(physics, mri.MRIMixin)
        if takes_complex and img_size[0] != 2:
            raise ValueError(f"from_deepinv: {type(physics).__name__} has images of two channels, got {img_size}")
        measured = _measured(physics, img_size)
        foreign = _FromDeepinv(physics, takes_complex, takes_complex or measured.is_complex())
        foreign.settle(img_size, measured)
        data = as_complex(measured, foreign.name) if foreign.splits_data else measured
        super().__init__(foreign, img_size[1:] if takes_complex else img_size, data.shape[1:])
        self.physics = physics  # a submodule, which moves and is stored with the operator

    def _check_device(self, x: torch.Tensor) -> None:
        for tensor in chain(self.physics.parameters(), self.physics.buffers()):
            if tensor.ndim and tensor.device != x.device:
                raise ValueError(f"{self.name}: takes a tensor on its device {tensor.device}, got {x.device}")

    def _call(self, linear_map: LinearMap, x: torch.Tensor) -> torch.Tensor:
        if self._is_differentiated:
            return computed(self.foreign, x, self._fixed, adjoint=linear_map.is_transpose)
        return super()._call(linear_map, x)

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return super()._adjoint(y) if self.foreign.has_exact_adjoint else transpose(self, y)

    @property
    def _is_differentiated(self) -> bool:
        """Whether deepinv's code itself is: for gradients in its parameters, or for want of an exact adjoint."""
        tensors = chain(self.physics.parameters(), self.physics.buffers())
        return not self.foreign.has_exact_adjoint or any(tensor.requires_grad for tensor in tensors)


class _FromDeepinv(Foreign):
    """A physics on batches, in the precision of its input where its code allows that.

    Attributes
    ----------
    splits_data : bool
        Whether complex data are two channels.
    precision : torch.dtype or None
        In which alone it computes.
    has_exact_adjoint : bool
        Whether its adjoint is the transpose of its map, to rounding.
    """

    library = "deepinv"
    splits_data = False
    precision: torch.dtype | None = None
    has_exact_adjoint = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self._applied("A", as_channels(x) if self.takes_complex else x)
        return as_complex(y, self.name) if self.splits_data else y

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        x = self._applied("A_adjoint", as_channels(y) if self.splits_data else y)
        return as_complex(x, self.name) if self.takes_complex else x

    def settle(self, img_size: tuple[int, ...], measured: torch.Tensor) -> None:
        """Find out what the physics promises nowhere, on random numbers."""
        self.splits_data = self.gives_complex and not measured.is_complex()
        generator = torch.Generator().manual_seed(1)
        x = torch.randn((1, *img_size), generator=generator, dtype=torch.float64).to(measured.device)
        dtype = torch.complex128 if measured.is_complex() else torch.float64
        y = torch.randn(measured.shape, generator=generator, dtype=dtype).to(measured.device)
        with torch.no_grad():
            try:
                image, back = self._applied("A", x), self._applied("A_adjoint", y)
            except RuntimeError:  # it mixes the input's precision with one of its own
                self.precision = measured.real.dtype
                image, back = self._applied("A", x), self._applied("A_adjoint", y)
        gap = (torch.sum(image.conj() * y).real - torch.sum(x * back.real)).abs()
        rounding = 100 * torch.finfo(self.precision or image.dtype).eps
        self.has_exact_adjoint = bool(gap <= rounding * torch.linalg.vector_norm(image) * torch.linalg.vector_norm(y))
        if not self.has_exact_adjoint:  # autograd goes through the physics, which must not change meanwhile
            self.precision = measured.real.dtype

    def _applied(self, method: str, x: torch.Tensor) -> torch.Tensor:
        """Call the physics with its tensors in the precision of `x`; the result is a new tensor."""
        physics, precision = self.other, self.precision or x.real.dtype
        others = {
            f"physics.{name}": _in(precision, tensor)
            for name, tensor in chain(physics.named_parameters(), physics.named_buffers())
            if (tensor.is_floating_point() or tensor.is_complex()) and tensor.real.dtype != precision
        }
        given = _in(precision, x)
        if others:
            result = torch.func.functional_call(_Call(physics), others, (method, given))
        else:
            result = getattr(physics, method)(given)
        return _in(x.real.dtype, result.clone())

    def __reduce__(self) -> tuple:
        found = ("splits_data", "precision", "has_exact_adjoint")
        return (*super().__reduce__(), {name: getattr(self, name) for name in found})


class _Call(torch.nn.Module):
    """A method of a physics as a module's forward, for `torch.func.functional_call`."""

    def __init__(self, physics: torch.nn.Module) -> None:
        super().__init__()
        self.physics = physics

    def forward(self, method: str, x: torch.Tensor) -> torch.Tensor:
        return getattr(self.physics, method)(x)


def _in(precision: torch.dtype, x: torch.Tensor) -> torch.Tensor:
    """A tensor in a precision, real or complex as it is."""
    return x.to(precision.to_complex() if x.is_complex() else precision)


def _measured(physics: Any, img_size: tuple[int, ...]) -> torch.Tensor:
    """What the physics makes of one random image."""
    x = torch.randn((1, *img_size), generator=torch.Generator().manual_seed(0)).to(physics._device_holder.device)
    try:
        with torch.no_grad():
            y = physics.A(x)
    except Exception as error:
        raise ValueError(
            f"from_deepinv: {type(physics).__name__} does not take an image of the size {img_size}: {error}"
        ) from error
    if not isinstance(y, torch.Tensor):
        raise ValueError(f"from_deepinv: {type(physics).__name__} measures a {type(y).__name__}, no tensor")
    return y
