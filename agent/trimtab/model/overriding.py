"""Local overrides: what one node sets for itself, as far as its configuration permits it.

The document `override.config` decides, as the node's own labels see it:

    permitted     true, or nothing is overridden
    overridable   patterns of the paths that may be
    protected     patterns of the paths that may only be tightened

An override takes the place of a leaf that is there, and of nothing else. It is judged anew for every view, for a limit
that was loose yesterday may be tighter than the node's own today.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from trimtab.model import canonical, paths, patterns, resolution, trees
from trimtab.model.errors import TrimtabError, ValueRefused
from trimtab.model.index import Index
from trimtab.model.items import leaves
from trimtab.model.patterns import Pattern
from trimtab.model.problems import MASK
from trimtab.model.resolution import ABSENT, Absent
from trimtab.model.tightening import tightens
from trimtab.model.trees import Node
from trimtab.model.values import Document, Value
from trimtab.model.views import View

CONFIG: Final = "override.config"
RESERVED: Final = frozenset({"override", "fleet", "guard", "meta", "rule", "schema", "template"})
"""Categories that decide about others; nobody overrides them."""
MAX_OVERRIDES: Final = 256


@dataclass(frozen=True, slots=True)
class LocalOverride:
    """One path that a node sets for itself: to what, in place of what, and why it does not hold (empty if it does)."""

    path: str
    value: Value
    hidden: Value | Absent = ABSENT
    why: str = ""

    @property
    def shown(self) -> str:
        """The value for the fleet: numbers and switches; text could be a secret, and stays where it is."""
        plain = self.value is None or isinstance(self.value, bool | int | float)
        return orjson.dumps(self.value).decode() if plain else MASK


class Overrides:
    """What a node wants, and what becomes of it. Pure."""

    def __init__(self, wanted: Mapping[str, bytes]) -> None:
        """`wanted`: canonical path → canonical bytes of a leaf; raises `ValueRefused` for too many."""
        if len(wanted) > MAX_OVERRIDES:
            raise ValueRefused(
                "These local overrides are refused", f"a node may have {MAX_OVERRIDES} at most", "Use an overlay"
            )
        self._wanted = dict(sorted(wanted.items()))

    def over(self, view: View) -> tuple[View, tuple[LocalOverride, ...]]:
        """The view with the overrides that hold, and what became of each."""
        permission = _permission(view.index.peek(CONFIG))
        found: list[LocalOverride] = []
        tree: Node = trees.EMPTY
        for path, content in self._wanted.items():
            hidden, value = view.index.peek(path), resolution.decoded(content)
            why = permission.against(path, hidden, value)
            found.append(LocalOverride(path, value, hidden, why))
            if not why:
                tree = trees.put(tree, paths.parse(path), content)
        if not tree:
            return view, tuple(found)
        return View(view.labels, view.state, view.order, Index((tree, *view.index.branches))), tuple(found)


@dataclass(frozen=True, slots=True)
class _Permission:
    """What `override.config` says; `refused` where it says nothing that can be used."""

    refused: str = ""
    overridable: tuple[Pattern, ...] = ()
    protected: tuple[Pattern, ...] = ()

    def against(self, path: str, hidden: Value | Absent, value: Value) -> str:
        """Why an override does not hold; empty if it does."""
        if self.refused:
            return self.refused
        if paths.parse(path)[0] in RESERVED or not any(one.matches(path) for one in self.overridable):
            return f"{CONFIG} does not mark this path as overridable"
        if isinstance(hidden, Absent | Document) or isinstance(value, Document):
            return "an override takes the place of a single value, and there is none at this path"
        if _kind(hidden) is not _kind(value):
            return f"it is a {_kind(value).__name__}, where configuration has a {_kind(hidden).__name__}"
        if any(one.matches(path) for one in self.protected) and not tightens(path, hidden, value):
            return f"{CONFIG} protects this path: an override may only tighten it"
        return ""


def _permission(config: Value | Absent) -> _Permission:
    if not isinstance(config, Document) or config.get("permitted") is not True:
        return _Permission("the environment does not permit local overrides")
    try:
        return _Permission("", _patterns(config.get("overridable")), _patterns(config.get("protected")))
    except TrimtabError as error:
        return _Permission(f"{CONFIG} cannot be used: {error.what}")


def _patterns(value: Value) -> tuple[Pattern, ...]:
    if value is None:
        return ()
    if not isinstance(value, tuple):
        raise ValueRefused("its patterns are no list")
    texts = [one for one in value if isinstance(one, str)]
    if len(texts) != len(value):
        raise ValueRefused("its patterns are not all text")
    return tuple(map(patterns.parse, texts))


def _kind(value: Value) -> type:
    """Integers and other numbers are one kind."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float
    return type(value)


def wanted(tree: Mapping[str, canonical.Json]) -> dict[str, bytes]:
    """The leaves of a nested object of categories; raises `PathError` or `ValueRefused`."""
    return {path: content for category, value in tree.items() for path, content in leaves(paths.write(category), value)}
