"""Arrays of other libraries in and out, by DLPack."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from operators.checks import no_tensor

__all__ = ["from_array", "to_array"]

_CPU = 1  # as DLPack counts devices
_REFUSALS = (BufferError, RuntimeError, TypeError, ValueError)


def from_array(array: Any) -> torch.Tensor:
    """An array of numpy, CuPy, JAX or any other library that speaks DLPack as a tensor, for all that takes one.

    Parameters
    ----------
    array : array
        Of numbers, real or complex, on any device that torch knows.

    Returns
    -------
    torch.Tensor
        Of the array's shape and type, on its device. It shares the array's memory wherever torch can use it as it is;
        a copy is made of a numpy array that may not be written to, of foreign byte order, or with negative strides
        (as in ``array[::-1]``).

    Raises
    ------
    TypeError
        If it is not an array, is masked, or is of a type or on a device that torch does not take.

    See Also
    --------
    to_array : the way back.

    Notes
    -----
    `torch.from_dlpack` alone ends the process for negative strides, and lets read-only memory be written to.

    References
    ----------
    .. [1] DLPack and the Python array API standard, https://data-apis.org/array-api.

    Examples
    --------
    >>> import numpy as np
    >>> from operators import FourierTransform
    >>> array = np.ones((2, 2), dtype=np.complex64)
    >>> FourierTransform((2, 2))(from_array(array))
    tensor([[0.+0.j, 0.+0.j],
            [0.+0.j, 2.+0.j]])
    """
    if isinstance(array, torch.Tensor):
        return array
    if not hasattr(array, "__dlpack__"):
        raise TypeError(
            f"from_array: takes an array with the method __dlpack__, got {type(array).__name__}; "
            "numpy.asarray may make one"
        )
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError("from_array: takes an array without a mask, got a MaskedArray; its filled() makes one")
    try:
        if isinstance(array, np.ndarray):
            return _of_numpy(array)
        return torch.from_dlpack(_without_negative_strides(array))
    except (*_REFUSALS, AssertionError) as error:  # the last by torch without CUDA
        raise TypeError(f"from_array: torch does not take this {type(array).__name__}: {error}") from error


def to_array(tensor: torch.Tensor, xp: Any = np) -> Any:
    """A tensor as an array of numpy, CuPy, JAX or any other library that follows the array API standard.

    Parameters
    ----------
    tensor : torch.Tensor
        Of any shape, on a device that the library computes on. Gradients end here.
    xp : module
        The library's namespace: ``numpy``, ``cupy``, ``jax.numpy``, or ``array.__array_namespace__()``.

    Returns
    -------
    array
        Of the tensor's shape and type, on its device, in its memory (a lazy conjugate is computed before).

    Raises
    ------
    TypeError
        If it is not a tensor, `xp` has no ``from_dlpack``, or the library does not take the tensor's type or device.

    See Also
    --------
    from_array : the way here.

    References
    ----------
    .. [1] The function from_dlpack of the array API standard, https://data-apis.org/array-api.

    Examples
    --------
    >>> import numpy as np
    >>> from operators import Subsample
    >>> y = np.array([1.0, 2.0])
    >>> to_array(Subsample(4, 2).H(from_array(y)), y.__array_namespace__())
    array([1., 0., 2., 0.])
    """
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"to_array: takes a torch.Tensor, {no_tensor(tensor)}")
    if not hasattr(xp, "from_dlpack"):
        raise TypeError(
            "to_array: takes a library's namespace with from_dlpack, such as numpy or array.__array_namespace__(), "
            f"got {getattr(xp, '__name__', type(xp).__name__)}"
        )
    try:
        return xp.from_dlpack(tensor.detach().resolve_conj().resolve_neg())
    except _REFUSALS as error:
        raise TypeError(
            f"to_array: {xp.__name__} does not take a tensor of {tensor.dtype} on {tensor.device}: {error}"
        ) from error


def _of_numpy(array: np.ndarray) -> torch.Tensor:
    """In its own memory if torch takes it: native, writable, with strides of whole positive steps."""
    steps = (stride >= 0 and stride % array.itemsize == 0 for stride in array.strides)
    if array.flags.writeable and array.dtype.isnative and all(steps):
        return torch.from_numpy(array)
    return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))


def _without_negative_strides(array: Any) -> Any:
    """The array, or a copy of it where it has negative strides, which torch can't take."""
    if array.__dlpack_device__()[0] != _CPU:
        return array.copy() if min(getattr(array, "strides", None) or (0,)) < 0 else array
    try:
        seen = np.from_dlpack(array)
    except RuntimeError:  # of a type that numpy does not know, as bfloat16
        return array
    return np.array(seen, order="C") if min(seen.strides, default=0) < 0 else array
