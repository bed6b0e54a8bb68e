"""Judging one line: every document that changes against its shape, then every rule, for every group of targets."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from trimtab.model import paths
from trimtab.model.canonical import Json
from trimtab.model.documents import Documents
from trimtab.model.problems import Problem
from trimtab.model.resolution import Absent
from trimtab_store.operations import EVERYTHING
from trimtab_store.validation.builtin_rule import BuiltInRule
from trimtab_store.validation.cel_rules import CelRule
from trimtab_store.validation.line import Group, Line
from trimtab_store.validation.registered import Registered, documents_in
from trimtab_store.validation.resolved import Content, Resolved, Seen, descend
from trimtab_store.validation.rules import Rule
from trimtab_store.validation.schemas import Schema, prefix
from trimtab_store.validation.targets import LABELS_SCOPE

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
        self._scopes = frozenset({*changed, *reads})

    @property
    def environment(self) -> str:
        """The environment that is read."""
        return self._line.environment

    @property
    def labels(self) -> Mapping[str, str]:
        """One label set of the group."""
        return self._group.labels

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
                found.update(map(self._known.of, content.leaves()))
        return tuple(sorted(found))

    def _look(self, side: Resolved, seen: Seen, path: str) -> Json | Absent:
        if path in self._scopes:
            return side.content(path, seen).json
        for scope in paths.parents(path):
            if scope in self._scopes:
                rest = paths.parse(path)[len(paths.parse(scope)) :]
                return descend(side.content(scope, seen).json, rest)
        raise LookupError(f"{path} is neither in a changed document nor in what the rule reads")


class Today(Sight):
    """What a group sees as if the change were nothing."""

    def at(self, path: str) -> Json | Absent:
        """What resolves at a path before the change."""
        return self.before(path)


def _without(found: Iterable[Problem], known: Iterable[Problem]) -> tuple[Problem, ...]:
    """What is wrong that was not before: who is only supposed to be there is told of nothing else."""
    before = list(known)
    return tuple(problem for problem in found if problem not in before)


def scopes_of(rule: Rule) -> Sequence[str]:
    """Where everything stands that a rule may watch."""
    return [prefix(shape) for shape in rule.shapes] if isinstance(rule, CelRule) else (EVERYTHING,)


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What a rule is asked: about `watched` documents where they differ, and about those of `afresh` whether or not.

    The latter by all if the rule is new here, else by those whose labels the change moves.
    """

    rule: Rule
    watched: tuple[str, ...]
    afresh: tuple[str, ...]
    reads: tuple[str, ...]
    is_fresh: bool


@dataclass
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

    def __post_init__(self) -> None:
        self._ways: dict[str, Sequence[tuple[Content, Content]]] = {}
        self._inquiries = [
            inquiry for rule in (*self.rules, *self.after.rules) if (inquiry := self._inquiry(rule)) is not None
        ]

    def reads(self) -> set[str]:
        """What has to be read beside the documents themselves: for rules that are concerned."""
        found = {schema.scope for schema in self._fresh_schemas()}
        found.update(scope for rule in self.after.rules if self._is_fresh(rule) for scope in scopes_of(rule))
        return found.union(*(one.reads for one in self._inquiries))

    def tells_apart(self) -> bool:
        """Whether readers may see different things of what is judged, or a rule asks for their labels."""
        if self.moved or any(one.rule.dimensions for one in self._inquiries):
            return True
        looked = {*self.documents, *(path for one in self._inquiries for path in (*one.afresh, *one.reads))}
        return any(self.line.before.overlays(path) or self.line.after.overlays(path) for path in looked)

    def problems(self, shapes: Shapes) -> Iterator[Found]:
        """Everything that is wrong, with the group that would see it."""
        yield from self._shapes(shapes)
        for one in self._inquiries:
            yield from self._judge(one)

    def _shapes(self, shapes: Shapes) -> Iterator[Found]:
        fresh = self._fresh_schemas()
        for document in self._everything if fresh else self.documents:
            afresh = any(one.covers(paths.parse(document)) for one in fresh)
            judged: dict[Content, Sequence[Problem]] = {}
            for group in self._groups(document):
                content = self.line.new(document, group)
                if content.is_absent or not (afresh or self.line.differs(document, group)):
                    continue
                if content not in judged:
                    judged[content] = shapes(self.after, content)
                found = judged[content]
                if found and group.supposed and not afresh:
                    found = _without(found, shapes(self.after, self.line.old(document, group)))
                for problem in found:
                    yield problem, group

    def _fresh_schemas(self) -> list[Schema]:
        """The schemas that the change registers, or alters."""
        if self.after is self.before:
            return []
        held = set(self.before.schemas.values())
        return [one for one in self.after.schemas.values() if one not in held]

    def _inquiry(self, rule: Rule) -> Inquiry | None:
        """What a rule is to be asked; None if nothing here concerns it."""
        is_fresh = self._is_fresh(rule)
        watched = tuple(filter(rule.watches, self.documents))
        afresh: tuple[str, ...] = ()
        if is_fresh:
            afresh = tuple(filter(rule.watches, self._everything))
        elif self.moved & rule.dimensions:
            # what other bots are labelled is nothing new to a bot whose own label moves
            afresh = tuple(
                one for one in self._everything if not paths.is_below(one, LABELS_SCOPE) and rule.watches(one)
            )
        if not watched and not afresh:
            return None
        return Inquiry(rule, watched, afresh, (*rule.reads, *self._also(rule, watched, afresh)), is_fresh)

    def _is_fresh(self, rule: Rule) -> bool:
        return rule in self.after.rules and rule not in self.before.rules

    def _also(self, rule: Rule, watched: Sequence[str], afresh: Sequence[str]) -> tuple[str, ...]:
        """What a rule reads because of how documents change, or are, for some target or other."""
        if getattr(type(rule), "reads_also", None) is BuiltInRule.reads_also:
            return ()  # it says so for every way: a thousand bots have a thousand
        found, again = set[str](), frozenset(afresh)
        for document in {*watched, *afresh}:
            for old, new in self._ways_of(document):
                if old is new and document not in again:
                    continue
                if also := rule.reads_also(document, old.json, new.json):
                    found.update(also)
        return tuple(sorted(found - set(rule.reads)))

    def _ways_of(self, document: str) -> Sequence[tuple[Content, Content]]:
        """What some target sees of a document before and after, where it sees anything."""
        known = self._ways.get(document)
        if known is None:
            seen = {(self.line.old(document, one), self.line.new(document, one)) for one in self._groups(document)}
            known = self._ways[document] = [way for way in seen if not (way[0].is_absent and way[1].is_absent)]
        return known

    def _groups(self, document: str) -> list[Group]:
        return self.line.groups((document,))

    def _judge(self, asked: Inquiry) -> Iterator[Found]:
        """Ask a rule about every group, once for those to whom all that it may look at is the same."""
        before, after = self.line.before, self.line.after
        telling = [one for one in asked.reads if before.overlays(one) or after.overlays(one)]
        known: dict[object, Sequence[Problem]] = {}
        for group in self.line.groups({*asked.watched, *asked.afresh, *asked.reads}, asked.rule.dimensions):
            afresh = asked.is_fresh or bool(group.moved)
            looked = {*asked.watched, *asked.afresh} if afresh else asked.watched
            key = (
                afresh,
                tuple([before.content(one, group.before) for one in looked]),
                tuple([after.content(one, group.after) for one in looked]),
                tuple([(before.layers(one, group.before), after.layers(one, group.after)) for one in telling]),
                tuple([group.labels.get(one) for one in asked.rule.dimensions]),
            )
            if key not in known:
                known[key] = self._ask(asked, group)
            for problem in known[key]:
                yield problem, group

    def _ask(self, asked: Inquiry, group: Group) -> Sequence[Problem]:
        line = self.line
        changed = {one for one in asked.watched if line.differs(one, group)}
        if asked.is_fresh or group.moved:
            changed.update(one for one in asked.afresh if line.shows(one, group))
        if not changed:
            return ()
        what = line, group, tuple(sorted(changed)), asked.reads, self.after.documents
        found = tuple(asked.rule.judge(Sight(*what)))
        if found and group.supposed and not (asked.is_fresh or group.moved):
            with contextlib.suppress(LookupError):  # what it would read because a document is as it was, nobody read
                return _without(found, asked.rule.judge(Today(*what)))
        return found

    @cached_property
    def _everything(self) -> tuple[str, ...]:
        """Every document that the line holds, and those in question."""
        return tuple(sorted({*self.documents, *documents_in(self.after, self.line.after.everything)}))
