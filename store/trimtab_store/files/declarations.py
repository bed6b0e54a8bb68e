"""What fleet.yaml declares, or directories alone: environments, parents first, and the dimensions of each root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trimtab.model import structure
from trimtab.model.errors import TrimtabError, nearest
from trimtab.model.structure import Forest
from trimtab_store.files.errors import kind, refused, shown, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from trimtab.model.canonical import Json

BASE: Final = "base"
"""What a directory's environment inherits from where nothing says otherwise."""
_KEYS = ("name", "parent", "dimensions")


@dataclass(frozen=True, slots=True)
class Declaration:
    """One environment; `parent` is None for a root, `dimensions` None where none are declared."""

    name: str
    parent: str | None
    dimensions: tuple[str, ...] | None


def declarations(content: Json, file: Path) -> tuple[list[Declaration], Forest]:
    """The declared environments, parents first, and the forest that they make; raises `FileRefused`."""
    listed = content.get("environments") if isinstance(content, dict) and len(content) == 1 else None
    if not isinstance(listed, list) or not listed:
        why = "expected is the key environments alone, with a list of environments"
        raise refused(file, "shape", why, "Begin with environments: and one - name: … for each environment")
    found = [_declaration(entry, number, file) for number, entry in enumerate(listed, 1)]
    forest = Forest({}, {})
    for one in found:
        forest = _grown(forest, one, file)
    return found, forest


def _declaration(entry: Json, number: int, file: Path) -> Declaration:
    where = f"environments, entry {number}"
    if not isinstance(entry, dict):
        raise refused(file, "shape", f"{where}: it is {kind(entry)}, expected is a mapping", "Write - name: …")
    for key in entry:
        if key not in _KEYS:
            remedy = nearest(key, _KEYS) or f"Known are {', '.join(_KEYS)}"
            raise refused(file, "unknown-key", f"{where}: there is no key {shown(key)}", remedy)
    name, parent, dimensions = entry.get("name"), entry.get("parent"), entry.get("dimensions")
    if not isinstance(name, str) or not isinstance(parent, str | None):
        raise refused(file, "shape", f"{where}: name and parent are strings", "Write - name: …")
    if dimensions is None:
        return Declaration(name, parent, None)
    words = [word for word in dimensions if isinstance(word, str)] if isinstance(dimensions, list) else []
    if not isinstance(dimensions, list) or len(words) != len(dimensions):
        raise refused(file, "shape", f"{where}: dimensions is a list of strings", "Write dimensions: [region, …]")
    return Declaration(name, parent, tuple(words))


def _grown(forest: Forest, one: Declaration, file: Path) -> Forest:
    if one.name in forest.parents:
        raise refused(file, "duplicate", f"the environment {shown(one.name)} stands twice", "Remove one of them")
    if one.parent is not None and one.parent not in forest.parents:
        remedy = nearest(one.parent, forest.parents) or "Declare the parent above it"
        raise refused(
            file, "parent", f"the parent {shown(one.parent)} of {shown(one.name)} is not declared yet", remedy
        )
    try:
        if one.dimensions is not None:
            structure.check_dimensions(one.dimensions)
        return forest.with_environment(one.name, one.parent, one.dimensions)
    except TrimtabError as error:
        raise wrapped(file, error) from error


def undeclared(names: Iterable[str], known: Forest | None) -> tuple[list[Declaration], Forest]:
    """Environments that only their directories name: the parents of those that a store knows, else `base`.

    Raises `StructureRefused` for a directory whose name no environment can have.
    """
    named = sorted({structure.check_name(name) for name in names}, key=lambda name: (name != BASE, name))
    forest = known or Forest({}, {})
    parent = BASE if BASE in named or BASE in forest.parents else None
    for name in named:
        if name not in forest.parents:
            forest = forest.with_environment(name, None if name == BASE else parent)
    lineages = {name: forest.lineage(name) for name in named}
    ordered = sorted(named, key=lambda name: (len(lineages[name].environments), named.index(name)))
    return [Declaration(name, forest.parents[name], forest.dimensions.get(name)) for name in ordered], forest
