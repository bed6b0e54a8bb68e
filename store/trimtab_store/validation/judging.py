"""Judging one line: every document that changes against its shape, then every rule, for every group of targets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from trimtab.model import paths
from trimtab.model.canonical import Json
from trimtab.model.documents import Documents
from trimtab.model.problems import Problem
from trimtab.model.resolution import Absent
from trimtab_store.operations import EVERYTHING
from trimtab_store.validation.line import Group, Line
from trimtab_store.validation.registered import Registered, documents_in
from trimtab_store.validation.resolved import Content, Resolved, Seen, descend
from trimtab_store.validation.rules import Rule
from trimtab_store.validation.schemas import Schema

Found: TypeAlias = "tuple[Problem, Group]"
Shapes: TypeAlias = "Callable[[Registered, Content], Sequence[Problem]]"
"""What is wrong with a document by itself, whoever sees it."""


class Sight:
    """What a rule is shown of one group (`rules.Seen`)."""

    def __init__(
        self, line: Line, group: Group, changed: tuple[str, ...], reads: tuple[str, ...], known: Documents
    ) -> None:
        self.changed = changed
        self._line, self._group, self._known = line, group, known
        self._reads = reads
        self._scopes = frozenset({*changed, *reads})

    @property
    def environment(self) -> str:
        """The environment that is read."""
        return self._line.environment

    @property
    def labels(self) -> Mapping[str, str]:
        """One label set of the group."""
        return self._group.labels

    def contents(self) -> tuple[object, ...]:
        """All that can be seen: two sights with the same contents differ in nothing but labels."""
        line, group = self._line, self._group
        return (
            self.changed,
            tuple([line.new(one, group) for one in self.changed]),
            tuple([line.old(one, group) for one in self.changed]),
            tuple([line.after.layers(one, group.after) for one in self._reads]),
            tuple([line.before.layers(one, group.before) for one in self._reads]),
        )

    def at(self, path: str) -> Json | Absent:
        """What resolves at a path after the change."""
        return self._look(self._line.after, self._group.after, path)

    def before(self, path: str) -> Json | Absent:
        """What resolves there today."""
        return self._look(self._line.before, self._group.before, path)

    def documents(self, category: str) -> tuple[str, ...]:
        """The documents of a category that resolve after the change, of those that the rule reads."""
        found: set[str] = set()
        for scope in self._scopes:
            if scope == category or paths.is_below(scope, category):
                content = self._line.after.content(scope, self._group.after)
                found.update(self._known.of(path) for path, _ in content.leaves)
        return tuple(sorted(found))

    def _look(self, side: Resolved, seen: Seen, path: str) -> Json | Absent:
        for scope in (path, *paths.parents(path)):
            if scope in self._scopes:
                rest = paths.parse(path)[len(paths.parse(scope)) :]
                return descend(side.content(scope, seen).json, rest)
        raise LookupError(f"{path} is neither in a changed document nor in what the rule reads")


@dataclass(slots=True)
class Judgement:
    """What is asked about one line: which documents may differ, and which rules are concerned.

    `documents` hold what was edited. A rule that is new here, or asks for a label that the change moves, is asked about
    every document that it watches.
    """

    line: Line
    before: Registered
    after: Registered
    documents: tuple[str, ...]
    rules: Sequence[Rule]
    moved: frozenset[str] = frozenset()
    _all: tuple[str, ...] | None = field(default=None, init=False)

    def reads(self) -> set[str]:
        """What has to be read beside the documents themselves: for rules that are concerned."""
        found: set[str] = set()
        for rule in (*self.rules, *self.after.rules):
            if watched := self._watched(rule):
                found.update(rule.reads, self._also(rule, watched))
            if self._is_fresh(rule):
                found.add(EVERYTHING)
        found.update(schema.scope for schema in self._fresh_schemas())
        return found

    def problems(self, shapes: Shapes) -> Iterator[Found]:
        """Everything that is wrong, with the group that would see it."""
        yield from self._shapes(shapes)
        for rule in (*self.rules, *self.after.rules):
            yield from self._judge(rule)

    def _shapes(self, shapes: Shapes) -> Iterator[Found]:
        fresh = self._fresh_schemas()
        for document in self._everything() if fresh else self.documents:
            afresh = any(one.covers(paths.parse(document)) for one in fresh)
            judged: dict[Content, Sequence[Problem]] = {}
            for group in self.line.groups((document,)):
                content = self.line.new(document, group)
                if content.is_absent or not (afresh or self.line.differs(document, group)):
                    continue
                if content not in judged:
                    judged[content] = shapes(self.after, content)
                for problem in judged[content]:
                    yield problem, group

    def _fresh_schemas(self) -> list[Schema]:
        """The schemas that the change registers, or alters."""
        if self.after is self.before:
            return []
        held = set(self.before.schemas.values())
        return [one for one in self.after.schemas.values() if one not in held]

    def _judge(self, rule: Rule) -> Iterator[Found]:
        watched = self._watched(rule)
        if not watched:
            return
        reads = (*rule.reads, *self._also(rule, watched))
        fresh, known = self._is_fresh(rule), dict[object, Sequence[Problem]]()
        for group in self.line.groups({*watched, *reads}, rule.dimensions):
            afresh = fresh or group.moved
            asked = [one for one in watched if self._concerns(one, group, afresh=bool(afresh))]
            if asked:
                for problem in self._ask(
                    rule, Sight(self.line, group, tuple(asked), reads, self.after.documents), known
                ):
                    yield problem, group

    def _concerns(self, document: str, group: Group, *, afresh: bool) -> bool:
        """Whether a rule is asked about a document for a group: it changes, or the rule itself or its labels did."""
        return self.line.differs(document, group) or (afresh and self.line.shows(document, group))

    def _watched(self, rule: Rule) -> tuple[str, ...]:
        """The documents that a rule may be asked about, sorted."""
        return tuple(filter(rule.watches, self._everything() if self._asks_all(rule) else self.documents))

    def _also(self, rule: Rule, watched: Sequence[str]) -> tuple[str, ...]:
        """What a rule reads because of how documents change, for some target or other."""
        found: set[str] = set()
        for document in watched:
            for old, new in {
                (self.line.old(document, group), self.line.new(document, group))
                for group in self.line.groups((document,))
                if self.line.differs(document, group)
            }:
                found.update(rule.reads_also(document, old.json, new.json))
        return tuple(sorted(found - set(rule.reads)))

    def _ask(self, rule: Rule, sight: Sight, known: dict[object, Sequence[Problem]]) -> Sequence[Problem]:
        """What a rule says; it is not asked twice about the same contents."""
        key = (sight.contents(), tuple([sight.labels.get(one) for one in sorted(rule.dimensions)]))
        if key not in known:
            known[key] = tuple(rule.judge(sight))
        return known[key]

    def _is_fresh(self, rule: Rule) -> bool:
        return rule in self.after.rules and rule not in self.before.rules

    def _asks_all(self, rule: Rule) -> bool:
        return bool(self.moved & rule.dimensions) or self._is_fresh(rule)

    def _everything(self) -> tuple[str, ...]:
        if self._all is None:
            self._all = tuple(sorted({*self.documents, *documents_in(self.after, self.line.after.everything)}))
        return self._all
