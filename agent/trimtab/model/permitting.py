"""Permission: what `override.config` lets a node set for itself, as one reader sees it.

permitted     true, or nothing is overridden
overridable   patterns of the paths that may be
protected     patterns of the paths that may only be tightened

It is resolved like any other document.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trimtab.model import paths, patterns
from trimtab.model.errors import TrimtabError, ValueRefused
from trimtab.model.patterns import Pattern
from trimtab.model.resolution import Absent
from trimtab.model.tightening import tightens
from trimtab.model.values import Document, Value
from trimtab.model.views import View

CONFIG: Final = "override.config"
RESERVED: Final = frozenset({"override", "fleet", "guard", "meta", "rule", "schema", "template"})
"""Categories that decide about others; nobody overrides them."""
NOTHING_THERE: Final = "an override takes the place of a single value, and there is none at this path"


@dataclass(frozen=True, slots=True)
class Permission:
    """What `override.config` says; `refused` where it says nothing that can be used."""

    refused: str = ""
    overridable: tuple[Pattern, ...] = ()
    protected: tuple[Pattern, ...] = ()

    def against(self, path: str, hidden: Value | Absent, value: Value) -> str:
        """Why an override does not hold in place of what is there; empty if it does."""
        if self.refused:
            return self.refused
        if paths.parse(path)[0] in RESERVED or not any(one.matches(path) for one in self.overridable):
            return f"{CONFIG} does not mark this path as overridable"
        if isinstance(hidden, Absent | Document) or isinstance(value, Document):
            return NOTHING_THERE
        if _kind(hidden) is not _kind(value):
            return f"it is a {_kind(value).__name__}, where configuration has a {_kind(hidden).__name__}"
        if any(one.matches(path) for one in self.protected) and not tightens(path, hidden, value):
            return f"{CONFIG} protects this path: an override may only tighten it"
        return ""


def permission(view: View) -> Permission:
    """What the reader of a view is permitted."""
    config = view.index.peek(CONFIG)
    if not isinstance(config, Document) or config.get("permitted") is not True:
        return Permission("the environment does not permit local overrides")
    try:
        return Permission("", _patterns(config.get("overridable")), _patterns(config.get("protected")))
    except TrimtabError as error:
        return Permission(f"{CONFIG} cannot be used: {error.what}")


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
