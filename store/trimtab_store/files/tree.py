"""A fleet as a directory of files: YAML, JSON, TOML, HCL or .env, each as its name ends.

    fleet.yaml                                   environments, parents first; a root declares its dimensions
    ENVIRONMENT/NAME.yaml                        categories of the common layer, one or more in a file
    ENVIRONMENT/NAME.env                         variables of the common layer, matched against the paths that are known
    ENVIRONMENT/common.hide.yaml                 a list of paths that the common layer hides
    ENVIRONMENT/overlays/SELECTOR.yaml           an overlay, named by its selector: mode=live,region=ny4.yaml
    ENVIRONMENT/overlays/SELECTOR.hide.yaml      a list of paths that the overlay hides
    local/NAME.yaml, local/NAME.env              laid over the one environment that is planned or applied by name

Without fleet.yaml each directory but local/ is an environment: one that the store has keeps its parent, any other
inherits from base/ where that is there. A slash in a label is written %2F in a file name. Names that start with a dot
(except .env in an environment) and README.md are passed over; every other file that does not fit is refused, so that a
misspelt name never silently drops configuration.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from trimtab.model.errors import TrimtabError, UnavailableError, nearest
from trimtab.model.items import Item
from trimtab.model.structure import Forest
from trimtab_store.files import formats
from trimtab_store.files.declarations import Declaration, declarations, undeclared
from trimtab_store.files.env_text import Assignment
from trimtab_store.files.errors import refused, shown, wrapped
from trimtab_store.files.layer_files import Contents, Directory, LayerFiles, OnFile, entries

FLEET: Final = "fleet"
LOCAL: Final = "local"
Fingerprint: TypeAlias = "frozenset[tuple[str, int, int, int]]"
_TRIES: Final = 3
_MAX_FILES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class EnvironmentFiles:
    """One environment; `dimensions` is None unless it is a root, `layers` goes by selector text (empty for common).

    `assignments` are those of its .env files; what they mean is not known yet.
    """

    name: str
    parent: str | None
    dimensions: tuple[str, ...] | None
    layers: Mapping[str, LayerFiles]
    assignments: tuple[Assignment, ...] = ()

    def items(self) -> Iterator[Item]:
        """Every item that the files stand for, but for those of .env files."""
        for layer, files in self.layers.items():
            for path, content in files.leaves():
                yield Item(self.name, layer, path, content)


@dataclass(frozen=True, slots=True)
class FleetTree:
    """The environments of a directory in the order in which they can be created: parents first.

    `local` is what lies over whichever environment is named. `declared` says whether there is a fleet.yaml.
    """

    environments: tuple[EnvironmentFiles, ...]
    forest: Forest
    local: Contents | None = None
    declared: bool = True


def read_tree(
    directory: Path,
    *,
    on_file: OnFile | None = None,
    variables: Mapping[str, str] | None = None,
    known: Forest | None = None,
) -> FleetTree:
    """Read a whole directory, checked file by file, as it was at one moment; nothing comes back unless everything fits.

    `on_file` is called with each file after it was read. `variables` (default: those of the process) replace `${NAME}`.
    `known` are the environments of the store, for a tree without fleet.yaml. Raises `FileRefused` naming file and key,
    and `UnavailableError` for a file or directory that cannot be read.
    """
    try:
        root = directory.resolve(strict=True)
        reader = _Reader(Directory(root, os.environ if variables is None else variables, on_file or _ignore), known)
        for _ in range(_TRIES):
            before = fingerprint(directory)
            found = _attempt(reader, directory)
            if before == fingerprint(directory):
                return _given(found)
    except OSError as error:
        what = f"{shown(str(error.filename or directory), 200)} cannot be read"
        why = error.strerror or str(error)
        raise UnavailableError(what, why, "Check the name and the rights of the file") from error
    raise refused(directory, "changing", "files change each time that they are read", "Try again when they rest")


def _attempt(reader: _Reader, directory: Path) -> FleetTree | TrimtabError:
    """The tree, or why it is refused: which counts only if no file moved meanwhile."""
    try:
        return reader.fleet(directory)
    except FileNotFoundError as error:
        return UnavailableError(
            f"{shown(str(error.filename), 200)} cannot be read", error.strerror or "", "Check the name"
        )
    except TrimtabError as error:
        return error


def _given(found: FleetTree | TrimtabError) -> FleetTree:
    if isinstance(found, TrimtabError):
        raise found
    return found


def fingerprint(directory: Path) -> Fingerprint:
    """What tells one state of a directory from another: every name with its inode, size and time."""
    found: set[tuple[str, int, int, int]] = set()
    waiting = [directory]
    while waiting:
        here = waiting.pop()
        for entry in os.scandir(here):
            try:
                seen = entry.stat()
            except OSError:  # a link that leads nowhere, or a file that has just gone: the reader says what it means
                found.add((entry.path, 0, 0, 0))
                continue
            found.add((entry.path, seen.st_ino, seen.st_size, seen.st_mtime_ns))
            if stat.S_ISDIR(seen.st_mode) and not entry.is_symlink() and len(found) < _MAX_FILES:
                waiting.append(Path(entry.path))
    return frozenset(found)


def count_files(directory: Path) -> int:
    """How many files a reader would read, roughly: for showing how far it is."""
    return sum(len(names) for _, _, names in os.walk(directory))


class _Reader:
    def __init__(self, files: Directory, known: Forest | None) -> None:
        self._files, self._known = files, known

    def fleet(self, directory: Path) -> FleetTree:
        file = _fleet_file(directory)
        folders = [entry for entry in entries(directory) if entry != file]
        if file is not None:
            declared, forest = declarations(self._files.load(file), file)
        else:
            declared, forest = self._undeclared(directory, folders)
        local = None
        for entry in folders:
            if entry.name == LOCAL and LOCAL not in forest.parents and entry.is_dir():
                local = self._files.contents(entry, None)
            elif not (entry.name in forest.parents and entry.is_dir()):
                remedy = (
                    nearest(entry.name, forest.parents) or f"Declare the environment in {FLEET}.yaml, or remove this"
                )
                raise refused(entry, "unknown-file", "no such environment is declared", remedy)
        found = [self._environment(one, directory / one.name, forest) for one in declared]
        return FleetTree(tuple(found), forest, local, file is not None)

    def _environment(self, one: Declaration, directory: Path, forest: Forest) -> EnvironmentFiles:
        contents = self._files.contents(directory, forest.lineage(one.name))
        dimensions = forest.dimensions.get(one.name)
        return EnvironmentFiles(one.name, one.parent, dimensions, contents.layers, contents.assignments)

    def _undeclared(self, directory: Path, folders: list[Path]) -> tuple[list[Declaration], Forest]:
        names = [entry.name for entry in folders if entry.name != LOCAL and entry.is_dir()]
        if not names:
            why = f"it holds neither {FLEET}.yaml nor the directory of an environment"
            raise refused(directory, "empty", why, "Put files into base/, production/, …")
        try:
            return undeclared(names, self._known)
        except TrimtabError as error:
            raise wrapped(directory, error) from error


def _fleet_file(directory: Path) -> Path | None:
    found = [entry for entry in entries(directory) if entry.stem == FLEET and entry.suffix in formats.READERS]
    if len(found) > 1:
        raise refused(found[1], "duplicate", f"{found[0].name} declares the environments, too", "Remove one of the two")
    return found[0] if found else None


def _ignore(_: Path) -> None:
    pass
