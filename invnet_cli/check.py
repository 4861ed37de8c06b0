"""``invnet check``: the conformance battery on a user's operator."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

from invnet_cli.group import debug_option

if TYPE_CHECKING:
    from operators import LinearOperator

__all__ = ["check"]

_EPILOG = """\b
Examples:
  invnet check mymodule:MyOperator       a class that takes no arguments
  invnet check mymodule:operator         an operator, or a function that makes one
  invnet check path/to/file.py:operator
"""


@click.command(epilog=_EPILOG)
@click.argument("target", metavar="MODULE:OPERATOR")
@click.option("--seed", default=0, show_default=True, help="Of the random inputs.")
@debug_option
def check(target: str, seed: int) -> None:
    """Check that an operator is linear, has its exact adjoint, and is at home in torch.

    OPERATOR is a LinearOperator in the module, or what makes one when it is called without arguments. Small shapes are
    best: most properties are then compared with the dense matrix. Prints what holds, and by how much; exits with 1 if
    a property is violated.
    """
    operator = _operator(target)
    from operators.testing import check_operator

    try:
        click.echo(str(check_operator(operator, seed=seed)))
    except AssertionError as violations:
        click.echo(str(violations))
        raise click.exceptions.Exit(1) from violations


def _operator(target: str) -> LinearOperator:
    place, _, name = target.rpartition(":")
    if not place or not name:
        raise click.UsageError(f"takes MODULE:OPERATOR or FILE.py:OPERATOR, got {target!r}")
    module = _module(place)
    from operators import LinearOperator

    value: Any = module
    for part in name.split("."):
        if not hasattr(value, part):
            raise ValueError(f"{place} has no {name!r}")
        value = getattr(value, part)
    if not isinstance(value, LinearOperator):
        if not callable(value):
            raise TypeError(f"{target} is not a LinearOperator, but {type(value).__name__}")
        try:
            value = value()
        except TypeError as error:
            raise TypeError(f"{target} can't be called without arguments ({error}): name an operator") from error
    if not isinstance(value, LinearOperator):
        raise TypeError(f"{target} gives no LinearOperator, but {type(value).__name__}")
    return value


def _module(place: str) -> ModuleType:
    if place.endswith(".py"):
        path = Path(place)
        if not path.is_file():
            raise ValueError(f"{place}: there is no such file")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module  # where pickling, which is one of the checks, looks for the class
        spec.loader.exec_module(module)
        return module
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name != place.partition(".")[0]:  # it is there, and lacks something itself
            raise
        raise ValueError(f"there is no module {place!r}, here or among what is installed") from error
