"""What groups of targets are told is what each target would be told on its own, resolved by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
from hypothesis import given

from trimtab.model import canonical, labels, layers, resolution, states
from trimtab.model.canonical import Json
from trimtab.model.documents import document_of
from trimtab.model.items import Item, LeafEdit
from trimtab.model.problems import DocumentsRefused, Problem
from trimtab.model.resolution import ABSENT, Absent
from trimtab.model.states import State
from trimtab.model.structure import Lineage
from trimtab.model.trees import HIDDEN
from trimtab.model.values import thaw
from trimtab_store.validation.inspection import Inspector
from trimtab_store.validation.rules import Seen
from trimtab_store.validation.sides import Sides

DIMENSIONS = ("region", "mode", "bot")
ENVIRONMENTS = ("base", "production")
LAYERS = ("", "mode=live", "mode=paper", "region=ny4", "bot=a", "bot=b", "bot=a,region=ny4", "mode=live,region=ny4")
LABEL_LAYERS = ("", "bot=a", "region=ny4")
PATHS = ("x.d.f", "x.d.g", "x.e.f", "y.d.f")
WATCHED = ("x.d", "x.e", "y.d")

Labels = Mapping[str, str]
Seens = tuple[str, str, bool]


@dataclass(frozen=True)
class Telling:
    """A rule that tells everything that it is shown, so that nothing may be mixed up."""

    dimensions: frozenset[str]
    reads: tuple[str, ...]
    watched: frozenset[str]
    name: str = "telling"

    def watches(self, document: str) -> bool:
        return document in self.watched

    def reads_also(self, document: str, before: Json | Absent, after: Json | Absent) -> tuple[str, ...]:
        del before
        return ("y.d",) if document == "x.e" or after is ABSENT else ()

    def judge(self, seen: Seen) -> Iterable[Problem]:
        asked = {name: seen.labels.get(name) for name in sorted(self.dimensions)}
        for document in seen.changed:
            also = self.reads_also(document, seen.before(document), seen.at(document))
            looks = [(path, seen.before(path), seen.at(path)) for path in (document, *self.reads, *also)]
            yield Problem(path=document, rule=self.name, why=f"{seen.environment} {seen.changed} {asked} {looks}")


@dataclass(frozen=True)
class Alone:
    """What one target sees, each path resolved on its own."""

    sides: Sides
    environment: str
    old: Labels
    labels: Labels
    changed: tuple[str, ...]

    def at(self, path: str) -> Json | Absent:
        return plain(self.sides.after, self.labels, path)

    def before(self, path: str) -> Json | Absent:
        return plain(self.sides.before, self.old, path)

    def documents(self, category: str) -> tuple[str, ...]:
        raise AssertionError(category)


def plain(state: State, seen: Labels, path: str) -> Json | Absent:
    value = resolution.resolve_at(state, seen, path)
    return value if isinstance(value, Absent) else thaw(value)


def content(value: object) -> bytes:
    return HIDDEN if value is ABSENT else canonical.encode(value)


places = st.tuples(st.sampled_from(LAYERS), st.sampled_from(PATHS)) | st.tuples(
    st.sampled_from(LABEL_LAYERS),
    st.sampled_from(("fleet.bots.a.labels.mode", "fleet.bots.b.labels.mode", "fleet.bots.c.labels.mode")),
)


@st.composite
def contents(draw: st.DrawFn) -> dict[tuple[str, str, str], bytes]:
    """Items of both environments by environment, layer and path."""
    found: dict[tuple[str, str, str], bytes] = {}
    for environment in ENVIRONMENTS:
        for layer, path in draw(st.lists(places, max_size=7)):
            found[environment, layer, path] = value_for(draw, path)
        for layer, path in draw(st.lists(st.tuples(st.sampled_from(LAYERS), st.sampled_from(WATCHED)), max_size=1)):
            found[environment, layer, path] = HIDDEN
    return found


def value_for(draw: st.DrawFn, path: str) -> bytes:
    values = ("live", "paper") if path.startswith("fleet") else (1, 1.0, 2, ABSENT)
    return content(draw(st.sampled_from(values)))


@st.composite
def edits(draw: st.DrawFn) -> list[LeafEdit]:
    found: dict[tuple[str, str], LeafEdit] = {}
    for layer, path in draw(st.lists(places, min_size=1, max_size=3)):
        value = value_for(draw, path)
        verb: Any = draw(st.sampled_from(["remove", "put"] if value else ["remove", "hide"]))
        found[layer, path] = LeafEdit(layer, path, verb, value) if verb == "put" else LeafEdit(layer, path, verb)
    return list(found.values())


rules = st.builds(
    Telling,
    st.frozensets(st.sampled_from(DIMENSIONS)),
    st.sampled_from([(), ("x.e",), ("y",)]),
    st.frozensets(st.sampled_from(WATCHED), min_size=1),
)
reports: st.SearchStrategy[list[dict[str, str]]] = st.lists(
    st.sampled_from([{"bot": bot, **more} for bot in "abz" for more in ({}, {"region": "ny4"})]), max_size=3
)


def sides_of(found: Mapping[tuple[str, str, str], bytes], changed: list[LeafEdit], edited: str) -> dict[str, Sides]:
    made: dict[str, Sides] = {}
    for depth, name in enumerate(ENVIRONMENTS, 1):
        if name >= edited:
            lineage = Lineage(ENVIRONMENTS[:depth], DIMENSIONS)
            held = (Item(*place, value) for place, value in found.items() if place[0] in lineage.environments)
            before = states.build(lineage, held)
            made[name] = Sides(before, before.apply(edited, changed))
    return made


def identities(sides: Sides, changed: list[LeafEdit], reported: list[dict[str, str]]) -> Iterator[tuple[Labels, bool]]:
    edited = [layers.parse(edit.layer) for edit in changed]
    bots = {*labels.declared_bots(sides.before), *labels.declared_bots(sides.after)}
    declared: list[dict[str, str]] = []
    for bot in bots:
        declared += [{"bot": bot}, *({"bot": bot, "region": "ny4"} for one in edited if "region" in one.dimensions)]
    if not bots:
        touched = {document_of(edit.path) for edit in changed}
        declared += [{}, *(dict(one.labels) for one in edited)]
        for _, layer in sides.after.trees:
            held = [item.path for item in sides.after.items() if item.layer == layer]
            if any(document_of(path) in touched or path in touched for path in held):
                declared.append(dict(layers.parse(layer).labels))
    distinct = {tuple(sorted(one.items())): one for one in declared}
    yield from ((one, True) for one in distinct.values())
    others = {tuple(sorted(one.items())): one for one in reported}
    yield from ((one, False) for key, one in others.items() if key not in distinct)


def supposed(rule: Telling, sides: Sides, changed: list[LeafEdit], known: list[Labels]) -> Iterator[tuple[Labels, int]]:
    """Declared bots at the one region that there is, where an overlay of what is in question names it: not in `known`.

    Of bots with the same labels that no overlay names the first one, with the number of those that it stands for; each
    by itself where the rule asks which bot it is.
    """
    bots = sorted({*labels.declared_bots(sides.before), *labels.declared_bots(sides.after)})
    selectors = [layers.parse(layer) for side in (sides.before, sides.after) for _, layer in side.trees]
    places = {
        dict(layers.parse(item.layer).labels)["region"]
        for side in (sides.before, sides.after)
        for item in side.items()
        if item.path.startswith("fleet") and "region" in item.layer
    }
    alike: dict[object, list[str]] = {}
    for bot in bots:
        old, new = (dict(labels.effective(side, {"bot": bot})) for side in (sides.before, sides.after))
        alone = places or "bot" in rule.dimensions or any(("bot", bot) in one.labels for one in selectors)
        key = bot if alone else (old.get("mode"), new.get("mode"))
        alike.setdefault(key, []).append(bot)
    holding = in_question(sides, changed, [{"bot": bot} for bot in bots])
    for same in alike.values():
        at = [{"bot": bot, "region": "ny4"} for bot in same]
        left = [identity for identity in at if identity not in known]
        if left and any(one.matches(labels.effective(sides.after, left[0])) for one in holding):
            yield left[0], len(left)


def in_question(sides: Sides, changed: list[LeafEdit], bots: list[Labels]) -> list[layers.Selector]:
    """The selectors with a region of the overlays that have a say about what is edited, or that a moved label shows."""
    touched = {document_of(edit.path) for edit in changed}
    moved = set[str]()
    for identity in bots if any(labels.is_label_path(edit.path) for edit in changed) else ():
        old, new = labels.effective(sides.before, identity), labels.effective(sides.after, identity)
        moved |= {one for one in old.keys() | new.keys() if old.get(one) != new.get(one)}
    for item in sides.after.items():
        if moved & set(layers.parse(item.layer).dimensions):
            touched.add(document_of(item.path))
    return [
        layers.parse(item.layer)
        for item in sides.after.items()
        if "region" in item.layer and (document_of(item.path) in touched or item.path in touched)
    ]


def told_alone(
    rule: Telling, name: str, sides: Sides, found: Iterable[tuple[Labels, bool]]
) -> Iterator[tuple[Problem, Labels, bool]]:
    held = sorted({document_of(item.path) for item in sides.after.items()})
    for identity, declared in found:
        old, new = labels.effective(sides.before, identity), labels.effective(sides.after, identity)
        moved = {one for one in old.keys() | new.keys() if old.get(one) != new.get(one)}
        alone = Alone(sides, name, old, new, ())
        asked = {one for one in WATCHED if differ(alone, one)}
        if moved & rule.dimensions:
            asked |= {one for one in held if not (alone.at(one) is ABSENT and alone.before(one) is ABSENT)}
        watched = tuple(sorted(one for one in asked if rule.watches(one)))
        for problem in rule.judge(Alone(sides, name, old, new, watched)) if watched else ():
            yield problem, new, declared


def differ(alone: Alone, path: str) -> bool:
    one, other = alone.before(path), alone.at(path)
    if isinstance(one, Absent) or isinstance(other, Absent):
        return one is not other
    return canonical.encode(one) != canonical.encode(other)


@given(contents(), edits(), rules, reports, st.sampled_from(ENVIRONMENTS))
def test_groups_are_told_what_each_target_would_be_told_alone(
    found: dict[tuple[str, str, str], bytes],
    changed: list[LeafEdit],
    rule: Telling,
    reported: list[dict[str, str]],
    edited: str,
) -> None:
    sides = sides_of(found, changed, edited)
    expected: dict[str, list[tuple[Labels, bool]]] = {}
    guessed: dict[str, list[tuple[Labels, int]]] = {}
    for name, line in sides.items():
        known = list(identities(line, changed, reported))
        for problem, seen, declared in told_alone(rule, name, line, known):
            expected.setdefault(f"{problem.path}: {problem.why}", []).append((seen, declared))
        for identity, bots in supposed(rule, line, changed, [one for one, _ in known]):
            for problem, seen, _ in told_alone(rule, name, line, [(identity, False)]):
                guessed.setdefault(f"{problem.path}: {problem.why}", []).append((seen, bots))
    told = problems_of(Inspector([rule]), edited, sides, changed, dict.fromkeys(ENVIRONMENTS, reported))
    assert {f"{one.path}: {one.why}" for one in told} == set(expected) | set(guessed)
    for problem in told:
        targets = expected.get(f"{problem.path}: {problem.why}", [])
        others = guessed.get(f"{problem.path}: {problem.why}", [])
        assert problem.others + 1 == (len(targets) or sum(bots for _, bots in others))
        assert problem.severity == ("refuse" if any(declared for _, declared in targets) else "warn")
        assert (dict(problem.labels), problem.severity == "refuse") in [
            (dict(one), declared) for one, declared in targets or [(seen, False) for seen, _ in others]
        ]


def problems_of(
    inspector: Inspector, edited: str, sides: dict[str, Sides], changed: list[LeafEdit], reported: dict[str, Any]
) -> tuple[Problem, ...]:
    try:
        return tuple(inspector.inspect(edited, sides, changed, reported).problems)
    except DocumentsRefused as refused:
        return refused.problems
