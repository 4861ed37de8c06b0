"""``invnet list``: what there is."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from invnet_cli.group import Name, debug_option
from invnet_cli.names import METHODS, PHYSICS

__all__ = ["list_command"]

_KINDS = ("physics", "methods", "operators", "reconstructors", "priors", "networks", "recipes", "weights")

_EPILOG = """\b
Examples:
  invnet list
  invnet list operators
"""


@click.command("list", epilog=_EPILOG)
@click.argument("kind", required=False, type=Name("kind", _KINDS))
@debug_option
def list_command(kind: str | None) -> None:
    """List the physics and methods of the command, and the library's operators, reconstructors, recipes and weights."""
    for number, title in enumerate(_KINDS if kind is None else (kind,)):
        if kind is None:
            click.secho(f"{chr(10) if number else ''}{title}", bold=True)
        rows = list(_rows(title))
        width = max((len(name) for name, _ in rows), default=0)
        for name, text in rows:
            click.echo(f"  {name:{width}}  {text}")
        if not rows:
            click.echo("  none")


def _rows(kind: str) -> Iterator[tuple[str, str]]:
    if kind in ("physics", "methods"):
        yield from (PHYSICS if kind == "physics" else METHODS).items()
    elif kind == "recipes":
        yield from _recipes()
    elif kind == "weights":
        yield from _weights()
    else:
        yield from _classes(kind)


def _classes(kind: str) -> Iterator[tuple[str, str]]:
    import invnet
    import operators

    module, base = {
        "operators": (operators, operators.LinearOperator),
        "reconstructors": (invnet, invnet.Reconstructor),
        "priors": (invnet.priors, invnet.priors.Prior),
        "networks": (invnet.nets, object),
    }[kind]
    for name in sorted(module.__all__, key=str.lower):
        value = getattr(module, name)
        if inspect.isclass(value) and issubclass(value, base) and not inspect.isabstract(value):
            yield name, _plain((inspect.getdoc(value) or "").partition("\n")[0])


def _plain(text: str) -> str:
    """A line of a docstring without its marks."""
    return re.sub(r"\s*\[\d+\]_|``", "", text)


def _recipes() -> Iterator[tuple[str, str]]:
    from invnet.recipes import RECIPES

    yield from ((name, recipe.title) for name, recipe in RECIPES.items())


def _weights() -> Iterator[tuple[str, str]]:
    from invnet.pretrained import card, names

    yield from ((name, card(name)["title"]) for name in names())
