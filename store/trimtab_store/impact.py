"""Impact: who would see what differently after a change, leaf by leaf, before anything is committed.

Readers are asked for in every line that the change would extend: every declared bot, every agent that reported to
Postgres and has not closed, and for each edited layer whoever has just its labels. A reader whose labels the change
moves (a bot from paper to live) is compared as a whole, every other only where the edits reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from trimtab.model import labels, layers, paths, resolution
from trimtab.model.canonical import Json
from trimtab.model.items import LeafEdit
from trimtab.model.layers import IDENTITY_DIMENSIONS
from trimtab.model.states import LayerKey, State
from trimtab.model.trees import Node
from trimtab_store.masking import Secrets
from trimtab_store.sight import Sight

Labels: TypeAlias = "Mapping[str, str]"
Leaf: TypeAlias = "bytes | None"
Changes: TypeAlias = "Mapping[str, tuple[Leaf, Leaf]]"
_EMPTY_OBJECT = b"{}"


@dataclass(frozen=True, slots=True)
class Reader:
    """Who would see it: a label set, a declared bot, or an agent by the name that it reported; `labels` afterwards."""

    kind: Literal["labels", "bot", "agent"]
    name: str
    labels: Labels = field(hash=False)

    def __str__(self) -> str:
        if self.kind != "labels":
            return f"{self.kind} {self.name}"
        return layers.of(self.labels).text or "every reader"

    def to_dict(self) -> dict[str, Json]:
        """The reader for programs."""
        return {"kind": self.kind, "name": self.name, "labels": dict(self.labels)}


@dataclass(frozen=True, slots=True)
class Effect:
    """One leaf that some readers of an environment would see differently: canonical bytes, None where nothing shows."""

    environment: str
    path: str
    old: Leaf
    new: Leaf
    readers: tuple[Reader, ...]


@dataclass(frozen=True, slots=True)
class Impact:
    """Every effect of a change, by environment and path; `edits` is what it would do to the items themselves.

    `revision` is the head that it was worked out against; `secrets` tells which of the values nobody is to see.
    """

    environment: str
    revision: int
    edits: tuple[LeafEdit, ...] = ()
    effects: tuple[Effect, ...] = ()
    secrets: Secrets = field(default_factory=Secrets)

    @property
    def readers(self) -> tuple[tuple[str, Reader], ...]:
        """Everybody who would see anything differently, with the environment, each once."""
        found = {(one.environment, reader.kind, reader.name): reader for one in self.effects for reader in one.readers}
        return tuple((environment, reader) for (environment, _, _), reader in sorted(found.items(), key=lambda e: e[0]))


@dataclass(frozen=True, slots=True)
class Asked:
    """A reader to ask: the identity that it brings. `fixed` ones keep exactly these labels."""

    kind: Literal["labels", "bot", "agent"]
    name: str
    identity: Labels
    fixed: bool = False

    def seen(self, sight: Sight) -> Labels:
        """The labels that it is read with."""
        return self.identity if self.fixed else sight.labels(self.identity)


def asked(before: State, after: State, edits: Iterable[LeafEdit], agents: Mapping[str, Labels]) -> list[Asked]:
    """Everybody to ask in one line; `agents`: the identity labels of each agent that reported, by name."""
    selectors = sorted({layers.parse(edit.layer) for edit in edits})
    found = [Asked("labels", one.text, dict(one.labels), fixed=True) for one in selectors]
    places = [{k: v for k, v in one.labels if k in IDENTITY_DIMENSIONS - {"bot"}} for one in selectors]
    for bot in sorted({*labels.declared_bots(before), *labels.declared_bots(after)}):
        for place in [{}, *(place for place in places if place)]:
            at = layers.of(place).text
            found.append(Asked("bot", f"{bot} ({at})" if at else bot, {"bot": bot, **place}))
    return [*found, *(Asked("agent", name, identity) for name, identity in sorted(agents.items()))]


def scopes_of(edits: Sequence[LeafEdit], *found: State) -> set[str]:
    """The paths at and below which the edits reach: their own, and an empty object above that may begin to show."""
    above = {one for edit in edits for one in paths.parents(edit.path)}
    hollow = {one for state in found for key in state.trees for one in above if _is_hollow(state, key, one)}
    reached = {edit.path for edit in edits} | hollow
    return {one for one in reached if reached.isdisjoint(paths.parents(one))}


def moved(before: State, after: State, readers: Iterable[Asked]) -> bool:
    """Whether somebody would be read with other labels."""
    old, new = Sight(before), Sight(after)
    return any(one.seen(old) != one.seen(new) for one in readers)


def effects(before: State, after: State, readers: Sequence[Asked], scopes: Iterable[str]) -> Iterator[Effect]:
    """What readers of one line would see differently; whoever is read with other labels is compared as a whole."""
    looking = sorted(scopes)
    was, will = Sight(before), Sight(after)
    known: dict[object, Changes] = {}
    grouped: dict[tuple[str, Leaf, Leaf], list[Reader]] = {}
    for one in readers:
        old, new = one.seen(was), one.seen(will)
        compared = [""] if old != new else looking
        key = (was.matching(old), will.matching(new), old != new)
        if key not in known:
            known[key] = _changes(_leaves(was.trees(old), compared), _leaves(will.trees(new), compared))
        for path, pair in known[key].items():
            grouped.setdefault((path, *pair), []).append(Reader(one.kind, one.name, new))
    for (path, left, right), seen in sorted(grouped.items(), key=lambda entry: (entry[0][0], str(entry[0][1:]))):
        yield Effect(before.lineage.environment, path, left, right, tuple(seen))


def _changes(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> Changes:
    return {path: (old.get(path), new.get(path)) for path in old.keys() | new.keys() if old.get(path) != new.get(path)}


def _leaves(root: Sequence[Node], scopes: Iterable[str]) -> dict[str, bytes]:
    """Every leaf that a reader of these layers sees at and below some paths; the empty one is everything."""
    found: dict[str, bytes] = {}
    for scope in scopes:
        branches = resolution.branches_at(root, paths.parse(scope)) if scope else root
        found.update(resolution.leaves(branches, scope))
    return found


def _is_hollow(state: State, key: LayerKey, path: str) -> bool:
    return state.content(*key, path) == _EMPTY_OBJECT
