"""The error of a file that is refused, with the place in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from trimtab.model.errors import TrimtabError, ValidationError

if TYPE_CHECKING:
    from pathlib import Path

    from trimtab.model.canonical import Json


class FileRefused(ValidationError):
    """A file that breaks a rule.

    `name` is the file, `line` and `column` count from 1 (None where the rule is about the file as a whole), and `rule`
    is a stable word for the rule: `duplicate-key`, `anchor`, `number`, ….
    """

    code: ClassVar[str] = "file"

    def __init__(
        self,
        name: str,
        rule: str,
        why: str,
        remedy: str,
        *,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        self.name, self.rule, self.line, self.column = name, rule, line, column
        place = ", ".join(
            [
                shown(name, 200),
                *([f"line {line}"] if line is not None else []),
                *([f"column {column}"] if column is not None else []),
            ]
        )
        super().__init__(f"{place} is refused ({rule})", why, remedy)

    def to_dict(self) -> dict[str, Json]:
        """The error for programs: as every error, with file, rule, line and column."""
        place: dict[str, int | None] = {"line": self.line, "column": self.column}
        return {
            **super().to_dict(),
            "file": self.name,
            "rule": self.rule,
            **{key: number for key, number in place.items() if number is not None},
        }


def shown(text: str, length: int = 60) -> str:
    """Foreign text for a message: cut, and with everything escaped that could drive or mislead a terminal."""
    cut = text if len(text) <= length else f"{text[:length]}…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


def refused(file: Path, rule: str, why: str, remedy: str) -> FileRefused:
    """The refusal of a file as a whole."""
    return FileRefused(str(file), rule, why, remedy)


def wrapped(file: Path, error: TrimtabError) -> FileRefused:
    """The refusal of a file for an error of the model, whose code becomes the rule."""
    why = f"{error.what}: {error.why}" if error.why else error.what
    return FileRefused(str(file), error.code, why, error.remedy)


def kind(value: Json) -> str:
    """A value's kind in words, for a message."""
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "a boolean"
    return "a string" if isinstance(value, str) else "a number"
