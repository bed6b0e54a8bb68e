"""Problems: what validation finds, each with path, rule, value and remedy; and the error that carries them all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, TypeAlias

from trimtab.model.canonical import Json
from trimtab.model.errors import ValidationError

Severity: TypeAlias = Literal["refuse", "warn"]
MASK: Final = "***"
"""What stands where a secret's value would."""
MAX_SHOWN: Final = 20
"""So many problems are told in a message; `DocumentsRefused.problems` holds them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a document.

    `path` is the canonical path of the field, `rule` a stable word (`range`, `unknown-field`, `unit`, `type`,
    `required`, `pattern`, or the name of a rule), `why` a sentence without a full stop, `remedy` the next step or
    empty. `value` is what stands there, as short JSON, `MASK` for a secret, empty where nothing does. `environment`
    and `labels` name one target that would see it.
    """

    path: str
    rule: str
    why: str
    remedy: str = ""
    value: str = ""
    severity: Severity = "refuse"
    environment: str = ""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    others: int = 0
    """So many further label sets see the same."""

    def __str__(self) -> str:
        shown = f" (is {self.value})" if self.value else ""
        seen = f" [{self.where}]" if self.where else ""
        said = f"{self.path}{shown}: {self.why}{seen}"
        return f"{said}. {self.remedy}" if self.remedy else said

    @property
    def where(self) -> str:
        """Who would see it: environment and labels; empty where it is not about a target."""
        if not self.environment:
            return ""
        labels = ",".join(f"{k}={v}" for k, v in sorted(self.labels.items())) or "every reader"
        more = f" and {self.others} more" if self.others else ""
        return f"{self.environment}, {labels}{more}"

    def to_dict(self) -> dict[str, Json]:
        """The problem for programs."""
        return {
            "path": self.path,
            "rule": self.rule,
            "why": self.why,
            "remedy": self.remedy,
            "value": self.value,
            "severity": self.severity,
            "environment": self.environment,
            "labels": dict(self.labels),
            "others": self.others,
        }


class DocumentsRefused(ValidationError):
    """Documents that break rules; nothing changed. `problems` are all of them, those that refuse first."""

    code: ClassVar[str] = "document"

    def __init__(self, problems: Iterable[Problem], what: str = "This change is refused") -> None:
        self.problems = tuple(sorted(problems, key=lambda one: one.severity != "refuse"))
        more = len(self.problems) - MAX_SHOWN
        said = "; ".join(map(_told, self.problems[:MAX_SHOWN])) + (f"; and {more} more" if more > 0 else "")
        remedy = "" if any(one.remedy for one in self.problems) else "Change what is named here"
        super().__init__(what, said, remedy)

    def to_dict(self) -> dict[str, Json]:
        """The error for programs, with every problem."""
        return {**super().to_dict(), "problems": [one.to_dict() for one in self.problems]}


def _told(problem: Problem) -> str:
    """A problem in the words of a refusal, which some of them would not have caused."""
    return str(problem) if problem.severity == "refuse" else f"also, a warning only: {problem}"
