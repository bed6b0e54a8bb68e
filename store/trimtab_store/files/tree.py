"""A fleet as a directory of YAML files.

    fleet.yaml                                   environments, parents first; a root declares its dimensions
    ENVIRONMENT/CATEGORY.yaml                    the common layer: one top-level key, the category
    ENVIRONMENT/common.hide.yaml                 a list of paths that the common layer hides
    ENVIRONMENT/overlays/SELECTOR.yaml           an overlay, named by its selector: mode=live,region=ny4.yaml
    ENVIRONMENT/overlays/SELECTOR.hide.yaml      a list of paths that the overlay hides

A slash in a label is written %2F in a file name. Names that start with a dot and README.md are passed over; every other
file that does not fit is refused, so that a misspelt name never silently drops configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trimtab.model import items, labels, layers, paths
from trimtab.model.errors import LayerError, PathError, TrimtabError, UnavailableError, ValueRefused, nearest
from trimtab.model.items import Item
from trimtab.model.trees import HIDDEN
from trimtab_store.files.declarations import declarations
from trimtab_store.files.errors import kind, refused, shown, wrapped
from trimtab_store.files.text import MAX_FILE_BYTES
from trimtab_store.files.yaml_core import load_yaml

if TYPE_CHECKING:
    from trimtab.model.canonical import Json
    from trimtab.model.structure import Forest, Lineage

FLEET: Final = "fleet.yaml"
OVERLAYS: Final = "overlays"
_SUFFIX: Final = ".yaml"
_HIDE: Final = ".hide"
_PASSED_OVER: Final = "README.md"

OnFile = Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class LayerFiles:
    """One layer as its files have it: a nested object, and the canonical paths of its tombstones in file order."""

    values: Mapping[str, Json]
    hidden: tuple[str, ...] = ()

    def leaves(self) -> Iterator[tuple[str, bytes]]:
        """Canonical path and content of every item, tombstones (`HIDDEN`) last."""
        for category, value in self.values.items():
            yield from items.leaves(paths.write(category), value)
        for path in self.hidden:
            yield path, HIDDEN


@dataclass(frozen=True, slots=True)
class EnvironmentFiles:
    """One environment; `dimensions` is None unless it is a root, `layers` goes by selector text (empty for common)."""

    name: str
    parent: str | None
    dimensions: tuple[str, ...] | None
    layers: Mapping[str, LayerFiles]

    def items(self) -> Iterator[Item]:
        """Every item that the files stand for."""
        for layer, files in self.layers.items():
            for path, content in files.leaves():
                yield Item(self.name, layer, path, content)


@dataclass(frozen=True, slots=True)
class FleetTree:
    """The environments of a directory in the order in which they can be created: parents first."""

    environments: tuple[EnvironmentFiles, ...]
    forest: Forest


def read_tree(directory: Path, *, on_file: OnFile | None = None) -> FleetTree:
    """Read a whole directory, checked file by file; nothing is returned unless everything fits.

    `on_file` is called with each file after it was read. Raises `FileRefused` naming file and key, and
    `UnavailableError` for a file or directory that cannot be read.
    """
    reader = _Reader(on_file or (lambda _: None))
    try:
        return reader.fleet(directory)
    except OSError as error:
        what = f"{shown(str(error.filename or directory), 200)} cannot be read"
        why = error.strerror or str(error)
        raise UnavailableError(what, why, "Check the name and the rights of the file") from error


class _Reader:
    def __init__(self, on_file: OnFile) -> None:
        self._on_file = on_file

    def fleet(self, directory: Path) -> FleetTree:
        declared, forest = declarations(self._load(directory / FLEET), directory / FLEET)
        for entry in _entries(directory):
            if entry.name != FLEET and not (entry.name in forest.parents and entry.is_dir()):
                remedy = nearest(entry.name, forest.parents) or f"Declare the environment in {FLEET}, or remove this"
                raise refused(entry, "unknown-file", f"{FLEET} declares no such environment", remedy)
        found = [
            EnvironmentFiles(
                one.name, one.parent, forest.dimensions.get(one.name), self._layers(directory / one.name, forest)
            )
            for one in declared
        ]
        return FleetTree(tuple(found), forest)

    def _layers(self, directory: Path, forest: Forest) -> dict[str, LayerFiles]:
        found = {"": self._common(directory)}
        overlays = directory / OVERLAYS
        if overlays.is_dir():
            found.update(self._overlays(overlays, forest.lineage(directory.name)))
        return {layer: files for layer, files in sorted(found.items()) if files.values or files.hidden}

    def _common(self, directory: Path) -> LayerFiles:
        values: dict[str, Json] = {}
        tombstones: Path | None = None
        for file in _entries(directory):
            if file.name == OVERLAYS and file.is_dir():
                continue
            stem = _stem(file)
            if stem == f"common{_HIDE}":
                tombstones = file
                continue
            content = self._values(file, "")
            if list(content) != [stem]:
                why = f"its keys are {shown(', '.join(content), 100)}; expected is the category {shown(stem)} alone"
                raise refused(file, "category", why, f"Begin the file with {shown(stem)}:, or rename it")
            values.update(content)
        return LayerFiles(values, self._hidden(tombstones, "", values) if tombstones else ())

    def _overlays(self, directory: Path, lineage: Lineage) -> dict[str, LayerFiles]:
        files = [(file, _stem(file)) for file in _entries(directory)]
        values: dict[str, dict[str, Json]] = {}
        for file, stem in files:
            layer = _selector(file, stem.removesuffix(_HIDE), lineage)
            values.setdefault(layer, {})
            if not stem.endswith(_HIDE):
                values[layer] = self._values(file, layer)
        found = {layer: LayerFiles(content) for layer, content in values.items()}
        for file, stem in files:
            if stem.endswith(_HIDE):
                layer = _selector(file, stem.removesuffix(_HIDE), lineage)
                found[layer] = LayerFiles(values[layer], self._hidden(file, layer, values[layer]))
        return found

    def _hidden(self, file: Path, layer: str, values: dict[str, Json]) -> tuple[str, ...]:
        """The paths of a list of tombstones; a layer cannot set and hide the same path."""
        content = self._load(file)
        if not isinstance(content, list) or not content:
            raise refused(
                file, "shape", f"it holds {kind(content)}; expected is a list of paths", "Write - risk.global"
            )
        written = {path for path, _ in LayerFiles(values).leaves()}
        found: list[str] = []
        for entry in content:
            path = _path(entry, file, layer)
            if path in found:
                raise refused(file, "duplicate", f"the path {shown(path)} stands twice", "Remove one of them")
            if path in written:
                why = f"the layer {layer or 'common'} both sets and hides {shown(path)}"
                raise refused(file, "hidden", why, "Remove one of the two")
            found.append(path)
        return tuple(found)

    def _values(self, file: Path, layer: str) -> dict[str, Json]:
        """The categories of a file, each of its items within the limits of a store."""
        content = self._load(file)
        if not isinstance(content, dict):
            raise refused(file, "shape", f"it holds {kind(content)}, expected is a mapping", "Write category: first")
        if not content:
            raise refused(file, "empty", "it holds no values", "Write some, or remove the file")
        try:
            for category, value in content.items():
                if not isinstance(value, dict) or not value:
                    why = f"the category {shown(category)} holds {kind(value)}; expected is a mapping with values"
                    raise refused(file, "category", why, "Write its fields below it, indented")
                for path, leaf in items.leaves(paths.write(category), value):
                    labels.check_edit(layer, path, leaf)
        except (PathError, LayerError, ValueRefused) as error:
            raise wrapped(file, error) from error
        return content

    def _load(self, file: Path) -> Json:
        if file.exists() and not file.is_file():
            raise refused(file, "unknown-file", "it is not a regular file", "Put the file itself here")
        with file.open("rb") as stream:
            text = stream.read(MAX_FILE_BYTES + 1)
        value = load_yaml(text, name=str(file))
        self._on_file(file)
        return value


def _selector(file: Path, text: str, lineage: Lineage) -> str:
    """The layer that an overlay's file name stands for."""
    try:
        selector = layers.parse(text.replace("%2F", "/"))
        lineage.check_selector(selector)
    except TrimtabError as error:
        raise wrapped(file, error) from error
    if not selector.text:
        why = "the common layer is no overlay"
        raise refused(file, "selector", why, "Put its categories beside the overlays, a file for each")
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


def _entries(directory: Path) -> list[Path]:
    found = sorted(directory.iterdir(), key=lambda entry: entry.name)
    return [entry for entry in found if not entry.name.startswith(".") and entry.name != _PASSED_OVER]


def _stem(file: Path) -> str:
    if file.suffix != _SUFFIX:
        remedy = f"Rename it to {shown(file.stem)}{_SUFFIX}" if file.suffix == ".yml" else "Move it elsewhere"
        raise refused(file, "unknown-file", f"only files that end in {_SUFFIX} belong here", remedy)
    return file.name.removesuffix(_SUFFIX)
