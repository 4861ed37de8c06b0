"""How the kernels are compiled, and where what was compiled is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

__all__ = ["compiled"]


def compiled(fastmath: tuple[str, ...] = ()) -> Callable[[Callable], Any]:
    """Compile a function when it is first called, without Python's lock, and keep the result on disk for later runs.

    numba keeps it in the directory ``NUMBA_CACHE_DIR`` if that is set, else beside the source file, else in the user's
    cache directory. Where it may write to none of them, as in a container that is read-only, it is compiled anew by
    every process.

    Parameters
    ----------
    fastmath : tuple of str
        What the compiler may do with floating-point numbers beyond the standard; LLVM's flags.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": set(fastmath) or False}

    def decorator(function: Callable) -> Any:
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError as error:
            if "no locator available" not in str(error):
                raise
            return numba.njit(**options)(function)

    return decorator
