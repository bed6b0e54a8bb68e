"""The directory of one environment: its common layer, its overlays, and what they hide."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from trimtab.model import items, labels, layers, paths
from trimtab.model.canonical import Json
from trimtab.model.errors import LayerError, PathError, TrimtabError, ValueRefused
from trimtab.model.structure import Lineage
from trimtab.model.trees import HIDDEN
from trimtab_store.files import formats
from trimtab_store.files.env_text import Assignment, load_env
from trimtab_store.files.errors import kind, refused, shown, wrapped
from trimtab_store.files.gathered import Gathered
from trimtab_store.files.interpolation import Interpolation
from trimtab_store.files.opened import inside, read_file

OVERLAYS: Final = "overlays"
_HIDE: Final = ".hide"
_PASSED_OVER: Final = "README.md"

OnFile = Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class LayerFiles:
    """One layer as its files have it: a nested object, and the canonical paths of its tombstones in file order.

    `files` names the file of a subtree by its path, `variables` those that a value was made from, `texts` what a lone
    one said, and `found` are the items of `values` where they are known already.
    """

    values: Mapping[str, Json]
    hidden: tuple[str, ...] = ()
    files: Mapping[str, Path] = field(default_factory=dict[str, Path], compare=False)
    variables: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]], compare=False)
    found: Mapping[str, bytes] | None = field(default=None, compare=False, repr=False)
    texts: Mapping[str, str] = field(default_factory=dict[str, str], compare=False, repr=False)

    def leaves(self) -> Iterator[tuple[str, bytes]]:
        """Canonical path and content of every item, tombstones (`HIDDEN`) last."""
        if self.found is not None:
            yield from self.found.items()
        else:
            for category, value in self.values.items():
                yield from items.leaves(paths.write(category), value)
        for path in self.hidden:
            yield path, HIDDEN


@dataclass(frozen=True, slots=True)
class Contents:
    """A directory of files: layers by selector text (empty for common), and the assignments of its .env files."""

    layers: Mapping[str, LayerFiles]
    assignments: tuple[Assignment, ...] = ()


@dataclass(frozen=True, slots=True)
class Directory:
    """Reads directories below `root`, a real path, and calls `on_file` with each file after it was read."""

    root: Path
    variables: Mapping[str, str] = field(repr=False)
    on_file: OnFile

    def contents(self, directory: Path, lineage: Lineage | None) -> Contents:
        """Everything in a directory; without a lineage there are no overlays in it."""
        inside(directory, self.root)
        common, assignments = self._common(directory, overlays=lineage is not None)
        found = {"": common}
        overlays = directory / OVERLAYS
        if lineage is not None and overlays.is_dir():
            found.update(self._overlays(overlays, lineage))
        kept = {layer: files for layer, files in sorted(found.items()) if files.values or files.hidden}
        return Contents(kept, assignments)

    def load(self, file: Path) -> Json:
        """The value of one file."""
        value = formats.load(read_file(file, self.root), file)
        self.on_file(file)
        return value

    def _common(self, directory: Path, *, overlays: bool) -> tuple[LayerFiles, tuple[Assignment, ...]]:
        gathered, interpolation = Gathered(), Interpolation(self.variables)
        assignments: list[Assignment] = []
        tombstones: list[Path] = []
        for file in entries(directory):
            if file.name == OVERLAYS and overlays and file.is_dir():
                continue
            _no_directory(file, f"only {OVERLAYS}/ is one here" if overlays else "none belongs here")
            if formats.ending(file) == formats.ENV:
                assignments += load_env(read_file(file, self.root), name=str(file))
                self.on_file(file)
            elif formats.stem(file).endswith(_HIDE):
                tombstones.append(_common_only(file))
            else:
                gathered.add(*self._values(_no_selector(file), "", interpolation), file)
        return self._layer("", gathered, interpolation, tombstones), tuple(assignments)

    def _overlays(self, directory: Path, lineage: Lineage) -> dict[str, LayerFiles]:
        inside(directory, self.root)
        gathered: dict[str, Gathered] = {}
        interpolations: dict[str, Interpolation] = {}
        tombstones: dict[str, list[Path]] = {}
        for file in entries(directory):
            _no_directory(file, "none belongs here")
            if formats.ending(file) == formats.ENV:
                why = "a .env file names no layer"
                raise refused(file, "format", why, "Write the overlay as YAML, JSON, TOML or HCL")
            stem = formats.stem(file)
            layer = _selector(file, stem.removesuffix(_HIDE), lineage)
            gathered.setdefault(layer, Gathered())
            interpolation = interpolations.setdefault(layer, Interpolation(self.variables))
            if stem.endswith(_HIDE):
                tombstones.setdefault(layer, []).append(file)
            else:
                gathered[layer].add(*self._values(file, layer, interpolation), file)
        return {
            layer: self._layer(layer, one, interpolations[layer], tombstones.get(layer, []))
            for layer, one in gathered.items()
        }

    def _layer(
        self, layer: str, gathered: Gathered, interpolation: Interpolation, tombstones: list[Path]
    ) -> LayerFiles:
        hidden = self._hidden(tombstones, layer, gathered.leaves.keys())
        return LayerFiles(
            gathered.values, hidden, gathered.files, interpolation.used, gathered.leaves, interpolation.texts
        )

    def _hidden(self, files: list[Path], layer: str, written: AbstractSet[str]) -> tuple[str, ...]:
        """The paths of lists of tombstones; a layer cannot set and hide the same path."""
        found: list[str] = []
        for file in files:
            content = self.load(file)
            if not isinstance(content, list) or not content:
                why = f"it holds {kind(content)}; expected is a list of paths"
                raise refused(file, "shape", why, "Write - risk.global")
            for entry in content:
                path = _path(entry, file, layer)
                if path in found:
                    raise refused(file, "duplicate", f"the path {shown(path)} stands twice", "Remove one of them")
                if path in written:
                    why = f"the layer {layer or 'common'} both sets and hides {shown(path)}"
                    raise refused(file, "hidden", why, "Remove one of the two")
                found.append(path)
        return tuple(found)

    def _values(
        self, file: Path, layer: str, interpolation: Interpolation
    ) -> tuple[dict[str, Json], list[tuple[str, bytes]]]:
        """The categories of a file and their items, each within the limits of a store."""
        content = self.load(file)
        if not isinstance(content, dict):
            raise refused(file, "shape", f"it holds {kind(content)}, expected is a mapping", "Write category: first")
        if not content:
            raise refused(file, "empty", "it holds no values", "Write some, or remove the file")
        values: dict[str, Json] = {}
        leaves: list[tuple[str, bytes]] = []
        try:
            for category, value in content.items():
                above = paths.write(category)
                values[category] = interpolation.value(_fields(category, value, file), above, str(file))
                leaves += items.leaves(above, values[category])
            for path, leaf in leaves:
                if not _may_stand(layer, path, leaf, interpolation):
                    names = ", ".join(interpolation.used[path])
                    why = f"what {names} says cannot stand at {shown(path, 200)}"
                    raise refused(file, "layer", why, "Labels are short words of letters, digits and a few marks")
        except (PathError, LayerError, ValueRefused) as error:
            raise wrapped(file, error) from error
        return values, leaves


def entries(directory: Path) -> list[Path]:
    """What stands in a directory, by name, less what is passed over."""
    found = sorted(directory.iterdir(), key=lambda entry: entry.name)
    return [entry for entry in found if _counts(entry.name)]


def _counts(name: str) -> bool:
    left_by_an_editor = name.endswith("~") or (name.startswith("#") and name.endswith("#"))
    return name == formats.ENV or not (name.startswith(".") or name == _PASSED_OVER or left_by_an_editor)


def _fields(category: str, value: Json, file: Path) -> Json:
    """What a category holds, which is a mapping with something in it."""
    if not isinstance(value, dict) or not value:
        why = f"the category {shown(category)} holds {kind(value)}; expected is a mapping with values"
        raise refused(file, "category", why, "Write its fields below it, indented")
    return value


def _may_stand(layer: str, path: str, leaf: bytes, interpolation: Interpolation) -> bool:
    """Whether an item may stand where it does. Raises why not, but where that would show what a variable says."""
    try:
        labels.check_edit(layer, path, leaf)
    except TrimtabError:
        if path not in interpolation.used:
            raise
        return False
    return True


def _no_directory(file: Path, instead: str) -> None:
    if file.is_dir():
        raise refused(
            file, "unknown-file", f"it is not a regular file but a directory, and {instead}", "Move its files"
        )


def _common_only(file: Path) -> Path:
    if formats.stem(file) != f"common{_HIDE}":
        ending = formats.ending(file)
        why = "only the common layer hides paths here"
        raise refused(file, "unknown-file", why, f"Rename it to common{_HIDE}{ending}, or move it to {OVERLAYS}/")
    return file


def _no_selector(file: Path) -> Path:
    if "=" in file.name:
        raise refused(file, "unknown-file", "its name is that of an overlay", f"Move it to {OVERLAYS}/, or rename it")
    return file


def _selector(file: Path, text: str, lineage: Lineage) -> str:
    """The layer that an overlay's file name stands for."""
    try:
        selector = layers.parse(text.replace("%2F", "/"))
        lineage.check_selector(selector)
    except TrimtabError as error:
        raise wrapped(file, error) from error
    if not selector.text:
        why = "the common layer is no overlay"
        raise refused(file, "selector", why, "Put its categories beside the overlays")
    written = selector.text.replace("/", "%2F")
    if written != text:
        remedy = f"Rename it to {written}{file.name.removeprefix(text)}"
        raise refused(file, "selector", "the labels of a selector are sorted and written without spaces", remedy)
    return selector.text


def _path(entry: Json, file: Path, layer: str) -> str:
    if not isinstance(entry, str):
        raise refused(file, "shape", f"{kind(entry)} stands in the list of paths", "Write - risk.global")
    try:
        path = paths.canonical(entry)
        labels.check_edit(layer, path, HIDDEN)
    except TrimtabError as error:
        raise wrapped(file, error) from error
    return path
