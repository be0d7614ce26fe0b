"""The fields of an entry of the registry as options of a command: declared once, in the entry."""

from __future__ import annotations

import functools
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import click
from click.core import ParameterSource

from gateway_assets.registry.cells import kinds_of, value_of
from gateway_assets.registry.entries import Entry

_Command = Callable[..., Any]


def entry_options(entry: type[Entry], *, edits: bool = False) -> Callable[[_Command], _Command]:
    """Give a command an option for each field; it gets those that were given as ``given``.

    To add something its required fields must be given; to edit something all may be, the name
    too, and an empty text brings the default back.
    """
    names = [name for name in entry.model_fields if edits or name != "name"]

    def decorate(command: _Command) -> _Command:
        @functools.wraps(command)
        def run(*arguments: Any, **options: Any) -> Any:
            context = click.get_current_context()
            fields = {name: options.pop(name) for name in names}
            given = {
                name: value
                for name, value in fields.items()
                if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
            }
            return command(*arguments, given=given, **options)

        decorated: _Command = run
        for name in reversed(names):
            decorated = _option(entry, name, edits=edits)(decorated)
        return decorated

    return decorate


def _option(entry: type[Entry], name: str, *, edits: bool) -> Callable[[_Command], _Command]:
    field = entry.model_fields[name]
    kinds = kinds_of(field)
    dashed = name.replace("_", "-")
    about = "New name." if name == "name" else field.description
    if bool in kinds:
        return click.option(f"--{dashed}/--no-{dashed}", name, default=None, help=about)
    if name == "channels":
        return click.option(
            "--channel", name, multiple=True, callback=_without_empty, help=about, metavar="NAME"
        )
    required = field.is_required() and not edits
    words = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, StrEnum)]
    if words:
        choice = click.Choice([str(word) for word in words[0]])
        return click.option(f"--{dashed}", name, type=choice, required=required, help=about)

    def read(_: click.Context, __: click.Parameter, text: str | None) -> Any:
        try:
            return None if text is None else value_of(entry, name, text)
        except ValueError as error:
            raise click.BadParameter(f"{text!r}: {error}") from None

    return click.option(
        f"--{dashed}", name, callback=read, required=required, help=about, metavar=_metavar(kinds)
    )


def _without_empty(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> list[str]:
    return [one for one in given if one]


def _metavar(kinds: set[Any]) -> str:
    if kinds & {dict, list}:
        return "JSON"
    if kinds & {float, int}:
        return "NUMBER"
    return "TEXT" if str in kinds else "DURATION"
