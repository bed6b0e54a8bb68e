"""What files and variables want one environment to hold itself: environment < local < variables of the process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from trimtab.model import canonical, labels, paths
from trimtab.model.errors import TrimtabError
from trimtab.model.trees import HIDDEN
from trimtab_store.drafts import Place
from trimtab_store.files import Assignment, EnvironmentFiles, FileRefused, LayerFiles
from trimtab_store.files.gathered import file_of
from trimtab_store.files.interpolation import Interpolation
from trimtab_store.files.layer_files import Contents
from trimtab_store.sources import assigning
from trimtab_store.sources.assigning import fits as fits_types
from trimtab_store.sources.fields import types_at
from trimtab_store.sources.known import Known
from trimtab_store.validation import spelling

_HOLDS_NOTHING: Final = (HIDDEN, b"{}")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from: in words, and the variables that it was made from."""

    source: str
    variables: tuple[str, ...] = ()


_Written: TypeAlias = "tuple[LayerFiles, str]"
"""The files of a layer, and a path as they spell it: most origins are never asked for."""


@dataclass(slots=True)
class Target:
    """Items by place, in the spelling in which they are stored."""

    items: dict[Place, bytes] = field(default_factory=dict[Place, bytes])
    _origins: dict[Place, Origin | _Written] = field(default_factory=dict[Place, "Origin | _Written"])
    _below: set[Place] | None = None

    def origin(self, place: Place) -> Origin | None:
        """Where an item comes from; None for what is not of the files."""
        found = self._origins.get(place)
        return found if found is None or isinstance(found, Origin) else _origin_of(*found)

    def said(self) -> set[bytes]:
        """The contents that were made from variables, which no error may show."""
        return {
            self.items[place]
            for place, found in self._origins.items()
            if (found.variables if isinstance(found, Origin) else found[0].variables.get(found[1]))
        }

    def lay(self, place: Place, content: bytes, origin: Origin | _Written) -> None:
        """Put one item over the others, in the place of what stands above or below it."""
        layer, path = place
        if self._below is None:
            self._below = {(one, above) for one, held in self.items for above in paths.parents(held)}
        if content not in _HOLDS_NOTHING:
            for above in paths.parents(path):
                if self.items.get((layer, above), HIDDEN) not in _HOLDS_NOTHING:
                    self._drop((layer, above))
            if place in self._below:
                for other in [one for one in self.items if one[0] == layer and paths.is_below(one[1], path)]:
                    self._drop(other)
        self._below.update((layer, above) for above in paths.parents(path))
        self.items[place], self._origins[place] = content, origin

    def add(self, layer: str, files: LayerFiles, *, over: bool) -> None:
        """The items of a layer's files: beside the others, or over them."""
        for written, found in files.leaves():
            place = (layer, spelling.canonical(written))
            content = _as_text(place[1], files.texts[written], found) if written in files.texts else found
            if over:
                self.lay(place, content, (files, written))
                continue
            if place in self.items:
                self._check_twice(place, content, _origin_of(files, written))
            self.items[place] = content
            self._origins[place] = (files, written)

    def _check_twice(self, place: Place, content: bytes, origin: Origin) -> None:
        """Two spellings of a path in one file may say the same; two files never set the same path."""
        other = self.origin(place)
        if content != self.items[place] or other is None or other.source != origin.source:
            raise _twice(place[1], origin, other)

    def _drop(self, place: Place) -> None:
        del self.items[place], self._origins[place]


@dataclass(frozen=True, slots=True)
class Sources:
    """What lies over files: `variables` of the process as `${NAME}` and, where `process` says so, as paths."""

    variables: Mapping[str, str] = field(repr=False)
    prefixes: tuple[str, ...] = (assigning.PREFIX,)
    process: bool = False

    def target(
        self, files: EnvironmentFiles, local: Contents | None, known: Callable[[Mapping[Place, bytes]], Known]
    ) -> tuple[Target, list[str]]:
        """What one environment should hold, and the variables that were passed over.

        `known` makes paths known beside those of the target. Raises `FileRefused` or `VariableRefused`.
        """
        found = Target()
        for layer, one in files.layers.items():
            found.add(layer, one, over=False)
        self._assign(found, files.assignments, known, alone=True)
        for layer, one in local.layers.items() if local else ():
            found.add(layer, one, over=True)
        self._assign(found, local.assignments if local else (), known, alone=False)
        passed_over: list[str] = []
        if self.process:
            asked = assigning.of_process(self.variables, self.prefixes)
            passed_over = self._assign(found, [*asked], known, alone=False)
        return found, passed_over

    def _assign(
        self,
        found: Target,
        assignments: Iterable[Assignment],
        known: Callable[[Mapping[Place, bytes]], Known],
        *,
        alone: bool,
    ) -> list[str]:
        """Put what variables say; `alone` where no file may say the same path."""
        replaced, used = self._replaced(assignments)
        if not replaced:
            return []
        assigned, passed_over = assigning.assigned(replaced, known(found.items), self.prefixes)
        for one in assigned:
            origin = Origin(one.source, (one.variable, *used.get(one.variable, ())))
            _check(one)
            if alone and ("", one.path) in found.items:
                raise _twice(one.path, origin, found.origin(("", one.path)))
            found.lay(("", one.path), one.content, origin)
        return passed_over

    def _replaced(self, assignments: Iterable[Assignment]) -> tuple[list[Assignment], Mapping[str, tuple[str, ...]]]:
        """Those of files with their references replaced; what the process says is never looked at again."""
        interpolation = Interpolation(self.variables)
        replaced = [
            Assignment(one.name, interpolation.text(one.text, one.name, one.file, one.line), one.file, one.line)
            if one.file
            else one
            for one in assignments
        ]
        return replaced, interpolation.used


def _as_text(path: str, text: str, content: bytes) -> bytes:
    """What a lone reference stands for: its text, where the field takes no other type that the text could have."""
    types = types_at(path)
    fits = not types or fits_types(canonical.trusted(content), types)
    return content if fits or "string" not in types else canonical.encode(text)


def _origin_of(files: LayerFiles, written: str) -> Origin:
    return Origin(str(file_of(files.files, written) or "a list of hidden paths"), files.variables.get(written, ()))


def _check(one: assigning.Assigned) -> None:
    try:
        labels.check_edit("", one.path, one.content)
    except TrimtabError:
        why = f"what {one.variable} says cannot stand at {one.path}"
    else:
        return
    raise assigning.VariableRefused(f"The variable {one.variable} is refused", why, "See the rules of labels")


def _twice(path: str, one: Origin, other: Origin | None) -> FileRefused:
    where = other.source if other else "another file"
    return FileRefused(one.source, "duplicate", f"{where} sets {path}, too", "Remove one of the two")
