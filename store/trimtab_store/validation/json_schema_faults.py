"""What is wrong with a schema itself, and the error that says so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from trimtab.model.problems import DocumentsRefused, Problem

Pointer: TypeAlias = "tuple[str, ...]"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that makes a schema unusable: where, a stable word, a sentence without a full stop, the next step."""

    pointer: Pointer
    rule: str
    why: str
    remedy: str = ""


class SchemaRefused(DocumentsRefused):
    """A schema that is not taken. `faults` say where in its text; `at` gives them as problems of a document."""

    code: ClassVar[str] = "schema"

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__((_problem("", fault) for fault in self.faults), "This schema is refused")

    def at(self, path: str) -> list[Problem]:
        """The faults as problems of the field that holds the schema's text."""
        return [_problem(path, fault) for fault in self.faults]


def _problem(path: str, fault: Fault) -> Problem:
    where = pointer_of(fault.pointer)
    if not path:
        return Problem(path=where, rule=fault.rule, why=fault.why, remedy=fault.remedy)
    why = f"at {where}: {fault.why}" if fault.pointer else fault.why
    return Problem(path=path, rule=fault.rule, why=why, remedy=fault.remedy)


def pointer_of(steps: Sequence[str | int]) -> str:
    """A pointer as text: `#/properties/a`."""
    return "#" + "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)
