"""Several files that make up one layer: each value stands in one of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trimtab.model import paths
from trimtab.model.canonical import Json
from trimtab_store.files.errors import refused, shown


@dataclass(slots=True)
class Gathered:
    """The values of some files, nested, and as items. `files` names the file of a subtree by its path."""

    values: dict[str, Json] = field(default_factory=dict[str, Json])
    leaves: dict[str, bytes] = field(default_factory=dict[str, bytes])
    files: dict[str, Path] = field(default_factory=dict[str, Path])

    def add(self, content: Mapping[str, Json], leaves: Iterable[tuple[str, bytes]], file: Path) -> None:
        """Lay a file's categories beside those of the others; raises `FileRefused` where two say the same path."""
        self.leaves.update(leaves)
        self._add(self.values, content, "", file)

    def _add(self, here: dict[str, Json], content: Mapping[str, Json], above: str, file: Path) -> None:
        for key, value in content.items():
            path = paths.child(above, key)
            if key not in here:
                here[key] = value
                self.files[path] = file
                continue
            held = here[key]
            if not isinstance(held, dict) or not isinstance(value, dict) or not (held or value):
                other = shown(str(file_of(self.files, path)), 200)
                raise refused(file, "duplicate", f"{other} sets {shown(path)}, too", "Remove one of the two")
            self.leaves.pop(path, None)  # an empty object that now has something in it
            self._add(held, value, path, file)


def file_of(files: Mapping[str, Path], path: str) -> Path | None:
    """The file that a value stands in, of files by the paths of their subtrees."""
    return next((files[one] for one in (path, *paths.parents(path)) if one in files), None)
