"""Operators of other libraries, which compute on numpy arrays, as ours."""

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

__all__ = ["Foreign", "ForeignOperator"]


class Foreign(abc.ABC):
    """A linear map of another library: batches of numpy arrays to batches of numpy arrays.

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
    def forward(self, x: np.ndarray) -> np.ndarray:
        """Map ``(B, *in_shape)`` to ``(B, *out_shape)``, which may be flattened; B is at least one."""

    @abc.abstractmethod
    def adjoint(self, y: np.ndarray) -> np.ndarray:
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
    """An operator of another library, as `from_scipy`, `from_sigpy` and `from_pylops` make it.

    It computes on the CPU and gives numbers of the precision of its input (complex ones of 64 bits at least). As any
    linear operator it is differentiated by its adjoint, to any order.

    Parameters
    ----------
    foreign : Foreign
    in_shape, out_shape : int or sequence of int
    """

    runs_on_cpu_only = True

    def __init__(self, foreign: Foreign, in_shape: Shape, out_shape: Shape) -> None:
        self.__dict__["foreign"] = foreign  # before torch's constructor, for the name in messages
        super().__init__(in_shape, out_shape)
        self.foreign = foreign

    @property
    def name(self) -> str:
        """The library and the kind of operator."""
        return self.foreign.name

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return self._mapped(_FORWARD, x, self.in_shape, self.foreign.takes_complex, self.foreign.gives_complex)

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return self._mapped(_ADJOINT, y, self.out_shape, self.foreign.gives_complex, self.foreign.takes_complex)

    def _mapped(
        self, linear_map: LinearMap, x: torch.Tensor, shape: tuple[int, ...], takes: bool, gives: bool
    ) -> torch.Tensor:
        if x.device.type != "cpu":
            raise ValueError(
                f"{self.name}: {self.foreign.library} computes on the CPU, got a tensor on {x.device}; "
                "x.cpu() moves it there"
            )
        if x.is_complex() and not takes:
            if gives:
                raise TypeError(f"{self.name}: takes a real input, got {x.dtype}")
            return on_real_and_imaginary(lambda part: self._mapped(linear_map, part, shape, takes, gives), x)
        batch = x.shape[: x.ndim - len(shape)]
        flat = x.reshape(math.prod(batch), *shape)
        flat = flat.to(torch.promote_types(x.dtype, torch.complex64 if takes else torch.float32))
        # Where one side is real and the other complex, complex numbers are pairs of real ones: the map keeps its type.
        y = linear_map(torch.view_as_real(flat.resolve_conj()) if takes and not gives else flat, self._fixed)
        y = torch.view_as_complex(y) if gives and not takes else y
        return (y if gives else y.to(x.real.dtype)).reshape(*batch, *y.shape[1:])

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


def _forward_kernel(x: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    foreign = _foreigners[int(fixed.numbers[0])]
    is_mixed = foreign.takes_complex != foreign.gives_complex
    return _computed(foreign.forward, foreign, x, fixed.out_size, foreign.takes_complex, is_mixed)


def _adjoint_kernel(y: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    foreign = _foreigners[int(fixed.numbers[0])]
    is_mixed = foreign.takes_complex != foreign.gives_complex
    return _computed(foreign.adjoint, foreign, y, fixed.in_size, foreign.gives_complex, is_mixed)


def _computed(
    function: Callable[[np.ndarray], np.ndarray],
    foreign: Foreign,
    x: torch.Tensor,
    size: list[int],
    takes: bool,
    is_mixed: bool,
) -> torch.Tensor:
    """What the other library's function makes of a batch, as a new tensor ``(B, *size)`` of the type of `x`."""
    result = x.new_empty((len(x), *size))
    if not result.numel():
        return result
    x = x.detach().resolve_conj().resolve_neg()
    y = np.asarray(function((torch.view_as_complex(x) if is_mixed and takes else x).numpy()))
    target = (torch.view_as_complex(result) if is_mixed and not takes else result).numpy()
    if len(y) != len(target) or y.size != target.size:
        raise ValueError(f"{foreign.name}: {foreign.library} gave shape {y.shape[1:]}, where {target.shape[1:]} is due")
    if np.iscomplexobj(y) and not np.iscomplexobj(target):
        raise TypeError(f"{foreign.name}: {foreign.library} gave complex numbers, but says that the operator is real")
    target[...] = y.reshape(target.shape)
    return result


_FORWARD, _ADJOINT = linear_pair("foreign", _forward_kernel, _adjoint_kernel)
