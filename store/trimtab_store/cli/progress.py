"""How far a command is that reads many files: a bar on standard error, where somebody looks."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from trimtab_store.cli.output import console
from trimtab_store.files.tree import count_files

MANY: Final = 50
"""So many files are worth a bar."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Told of what is done; without a `progress` it shows nothing."""

    progress: tuple[Progress, TaskID] | None = None

    def read(self, _: Path) -> None:
        """One more file was read."""
        if self.progress:
            progress, task = self.progress
            progress.advance(task)

    def check(self) -> None:
        """All were read; how long the rest takes is not known."""
        if self.progress:
            progress, task = self.progress
            progress.update(task, description="Checking what they say", total=None)


@contextlib.contextmanager
def reading(folder: Path) -> Generator[Bar]:
    """A bar that goes away at the end."""
    count = count_files(folder) if sys.stderr.isatty() else 0
    if count < MANY:
        yield Bar()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as progress:
        yield Bar((progress, progress.add_task("Reading files", total=count)))
