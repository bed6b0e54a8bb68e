"""Paths that are known, by the names that variables give them: `risk.global.max_leverage` is RISK_GLOBAL_MAX_LEVERAGE.

Known are the fields of the built-in documents that stand at one place (`trading`, `risk.global`, …), those of every
document of the other types that files or store hold (`token.<address>`, `strategy.<id>`, …), and every path that holds
a value. A name does not tell where a segment ends or which letters are small: where that leaves a choice, nothing is
chosen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from trimtab.model import canonical, paths
from trimtab.model.documents import BUILT_IN, KNOWN
from trimtab.model.errors import nearest
from trimtab.model.trees import HIDDEN
from trimtab_store.sources.fields import ANY, Segments, Types, fields_of, type_of
from trimtab_store.validation import spelling

_NOT_A_WORD: Final = re.compile(r"[^A-Z0-9]")
_NUMBERS: Final = frozenset({"integer", "number"})


@dataclass(slots=True)
class Known:
    """Known paths with their types, by name."""

    _named: dict[str, dict[str, Types]] = field(default_factory=dict[str, dict[str, Types]])
    _documents: set[str] = field(default_factory=set[str])

    @classmethod
    def of(cls, held: Iterable[tuple[str, bytes]]) -> Known:
        """What is built in, and what these items make known."""
        known = cls()
        for pattern, kind in BUILT_IN.items():
            if "*" not in pattern:
                known._add_document(pattern, kind)
        contents = {spelling.canonical(path): content for path, content in held if content != HIDDEN}
        for path in contents:
            document = KNOWN.of(path)
            found = KNOWN.type_of(document)
            if found and document not in known._documents:
                known._add_document(document, found)
        for path, content in contents.items():
            known._named.setdefault(name_of(path), {}).setdefault(path, _types_in(content))
        return known

    def candidates(self, name: str) -> dict[str, Types]:
        """The paths that a name may mean, with what each takes."""
        return dict(sorted(self._named.get(name, {}).items()))

    def nearest(self, name: str) -> str:
        """A remedy that names the closest name; empty if none is close."""
        begin = name.partition("_")[0][:2]
        return nearest(name, [known for known in self._named if known.startswith(begin)])

    def _add_document(self, document: str, kind: str) -> None:
        self._documents.add(document)
        above = paths.parse(document)
        for segments, types in fields_of(kind).items():
            self._add(above, segments, types)

    def _add(self, above: Segments, segments: Segments, types: Types) -> None:
        path = paths.join((*above, *segments))
        self._named.setdefault(name_of(path), {})[path] = types


def name_of(path: str) -> str:
    """The name that a variable for a canonical path has."""
    return "_".join(_NOT_A_WORD.sub("_", segment.upper()) for segment in paths.parse(path))


CATEGORIES: Final = frozenset(name_of(pattern.partition(".")[0]) for pattern in BUILT_IN)
"""The first words of names that are looked at without a prefix."""


def _types_in(content: bytes) -> Types:
    """What a path takes where no schema says it: what it holds."""
    found = type_of(canonical.trusted(content))
    if found in _NUMBERS:
        return _NUMBERS
    return ANY if found in {"null", "object"} else frozenset({found})
