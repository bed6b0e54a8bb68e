"""The guard of names: a path that was used and removed is not used again for another type of value.

Who still has the old meaning in mind, in code or in a file, would read the new one wrongly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

from trimtab.model import paths
from trimtab.model.canonical import trusted
from trimtab.model.items import LeafEdit
from trimtab.model.problems import Problem
from trimtab.model.states import State
from trimtab.model.trees import HIDDEN
from trimtab_store.database import Connection
from trimtab_store.validation.sides import Sides

OBJECT: Final = "an object"
NUMBER: Final = "a number"
TEXT: Final = "a text"
AMOUNT: Final = "a number in quotes"
NOTHING: Final = "null"
_ALIKE: Final = (frozenset({NUMBER, AMOUNT}), frozenset({TEXT, AMOUNT}))
_REMEDY: Final = "Use another name; or repeat it with --force REASON"
_NEWEST: Final = """
    SELECT DISTINCT ON (r.path) r.path, i.content
      FROM trimtab.item_revisions AS r
      JOIN trimtab.configuration_items AS i USING (version_id, path, layer)
     WHERE r.environment = ANY(%s) AND r.path = ANY(%s) AND i.operation = 'put'
     ORDER BY r.path, r.revision DESC
"""
_BELOW: Final = """
    SELECT asked.path FROM unnest(%s::text[]) AS asked (path)
     WHERE EXISTS (SELECT FROM trimtab.item_revisions AS r
                     JOIN trimtab.configuration_items AS i USING (version_id, path, layer)
                    WHERE r.environment = ANY(%s) AND i.operation = 'put'
                      AND r.path > asked.path || '.' AND r.path < asked.path || '/')
"""


def named_anew(sides: Mapping[str, Sides], edits: Sequence[LeafEdit]) -> dict[str, str]:
    """The paths that begin to be used in some line, each with the type that it gets: leaves and the objects above."""
    found: dict[str, str] = {}
    for edit in edits:
        if edit.operation == "put" and edit.content:
            for path in (edit.path, *paths.parents(edit.path)):
                if path in found or any(_used(one.before, path) for one in sides.values()):
                    break  # and so is everything above
                found[path] = kind_of(edit.content) if path == edit.path else OBJECT
    return found


def past(connection: Connection, environments: Sequence[str], asked: Mapping[str, str]) -> dict[str, str]:
    """The types that these paths had when they were last used, as far as there is history."""
    names, leaves = list(environments), [path for path, kind in asked.items() if kind != OBJECT]
    found: dict[str, str] = {}
    for path, content in connection.cursor(binary=True).execute(_NEWEST, (names, list(asked))).fetchall():
        found[path] = kind_of(bytes(content))
    for (path,) in connection.execute(_BELOW, (leaves, names)).fetchall() if leaves else ():
        found.setdefault(path, OBJECT)
    return found


def judge(environment: str, asked: Mapping[str, str], before: Mapping[str, str]) -> Iterator[Problem]:
    """The paths that had another type."""
    for path, kind in sorted(asked.items()):
        known = before.get(path, kind)
        if (
            known != kind
            and NOTHING not in {known, kind}
            and not any(known in both and kind in both for both in _ALIKE)
        ):
            yield Problem(
                path=path,
                rule="guard-name",
                why=f"it was {known} until it was removed, and would be {kind} now",
                remedy=_REMEDY,
                environment=environment,
            )


def kind_of(content: bytes) -> str:
    """The type of a leaf in words."""
    value = trusted(content)
    if isinstance(value, bool):
        return "a switch"
    if value is None:
        return NOTHING
    if isinstance(value, int | float):
        return NUMBER
    if isinstance(value, str):
        return AMOUNT if _is_amount(value) else TEXT
    return "a list" if isinstance(value, list) else OBJECT


def _is_amount(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False


def _used(state: State, path: str) -> bool:
    """Whether a line holds anything at or below a path, or a value above it."""
    for name, layer in state.trees:
        if any(content != HIDDEN for _, content in state.below(name, layer, path)):
            return True
        if any(state.content(name, layer, above) not in {None, HIDDEN, b"{}"} for above in paths.parents(path)):
            return True
    return False
