"""The inspection of one change: what has to be read for it, whom it reaches in each line, and all that is wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, TypeAlias

from trimtab.model import labels, layers, paths
from trimtab.model.items import LeafEdit
from trimtab.model.layers import Selector
from trimtab.model.problems import DocumentsRefused, Problem
from trimtab.model.resolution import Absent
from trimtab_store import hooks
from trimtab_store.evolution import behind
from trimtab_store.hooks import Hook, Objection
from trimtab_store.operations import EVERYTHING
from trimtab_store.validation import shapes
from trimtab_store.validation.findings import Findings
from trimtab_store.validation.judging import Judgement, Shapes
from trimtab_store.validation.line import Line
from trimtab_store.validation.registered import EMPTY, REGISTRATIONS, Registered, documents_in
from trimtab_store.validation.resolved import Content, Contents
from trimtab_store.validation.rules import Rule
from trimtab_store.validation.schema_rules import PATTERNS, VERSIONS
from trimtab_store.validation.sides import Sides
from trimtab_store.validation.supposed import supposed, tells_bots_apart
from trimtab_store.validation.targets import LABELS_SCOPE, Labels, targets

Reported: TypeAlias = "Mapping[str, Sequence[Labels]]"


@dataclass(slots=True)
class Inspector:
    """What looks at changes before they are committed: rules, with shapes, unless `rules` is None; and hooks.

    It remembers what each environment registers, of which documents readers see different things, and what a change of
    a document had to read, so that a plan asks for all that it needs at once. Whatever is remembered is only a guess at
    that: what it leaves out is missing, and is read all the same.
    """

    rules: Sequence[Rule] | None = None
    hooks: Sequence[Hook] = ()
    _known: dict[str, Registered] = field(default_factory=dict[str, Registered])
    _apart: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    _needed: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict[tuple[str, str], tuple[str, ...]])

    @property
    def looks(self) -> bool:
        """Whether anything is looked at."""
        return self.rules is not None or bool(self.hooks)

    def known(self, environment: str) -> Registered:
        """What an environment registered when it was last looked at."""
        return self._known.get(environment, EMPTY)

    def scopes(self, environment: str, touched: Sequence[str]) -> list[str]:
        """What a change of these paths probably needs: whole documents, labels, registrations, what rules read."""
        known = self.known(environment)
        found = [known.scope(path) if path else path for path in touched]
        if self.hooks or any((environment, scope) in self._apart for scope in found):
            found.append(LABELS_SCOPE)
        if self.rules is None:
            return found
        needed = self._needed.get((environment, found[0])) if len(touched) == 1 else None
        return [*found, *REGISTRATIONS, *(self._guessed(known, touched) if needed is None else needed)]

    def _guessed(self, known: Registered, touched: Sequence[str]) -> list[str]:
        """What a change of these paths needs beside what it touches, as far as can be told before anything is read."""
        found: list[str] = []
        for rule in (*(self.rules or ()), *known.rules):
            if any(rule.watches(document) for path in touched if path for document in known.holding(path)):
                found += rule.reads
        stamps = behind.scopes((known.documents.of(path) for path in touched if path), known.schemas.values())
        return [*found, *stamps]

    def inspect(
        self,
        environment: str,
        sides: Mapping[str, Sides],
        edits: Sequence[LeafEdit],
        reported: Reported,
        *,
        settled: bool = False,
    ) -> Inspection:
        """The inspection of some edits. `settled`: they bring back what was, so no schema needs a higher version."""
        edited = [layers.parse(text) for text in sorted({edit.layer for edit in edits})]
        subject = Subject(environment, sides, edited, sorted({edit.path for edit in edits}), reported)
        return Inspection(self, subject, tuple(edits), self._rules(settled=settled))

    def inspect_lines(self, subject: Subject) -> Inspection:
        """The inspection of what no edits made: a change of structure, or all that is stored."""
        return Inspection(self, subject, (), self._rules(settled=True))

    def _rules(self, *, settled: bool) -> Sequence[Rule] | None:
        if self.rules is None:
            return None
        return (PATTERNS, *self.rules) if settled else (PATTERNS, VERSIONS, *self.rules)

    def learn(self, environment: str, registered: Registered) -> None:
        """Remember what an environment registers."""
        self._known[environment] = registered

    def learn_apart(self, environment: str, scopes: Iterable[str]) -> None:
        """Remember that readers of these documents have to be known."""
        if len(self._apart) > _REMEMBERED:
            self._apart.clear()
        self._apart.update((environment, scope) for scope in scopes)

    def learn_needed(self, environment: str, scope: str, needed: Collection[str]) -> None:
        """Remember what a change of one document had to read; of much nothing."""
        if len(self._needed) > _REMEMBERED:
            self._needed.clear()
        self._needed[environment, scope] = tuple(sorted(needed)) if len(needed) <= _FEW else ()


_REMEMBERED: Final = 10_000
_FEW: Final = 32


@dataclass(frozen=True, slots=True)
class Subject:
    """What is inspected: the lines, the layers and paths that may differ in them, and the labels that agents report."""

    environment: str
    sides: Mapping[str, Sides]
    edited: Sequence[Selector]
    touched: Sequence[str]
    reported: Reported = field(default_factory=dict[str, Sequence[Labels]])


class Inspection:
    """One change in every line that it extends."""

    def __init__(
        self, inspector: Inspector, subject: Subject, edits: tuple[LeafEdit, ...], rules: Sequence[Rule] | None
    ) -> None:
        self._inspector, self._subject, self._edits, self._rules = inspector, subject, edits, rules
        contents = Contents()
        first = subject.environment  # the edited one is named first
        ordered = sorted(subject.sides, key=lambda name: (name != first, name))
        self._judgements = [self._of(Line(subject.sides[name], contents)) for name in ordered]
        inspector.learn(first, self._judgements[0].after)

    def missing(self, scopes: Sequence[str]) -> tuple[str, ...]:
        """What has to be read beside these scopes before anything can be said."""
        read = set(scopes)
        if EVERYTHING in read:
            return ()
        whole: set[str] = set()
        needed: set[str] = set()
        for one in self._judgements:
            if one.moved:
                return (EVERYTHING,)  # other labels may show any overlay
            sides = (one.before,) if one.before is one.after else (one.before, one.after)
            whole.update(registered.scope(path) for path in self._subject.touched for registered in sides)
            needed.update(one.reads())
            needed.update(behind.scopes(one.documents, one.after.schemas.values()))
        found = sorted(path for path in whole | needed if path not in read and read.isdisjoint(paths.parents(path)))
        if not found and len(whole) == 1:
            self._inspector.learn_needed(self._subject.environment, min(whole), needed - whole)
        if not found and read.isdisjoint({LABELS_SCOPE, *paths.parents(LABELS_SCOPE)}) and self._asks_who():
            found.append(LABELS_SCOPE)
        return tuple(found)

    def _asks_who(self) -> bool:
        """Whether it matters who the readers are: they see different things, or one of them is to be named."""
        if any(map(labels.is_label_path, self._subject.touched)) or any(one.tells_apart() for one in self._judgements):
            scopes = (self._judgements[0].after.scope(path) for path in self._subject.touched)
            self._inspector.learn_apart(self._subject.environment, scopes)
            return True
        return bool(self.problems)

    @cached_property
    def problems(self) -> Sequence[Problem]:
        """Everything that is wrong with documents, whether or not it refuses."""
        if self._rules is None:
            return ()
        findings = Findings()
        for problem in shapes.misplaced(self._edits):
            findings.note(problem)
        for one in self._judgements:
            for problem, group in one.problems(_shapes(one.line)):
                findings.add(problem, one.line.environment, group)
            for problem in one.line.supposed.told(one.line.environment, one.documents):
                findings.note(problem)
        return findings.problems()

    def warnings(self, author: str, *, urgent: bool = False) -> tuple[str, ...]:
        """Judge everything. Raises `DocumentsRefused` with all that is wrong, `HookRefused` if only hooks refuse."""
        problems = self.problems
        objections: list[Objection] = []
        for one in self._judgements:
            objections += hooks.ask(self._inspector.hooks, one.line, one.documents, (author, urgent))
        if any(problem.severity == "refuse" for problem in problems):
            raise DocumentsRefused([*problems, *(objection.problem() for objection in objections)])
        hooks.check(objections)
        return (*map(str, problems), *map(str, objections))

    def _of(self, line: Line) -> Judgement:
        subject, before, after = self._subject, EMPTY, EMPTY
        if self._rules is not None:
            before, after = Registered.of(line.before), Registered.of(line.after)
        touched = self._below(line, max(before.depth, after.depth))
        documents = documents_in(before, touched) | documents_in(after, touched)
        moves = any(map(labels.is_label_path, subject.touched))
        reported = subject.reported.get(line.environment, ())
        line.targets = targets(
            line.before, line.after, subject.edited, _overlays(line, documents), reported, moves=moves
        )
        moved = frozenset[str]()
        if moves:
            moved = moved.union(*(target.moved for target in line.targets))
            documents |= documents_in(after, line.after.under(moved))
        if overlays := _overlays(line, documents):
            apart = tells_bots_apart((*(self._rules or ()), *after.rules), documents, moved)
            line.supposed = supposed(line.before, line.after, line.targets, overlays, apart=apart)
        rules = self._rules or ()
        if not moved:  # a moved label may concern rules about documents that nobody touches
            rules = _concerned(rules, documents)
        return Judgement(line, before, after, tuple(sorted(documents)), rules, moved)

    def _below(self, line: Line, depth: int) -> set[str]:
        """The touched paths, and for one above documents the items that stand below it."""
        found = set(self._subject.touched)
        for path in self._subject.touched:
            if len(paths.parse(path)) < depth:
                for side in (line.before, line.after):
                    found.update(side.below(path))
        return found


def _concerned(rules: Iterable[Rule], documents: Iterable[str]) -> Sequence[Rule]:
    """The rules that may watch one of some documents: those of their categories, and those that name none."""
    named = {document.partition(".")[0] for document in documents}
    return [rule for rule in rules if (own := getattr(rule, "categories", None)) is None or not named.isdisjoint(own)]


def _overlays(line: Line, documents: Iterable[str]) -> Sequence[Selector]:
    """The selectors of the overlays that have a say about some documents after the change."""
    return line.after.selectors({rank for document in documents for rank in line.after.overlays(document)})


def _shapes(line: Line) -> Shapes:
    """What is wrong with a document of a line by itself, tempered where it waits for its upgrade."""

    def problems(registered: Registered, content: Content) -> Sequence[Problem]:
        found = shapes.problems_of(registered, content)
        value = content.json
        return found if isinstance(value, Absent) else behind.tempered(found, line.after.state, content.path, value)

    return problems
