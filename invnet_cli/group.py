"""How the command behaves: names with suggestions, errors in one line, exit codes."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

__all__ = ["CommandLine", "Name", "debug_option"]

F = TypeVar("F", bound=Callable[..., Any])

_INTERRUPTED = 130  # as shells count it: 128 and the number of the signal


class Name(click.ParamType):
    """One of several names; an unknown one gives those that are near.

    Parameters
    ----------
    kind : str
        What is named, in the message.
    names : sequence of str
    """

    name = "name"

    def __init__(self, kind: str, names: Sequence[str]) -> None:
        self.kind, self.names = kind, tuple(names)

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the value if it is one of the names."""
        if value not in self.names:
            self.fail(f"there is no {self.kind} {value!r}; {_suggestion(value, self.names)}", param, ctx)
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names that begin so."""
        return [CompletionItem(name) for name in self.names if name.startswith(incomplete)]

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """The names, as the help shows them."""
        return "|".join(self.names)


def _suggestion(value: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(value, names, n=2) or [name for name in names if value and value in name]
    return f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}"


def _remember(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.find_root().meta["invnet.debug"] = ctx.find_root().meta.get("invnet.debug", False) or value


def debug_option(command: F) -> F:
    """Give a command the option ``--debug``."""
    return click.option(
        "--debug", is_flag=True, expose_value=False, callback=_remember, help="Show the traceback of an error."
    )(command)


class CommandLine(click.Group):
    """A group of commands whose errors are one line.

    Exit codes are 1 for what failed, 2 for wrong usage, 130 for an interruption.
    """

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is named first; suggest others for an unknown one."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            ctx.fail(f"There is no command {args[0]!r}; {_suggestion(args[0], self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for kind in (UserWarning, RuntimeWarning):  # those that speak of the user's data
                    warnings.simplefilter("always", kind)
                warnings.showwarning = _show_warning
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            click.echo("invnet: interrupted", err=True)
            raise click.exceptions.Exit(_INTERRUPTED) from None
        except Exception as error:
            if ctx.meta.get("invnet.debug"):
                raise
            raise click.ClickException(_one_line(error)) from error


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename and error.strerror:  # without Python's "[Errno 2]"
        return f"{error.filename}: {error.strerror[0].lower()}{error.strerror[1:]}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return f"{type(error).__name__}; --debug shows where"
    expected = isinstance(error, ValueError | TypeError | OSError | ImportError | FloatingPointError)
    return lines[0] if expected else f"{type(error).__name__}: {lines[0]}; --debug shows where"


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"Warning: {' '.join(str(message).split())}", err=True)
