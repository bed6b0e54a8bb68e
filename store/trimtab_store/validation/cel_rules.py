"""Users' rules: documents `rule.<name>` with an expression in CEL that is to be true of other documents.

A rule is asked about each document of its patterns that a change makes or alters, as each group of readers would see
it, and about all of them when something changes that it reads with `at()`. The expression sees `doc`, `before` (null
for a new document), `path`, `environment`, `labels` (by name only) and `removed`; it is asked about a document that
goes away only if it speaks of `removed`, and `doc` is then null. What cannot be evaluated does not hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from trimtab.model import documents, paths
from trimtab.model.canonical import Json
from trimtab.model.documents import Shape
from trimtab.model.problems import Problem, Severity
from trimtab.model.resolution import Absent
from trimtab_store.validation import cel_text, cel_values
from trimtab_store.validation.cel_faults import pattern_fault, texts, told
from trimtab_store.validation.cel_process import EVALUATOR, Exceeded
from trimtab_store.validation.cel_text import Expression
from trimtab_store.validation.rules import Rule, Seen

MODE: Final = "mode"
SECONDS: Final = 1.0
"""Of processor time, for all documents that a rule is asked about at once."""
_EXCEEDED: Final = "exceeded"
_SIMPLER: Final = "Make the rule simpler"


@dataclass(frozen=True)
class CelRule:
    """One rule, as it stands in its document. Two of the same content are one rule; `schemas` are the ones it uses."""

    name: str
    patterns: tuple[str, ...]
    cel: str
    message: str
    severity: Severity = "refuse"
    environments: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    declared: tuple[str, ...] = ()
    schemas: tuple[tuple[str, str], ...] = ()

    @property
    def expression(self) -> Expression:
        """The expression, read."""
        return cel_text.read(self.cel)

    @property
    def reads(self) -> tuple[str, ...]:
        """What it names with `at()`, and what its document declares."""
        return tuple(dict.fromkeys((*self.declared, *self.expression.reads)))

    @property
    def dimensions(self) -> frozenset[str]:
        """The labels that it names, and the mode where it holds in some modes only."""
        return self.expression.labels.union([MODE] if self.modes else [])

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """The segments of its patterns."""
        return tuple(documents.shape_of(pattern) for pattern in self.patterns)

    def watches(self, document: str) -> bool:
        """Whether it is about this document, or reads in it."""
        return self.is_about(document) or self._reads_in(document)

    def reads_also(self, document: str, before: Json | Absent, after: Json | Absent) -> tuple[str, ...]:
        """All that it is about, when something changes that it reads."""
        del before, after
        return tuple(_prefix(shape) for shape in self.shapes) if self._reads_in(document) else ()

    def judge(self, seen: Seen) -> Iterator[Problem]:
        """The documents for which the expression is not true."""
        if self.environments and seen.environment not in self.environments:
            return
        if self.modes and seen.labels.get(MODE) not in self.modes:
            return
        concerned = {document for document in seen.changed if self.is_about(document)}
        if any(map(self._reads_in, seen.changed)):
            found = (document for shape in self.shapes for document in seen.documents(_prefix(shape)))
            concerned.update(filter(self.is_about, found))
        left = SECONDS
        for document in sorted(concerned):
            answer = self._answer(seen, document)
            yield from self._problems(document, answer)
            left -= float(answer.get("seconds", 0.0))
            if left < 0:
                why = f"the rule takes more than {SECONDS:g} s of processor time for all its documents"
                yield self._problem(document, why, _SIMPLER, "refuse")
            if left < 0 or _EXCEEDED in answer:
                return

    def judge_one(self, seen: Seen, document: str) -> Iterator[Problem]:
        """What it says to one document: nothing if it holds."""
        return self._problems(document, self._answer(seen, document))

    def _problems(self, document: str, answer: Mapping[str, Any]) -> Iterator[Problem]:
        if _EXCEEDED in answer:
            why = f"the rule cannot be evaluated: {answer[_EXCEEDED]}"
            yield self._problem(document, why, _SIMPLER, "refuse")
        elif answer.get("value") is False:
            yield self._problem(document, self.message, "")
        elif answer.get("value") is not True:
            yield self._problem(document, *told(answer, self.cel))

    def _answer(self, seen: Seen, document: str) -> Mapping[str, Any]:
        """The answer of the first way to see the numbers in which they go together, else that of the first."""
        if isinstance(seen.at(document), Absent) and not self.expression.asks_removed:
            return {"value": True}
        first: Mapping[str, Any] | None = None
        for question in self._ways(seen, document):
            try:
                answer = EVALUATOR.ask(question)
            except Exceeded as error:
                return {_EXCEEDED: str(error)}
            if answer.get("error") != "TypeError":
                return answer
            first = first or answer
        assert first is not None
        return first

    def _ways(self, seen: Seen, document: str) -> Iterator[dict[str, Any]]:
        """With numbers by their types; if these do not go together, all in doubles; and then as they are stored."""
        schemas = dict(self.schemas)
        values = {"doc": _json(seen.at(document)), "before": _json(seen.before(document))}
        read = {path: _json(seen.at(path)) for path in self.expression.reads}
        words: dict[str, Json] = {
            "labels": {name: seen.labels[name] for name in sorted(self.dimensions) if name in seen.labels},
            "environment": seen.environment,
            "path": document,
            "removed": isinstance(seen.at(document), Absent),
        }

        def question(cel: str, variables: dict[str, Json], at: dict[str, Json]) -> dict[str, Any]:
            return {"do": "judge", "cel": cel, "variables": {**words, **variables}, "at": at}

        typed = {name: cel_values.typed(value, document, schemas) for name, value in values.items()}
        read_typed = {path: cel_values.typed(value, path, schemas) for path, value in read.items()}
        yield question(self.cel, typed, read_typed)
        yield question(self.expression.in_doubles, cel_values.in_doubles(typed), cel_values.in_doubles(read_typed))
        yield question(self.cel, values, read)

    def is_about(self, document: str) -> bool:
        """Whether one of its patterns names this document."""
        segments = paths.parse(document)
        return any(
            len(shape) == len(segments) and all(one in {None, two} for one, two in zip(shape, segments, strict=True))
            for shape in self.shapes
        )

    def _reads_in(self, document: str) -> bool:
        return any(
            path == document or paths.is_below(path, document) or paths.is_below(document, path) for path in self.reads
        )

    def _problem(self, document: str, why: str, remedy: str, severity: Severity | None = None) -> Problem:
        return Problem(path=document, rule=self.name, why=why, remedy=remedy, severity=severity or self.severity)


def _json(value: Json | Absent) -> Json:
    return None if isinstance(value, Absent) else value


def _prefix(shape: Shape) -> str:
    """The path at and below which all documents of a shape stand."""
    known: list[str] = []
    for segment in shape:
        if segment is None:
            break
        known.append(segment)
    return paths.join(known)


def rules_of(found: Iterable[tuple[str, Json]], schemas: Mapping[str, str] | None = None) -> tuple[Rule, ...]:
    """The rules of some documents `rule.<name>`, by name; of what `faults` would refuse there is none.

    `schemas`: pattern → text of the schemas that users registered, for the types of numbers.
    """
    made = (_rule(name, value, schemas or {}) for name, value in found)
    return tuple(rule for rule in made if rule is not None)


def _rule(name: str, value: Json, schemas: Mapping[str, str]) -> CelRule | None:
    if not isinstance(value, dict):
        return None
    patterns, cel, message = texts(value.get("documents")), value.get("cel"), value.get("message")
    if not patterns or not isinstance(cel, str) or not isinstance(message, str):
        return None
    if any(pattern_fault(pattern) for pattern in patterns) or cel_text.read(cel).faults:
        return None
    return CelRule(
        name=name,
        patterns=patterns,
        cel=cel,
        message=message,
        severity="warn" if value.get("severity") == "warn" else "refuse",
        environments=texts(value.get("environments")),
        modes=texts(value.get("modes")),
        declared=texts(value.get("reads")),
        schemas=tuple(sorted((pattern, text) for pattern, text in schemas.items() if pattern in patterns)),
    )
