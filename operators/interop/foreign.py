"""Operators of other libraries as ours: in any batch, type and transform of torch's, differentiable to any order."""

from __future__ import annotations

import abc
import itertools
import math
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from operators import solve
from operators.checks import Shape
from operators.core import LinearOperator
from operators.fourier import on_real_and_imaginary
from operators.linear_pair import Fixed, LinearMap, linear_pair

__all__ = ["ArrayForeign", "ArrayOperator", "Foreign", "ForeignOperator", "computed"]


class Foreign(abc.ABC):
    """A linear map of another library, of batches of tensors.

    Parameters
    ----------
    other : object
        The other library's operator.
    takes_complex, gives_complex : bool
        Whether its domain and its range are complex.

    Attributes
    ----------
    handle : int
        By which the kernels find it: torch's custom operators take tensors and numbers alone.
    """

    library: str

    def __init__(self, other: Any, takes_complex: bool, gives_complex: bool) -> None:
        self.other, self.takes_complex, self.gives_complex = other, takes_complex, gives_complex
        self.handle = next(_handles)
        _foreigners[self.handle] = self

    @abc.abstractmethod
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, *in_shape)`` to ``(B, *out_shape)``, which may be flattened; B is at least one."""

    @abc.abstractmethod
    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Map ``(B, *out_shape)`` to ``(B, *in_shape)``."""

    @property
    def name(self) -> str:
        """The map's name in messages."""
        return f"from_{self.library}[{type(self.other).__name__.strip('_')}]"

    def __reduce__(self) -> tuple:
        return type(self), (self.other, self.takes_complex, self.gives_complex)


_handles = itertools.count(1)
_foreigners: weakref.WeakValueDictionary[int, Foreign] = weakref.WeakValueDictionary()


class ForeignOperator(LinearOperator):
    """An operator of another library.

    It gives numbers of the precision of its input (complex ones of 64 bits at least), and is differentiated by its
    adjoint, to any order.

    Parameters
    ----------
    foreign : Foreign
    in_shape, out_shape : int or sequence of int
    """

    def __init__(self, foreign: Foreign, in_shape: Shape, out_shape: Shape) -> None:
        self.__dict__["foreign"] = foreign  # before torch's constructor, for the name in messages
        super().__init__(in_shape, out_shape)
        self.foreign = foreign

    @property
    def name(self) -> str:
        """The library and the kind of operator."""
        return self.foreign.name

    @abc.abstractmethod
    def _check_device(self, x: torch.Tensor) -> None:
        """Refuse a tensor on a device on which the other library does not compute."""

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return self._mapped(_FORWARD, x, self.in_shape, self.foreign.takes_complex, self.foreign.gives_complex)

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return self._mapped(_ADJOINT, y, self.out_shape, self.foreign.gives_complex, self.foreign.takes_complex)

    def _mapped(
        self, linear_map: LinearMap, x: torch.Tensor, shape: tuple[int, ...], takes: bool, gives: bool
    ) -> torch.Tensor:
        self._check_device(x)
        if x.is_complex() and not takes:
            if gives:
                raise TypeError(f"{self.name}: takes a real input, got {x.dtype}")
            return on_real_and_imaginary(lambda part: self._mapped(linear_map, part, shape, takes, gives), x)
        batch = x.shape[: x.ndim - len(shape)]
        flat = x.reshape(math.prod(batch), *shape)
        flat = flat.to(torch.promote_types(x.dtype, torch.complex64 if takes else torch.float32))
        # Where one side is real and the other complex, complex numbers are pairs of real ones: the map keeps its type.
        y = self._call(linear_map, torch.view_as_real(flat.resolve_conj()) if takes and not gives else flat)
        y = torch.view_as_complex(y) if gives and not takes else y
        return (y if gives else y.to(x.real.dtype)).reshape(*batch, *y.shape[1:])

    def _call(self, linear_map: LinearMap, x: torch.Tensor) -> torch.Tensor:
        return linear_map(x, self._fixed)

    def _norm(self) -> torch.Tensor:
        # The iteration begins with a real image, of which a map from complex to real may see nothing.
        sees_part = self.foreign.takes_complex and not self.foreign.gives_complex
        return solve.norm(self.H if sees_part else self)

    @property
    def _fixed(self) -> Fixed:
        takes, gives = self.foreign.takes_complex, self.foreign.gives_complex
        in_size = [*self.in_shape, *([2] if takes and not gives else [])]
        out_size = [*self.out_shape, *([2] if gives and not takes else [])]
        return Fixed([], [float(self.foreign.handle)], in_size, out_size)

    def __repr__(self) -> str:
        return f"{self.name}({self.in_shape} -> {self.out_shape})"


def computed(foreign: Foreign, x: torch.Tensor, fixed: Fixed, adjoint: bool = False) -> torch.Tensor:
    """What the other library makes of a batch, of the type of `x`; complex numbers are pairs if but one side has them.

    Parameters
    ----------
    foreign : Foreign
    x : torch.Tensor, shape ``(B, *in_size)``, of the adjoint ``(B, *out_size)``
    fixed : Fixed
    adjoint : bool

    Returns
    -------
    torch.Tensor, shape ``(B, *out_size)``, of the adjoint ``(B, *in_size)``

    Raises
    ------
    TypeError
        If the other library gives complex numbers for an operator that is said to be real.
    ValueError
        If what it gives is of another size.
    """
    takes, gives = foreign.takes_complex, foreign.gives_complex
    function: Callable = foreign.forward
    size = fixed.out_size
    if adjoint:
        takes, gives, function, size = gives, takes, foreign.adjoint, fixed.in_size
    if not x.numel():
        return x.new_empty((len(x), *size))
    y = function(torch.view_as_complex(x) if takes and not gives else x)
    if y.is_complex() and not gives:
        raise TypeError(f"{foreign.name}: {foreign.library} gave complex numbers, but says that the operator is real")
    if gives and not takes:
        y = torch.view_as_real(y if y.is_complex() else torch.complex(y, torch.zeros_like(y)))
    if y.numel() != len(x) * math.prod(size):
        raise ValueError(f"{foreign.name}: {foreign.library} gave shape {tuple(y.shape[1:])}, where {size} is due")
    return y.reshape(len(x), *size).to(x.dtype).contiguous()


def _forward_kernel(x: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    return _computed_plainly(x, fixed, adjoint=False)


def _adjoint_kernel(y: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    return _computed_plainly(y, fixed, adjoint=True)


def _computed_plainly(x: torch.Tensor, fixed: Fixed, adjoint: bool) -> torch.Tensor:
    # Compiled code runs its operators without autograd and without lazy conjugation (PyTorch 2.13 then takes a
    # conjugate for the number itself), which the other library may use inside.
    with torch._C._ForceDispatchKeyGuard(*_PLAIN_DISPATCH):
        return computed(_foreigners[int(fixed.numbers[0])], x.detach(), fixed, adjoint)


_PLAIN_DISPATCH = torch._C._dispatch_tls_local_include_set(), torch._C._dispatch_tls_local_exclude_set()

_FORWARD, _ADJOINT = linear_pair("foreign", _forward_kernel, _adjoint_kernel)


# -------------------------------------------------------------------- libraries that compute on numpy's arrays


class ArrayForeign(Foreign):
    """A linear map of batches of numpy arrays."""

    @abc.abstractmethod
    def forward_arrays(self, x: np.ndarray) -> np.ndarray:
        """As `forward`."""

    @abc.abstractmethod
    def adjoint_arrays(self, y: np.ndarray) -> np.ndarray:
        """As `adjoint`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of tensors on the CPU."""
        return _on_arrays(self.forward_arrays, x)

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Of tensors on the CPU."""
        return _on_arrays(self.adjoint_arrays, y)


class ArrayOperator(ForeignOperator):
    """An operator that computes on numpy's arrays, as `from_scipy`, `from_sigpy` and `from_pylops` make it."""

    runs_on_cpu_only = True

    def _check_device(self, x: torch.Tensor) -> None:
        if x.device.type != "cpu":
            raise ValueError(
                f"{self.name}: {self.foreign.library} computes on the CPU, got a tensor on {x.device}; "
                "x.cpu() moves it there"
            )


def _on_arrays(function: Callable[[np.ndarray], np.ndarray], x: torch.Tensor) -> torch.Tensor:
    # A copy: what comes back may be what was given, which a custom operator must not return.
    return torch.from_numpy(np.array(function(x.resolve_conj().resolve_neg().numpy()), order="C"))
