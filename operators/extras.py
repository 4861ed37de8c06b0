"""Packages that not every user needs: loaded when first used, with an error that says how to install them."""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["require"]


def require(module: str, extra: str) -> ModuleType:
    """Import a module that comes with an extra of invnet.

    Parameters
    ----------
    module : str
        Its full name, such as ``"skimage.metrics"``.
    extra : str
        The extra that installs it, such as ``"plot"``.

    Returns
    -------
    module

    Raises
    ------
    ImportError
        If the package is not installed; the message holds the command that installs it.

    Examples
    --------
    >>> require("json", extra="plot").loads("1")
    1
    """
    package = module.partition(".")[0]
    try:
        importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:  # installed, but broken: its own message says more
            raise
        raise ImportError(f'{package} is needed here and not installed; try: pip install "invnet[{extra}]"') from error
    return importlib.import_module(module)
