"""The oracle: what every revision of every line holds, and what a reader must see of it. Slow and plain on purpose.

It reads the bytes of committed changes as JSON and keeps dicts. It shares no code with states, views, resolution, links
or the store model: a mistake there cannot hide here.

A state is named by (environment, epoch, revision, hash), for after an undeclared failover the same number may name two.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

DIMENSIONS = ("region", "strategy", "mode", "node", "bot")
Own: TypeAlias = "dict[tuple[str, str], str | None]"
"""The items of one environment: (layer, path) → JSON text, None for a tombstone."""
Flat: TypeAlias = "dict[str, str]"
"""Leaf path → JSON text."""


class Key(NamedTuple):
    """The name of a state."""

    environment: str
    epoch: int
    revision: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.environment}@{self.epoch}-{self.revision}:{self.hash.hex()[:6]}"


@dataclass(frozen=True)
class Known:
    """A state: the lineage, root first, and the items of each of its environments."""

    lineage: tuple[str, ...]
    own: tuple[Own, ...]


@dataclass(frozen=True)
class Moment:
    """A database after one commit."""

    parents: dict[str, str | None]
    own: dict[str, Own]
    heads: dict[str, Key]


class Oracle:
    """Everything that was ever committed, in whichever database. `urgent`: the newest such revision of the epoch."""

    def __init__(self) -> None:
        self.states: dict[Key, Known] = {}
        self.before: dict[Key, Key | None] = {}
        self.urgent: dict[Key, int] = {}
        self.messages: dict[bytes, Key] = {}
        self.moments: list[Moment] = [Moment({}, {}, {})]
        self._resolved: dict[tuple[Key, tuple[tuple[str, str], ...]], tuple[dict[str, str], Flat]] = {}

    def fail_over(self, commits: int) -> None:
        """Another database takes over, which holds the first so many commits of this one."""
        self.moments = self.moments[: commits + 1]

    def commit(
        self, epoch: int, revision: int, change: bytes, messages: Mapping[str, bytes], unsaid: Sequence[Any] = ()
    ) -> None:
        """Replay a committed change. `unsaid` are edits that the store made and the change does not tell."""
        now = self.moments[-1]
        told = json.loads(change)
        parents, own, heads = dict(now.parents), dict(now.own), dict(now.heads)
        structure = told.get("structure")
        if structure is not None:
            parents[structure["environment"]] = structure["parent"]
            own.setdefault(structure["environment"], {})
        items = dict(own[told["environment"]])
        for edit in [*told["edits"], *unsaid]:
            place = (edit["layer"], edit["path"])
            if "put" in edit:
                items[place] = text(edit["put"])
            elif "hide" in edit:
                items[place] = None
            else:
                items.pop(place, None)
        own[told["environment"]] = items
        for environment, message in messages.items():
            last = heads.get(environment)
            if last is not None and last.epoch == epoch:
                start = last.hash
            else:
                start = hashlib.sha256(f"trimtab line\0{environment}\0{epoch}".encode()).digest()
            key = Key(environment, epoch, revision, hashlib.sha256(start + change).digest())
            lineage = lineage_of(parents, environment)
            self.states[key] = Known(lineage, tuple(own[name] for name in lineage))
            self.before[key] = last
            inherited = self.urgent[last] if last is not None and last.epoch == epoch else 0
            self.urgent[key] = revision if told["urgent"] else inherited
            self.messages[message] = key
            heads[environment] = key
        self.moments.append(Moment(parents, own, heads))

    @property
    def heads(self) -> dict[str, Key]:
        """The newest state of each line in the primary."""
        return self.moments[-1].heads

    def reached(self, environment: str) -> set[str]:
        """The environment and all that inherit from it, in the primary, now."""
        parents = self.moments[-1].parents
        return {name for name in parents if environment in lineage_of(parents, name)}

    def descends(self, key: Key, ancestor: Key) -> bool:
        """Whether a state is another one or follows it; a newer epoch follows every older one."""
        if key.epoch > ancestor.epoch:
            return True
        here: Key | None = key
        while here is not None and (here.epoch, here.revision) >= (ancestor.epoch, ancestor.revision):
            if here == ancestor:
                return True
            here = self.before[here]
        return False

    def resolve(self, key: Key, identity: Mapping[str, str]) -> tuple[dict[str, str], Flat]:
        """The labels and the leaves that a process with this identity must see."""
        cached = (key, tuple(sorted(identity.items())))
        found = self._resolved.get(cached)
        if found is None:
            known = self.states[key]
            below = f"fleet.bots.{identity['bot']}.labels."
            first = flatten(known, identity)
            attributes = {path[len(below) :]: json.loads(v) for path, v in first.items() if path.startswith(below)}
            labels = {**attributes, **identity}
            found = self._resolved[cached] = (labels, flatten(known, labels) if attributes else first)
        return found


def flatten(known: Known, labels: Mapping[str, str]) -> Flat:
    """Lay the matching layers over each other, the weakest first: tombstones clear what is there, items cover it."""
    ranked: list[tuple[tuple[bool, ...], int, str]] = []
    for depth, own in enumerate(known.own):
        for layer in {layer for layer, _ in own}:
            selector = _selector(layer)
            if all(labels.get(dimension) == label for dimension, label in selector.items()):
                ranked.append((tuple(dimension in selector for dimension in reversed(DIMENSIONS)), depth, layer))
    flat: Flat = {}
    for _, depth, wanted in sorted(ranked):
        items = [(path, content) for (layer, path), content in known.own[depth].items() if layer == wanted]
        for path, content in items:
            if content is None:
                for covered in [other for other in flat if other == path or other.startswith(f"{path}.")]:
                    del flat[covered]
        flat.update({path: content for path, content in items if content is not None})
    for path in [path for path, content in flat.items() if content == "{}"]:
        if any(other.startswith(f"{path}.") for other in flat):
            del flat[path]
    return flat


def lineage_of(parents: Mapping[str, str | None], environment: str) -> tuple[str, ...]:
    """An environment behind those that it inherits from, root first."""
    parent = parents[environment]
    return (*(() if parent is None else lineage_of(parents, parent)), environment)


def text(value: object) -> str:
    """One text for one value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _selector(layer: str) -> dict[str, str]:
    found = _SELECTORS.get(layer)
    if found is None:
        found = _SELECTORS[layer] = dict(part.split("=", 1) for part in layer.split(",") if part)
    return found


_SELECTORS: dict[str, dict[str, str]] = {}
