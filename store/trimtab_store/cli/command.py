"""How a function becomes a command: groups of options, the text of its help, and values that begin with a minus."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any, Final, TypeGuard, TypeVar, get_type_hints

import typer
from typer.core import TyperCommand

Function = TypeVar("Function", bound=Callable[..., Any])
_NEGATIVE: Final = re.compile(r"-(?:\.?\d[\w.,'+%-]*|inf|infinity|nan)", re.IGNORECASE)
_EXAMPLE: Final = "Example: "


def command(app: typer.Typer, name: str, cls: type[TyperCommand] = TyperCommand) -> Callable[[Function], Function]:
    """Register a function as a command of `app`. Returns the function as it was.

    A parameter whose type is a dataclass stands for a group of options: the command gets one option for each field, and
    the function gets the dataclass. Lines of the docstring that begin with `Example: ` keep their place in the help.
    """

    def register(function: Function) -> Function:
        app.command(name, cls=cls, help=help_text(function), short_help=first_sentence(function))(_expanded(function))
        return function

    return register


def group(app: typer.Typer) -> Callable[[Function], Function]:
    """Register a function as what a group of commands itself does, when none of them is named."""

    def register(function: Function) -> Function:
        decorate = app.callback(
            invoke_without_command=True, help=help_text(function), short_help=first_sentence(function)
        )
        decorate(_expanded(function))
        return function

    return register


def help_text(function: Callable[..., Any]) -> str:
    """The docstring as help: each example on a line of its own, however narrow the terminal."""
    text = inspect.getdoc(function) or ""
    return "\n".join(f"\b\n{line}" if line.startswith(_EXAMPLE) else line for line in text.splitlines())


def first_sentence(function: Callable[..., Any]) -> str:
    """What a list of commands says about it."""
    return (inspect.getdoc(function) or "").partition("\n")[0].partition(". ")[0].removesuffix(".")


def examples(function: Callable[..., Any]) -> list[str]:
    """The commands that a docstring shows."""
    lines = (inspect.getdoc(function) or "").splitlines()
    return [line.removeprefix(_EXAMPLE) for line in lines if line.startswith(_EXAMPLE)]


class ValueCommand(TyperCommand):
    """A command that takes a value: a word such as `-5` or `-1e3` is a number there, not an option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse with the numbers behind `--`, where they cannot be taken for options."""
        wanting = {
            name for option in self.get_params(ctx) if not getattr(option, "is_flag", True) for name in option.opts
        }
        return super().parse_args(ctx, numbers_last(args, wanting))


def numbers_last(arguments: Sequence[str], wanting: Container[str]) -> list[str]:
    """The arguments with negative numbers moved behind `--`, unless they are the value of an option in `wanting`."""
    if "--" in arguments:
        return list(arguments)
    others: list[str] = []
    numbers: list[str] = []
    for argument in arguments:
        is_number = _NEGATIVE.fullmatch(argument) and not (others and others[-1] in wanting)
        (numbers if is_number else others).append(argument)
    return [*others, "--", *numbers] if numbers else others


def _expanded(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its groups of options taken apart, so that typer sees one parameter for each."""
    parameters = inspect.signature(function, eval_str=True).parameters.values()
    groups = {one.name: one.annotation for one in parameters if _is_group(one.annotation)}
    plain = [one for one in parameters if one.name not in groups]

    def call(**given: Any) -> Any:
        made = {
            name: group(**{option.name: given.pop(option.name) for option in _options(group)})
            for name, group in groups.items()
        }
        return function(**given, **made)

    several = [option for group in groups.values() for option in _options(group)]
    named = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*plain, *several)]
    call.__name__, call.__doc__ = function.__name__, function.__doc__
    call.__signature__ = inspect.Signature(named)  # type: ignore[attr-defined]  # what inspect.signature looks at first
    return call


def _is_group(annotation: Any) -> TypeGuard[type[Any]]:
    return isinstance(annotation, type) and dataclasses.is_dataclass(annotation)


def _options(group: type[Any]) -> Iterator[inspect.Parameter]:
    """The fields of a group as parameters, those of the most special class first."""
    hints = get_type_hints(group, include_extras=True)
    defaults = {field.name: field.default for field in dataclasses.fields(group)}
    for cls in group.__mro__:
        for name in inspect.get_annotations(cls):
            yield inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=defaults[name], annotation=hints[name]
            )
