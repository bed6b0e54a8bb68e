"""What a reader of a peer is: the port that the families of readers implement, and who there is."""

from __future__ import annotations

import importlib
import importlib.metadata
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias, cast

Place: TypeAlias = dict[str, Any]
"""Where everything is: `items`, the files of the content, the addresses of the servers (see `places`)."""
ROOT: Final = Path(__file__).parents[2]
OURS: Final = "trimtab"


def nothing() -> None:
    """Close nothing."""


@dataclass(kw_only=True)
class Reading:
    """A reader that is ready. `expression` is what a user writes to read the value, over `names`; `read` does the same.

    `change(sort, value, file)` makes the process itself see another value, by what the library offers for it: sort is
    "one key" or "resync". It is None where nothing in the process takes changes in.
    `wait(revision)` is for the readers that others commit to.
    """

    read: Callable[[], object]
    expression: str
    names: Mapping[str, object]
    change: Callable[[str, float, str], None] | None = None
    wait: Callable[[int], bool] | None = None
    close: Callable[[], object] = field(default=nothing)


class Prepare(Protocol):
    """Prepares a reader in this process: loads the content or connects, ready for its first read.

    It may raise anything: the reader is then listed as not run, with the reason. What it needs imported is imported
    before it is called (`Peer.modules`), so that the time of both can be told apart.
    """

    def __call__(self, place: Place) -> Reading: ...


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One row: what it is called, where its reader is, which packages it stands on (the first names the version).

    `shared` says whether threads share one reader, as its documentation tells users to; else each has its own.
    `changed` says how a change comes in, for each sort; `by` who makes it: the process itself, or a writer elsewhere.
    """

    key: str
    name: str
    family: str
    packages: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    shared: bool = True
    changed: Mapping[str, str] = field(default_factory=dict[str, str])
    by: str = "itself"
    note: str = ""
    slow: bool = False

    @property
    def ours(self) -> bool:
        return self.packages[:1] == (OURS,)

    def load(self) -> None:
        """Import what the reader needs."""
        for module in self.modules:
            importlib.import_module(module)

    def prepare(self, place: Place) -> Reading:
        """The reader, ready."""
        family = importlib.import_module(f"benchmarks.peers.{self.family}")
        return cast("Prepare", getattr(family, self.key))(place)

    def version(self) -> str:
        """Which version runs; raises PackageNotFoundError where a package is missing."""
        return ", ".join(version_of(package) for package in self.packages) or "standard library"


def version_of(package: str) -> str:
    """The name and version of a package; ours by its commit, since a checkout is what runs."""
    if package == OURS:
        command = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
        found = subprocess.run(command, check=False, capture_output=True, text=True)
        return f"trimtab {found.stdout.strip() or 'of this checkout'}"
    return f"{package} {importlib.metadata.version(package)}"
