"""What a directory remembers beside its generations: whose it is, the floor, starts and ends; and its errors."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Final

from trimtab.feeds.disk import sealed
from trimtab.feeds.disk.runs import Runs
from trimtab.files import Files
from trimtab.model import canonical
from trimtab.model.errors import FilesRefused, PersistFailed
from trimtab.model.links import START, Position

_META: Final = "meta"
_FLOOR: Final = "floor"
_RUNS: Final = "runs"


class Records:
    """The small files. Raises `OSError` where the files do."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._written = START
        self.floor = START
        self.runs = Runs()
        self.forgets = False  # the unclean ends found are used up, and that is not written down yet

    def load(self, fallback: Position) -> list[str]:
        """Read floor and runs; what is damaged is replaced by the cautious answer and named in the alarms returned."""
        alarms: list[str] = []
        try:
            fields = sealed.read(self._files, _FLOOR) or {"epoch": 0, "revision": 0}
            self.floor = self._written = Position(_number(fields, "epoch"), _number(fields, "revision"))
        except (OSError, FilesRefused) as error:
            self.floor = fallback
            alarms.append(f"The floor on disk is lost, {fallback} is taken instead: {error}")
        try:
            self.runs = Runs.decode(sealed.read(self._files, _RUNS))
        except (OSError, FilesRefused) as error:
            self.runs = Runs(running=True)
            alarms.append(f"The record of starts and ends is lost, the last end counts as unclean: {error}")
        return alarms

    def write_floor(self) -> None:
        """Write the floor down if it rose."""
        floor = self.floor
        if floor > self._written:
            sealed.write(self._files, _FLOOR, {"epoch": floor.epoch, "revision": floor.revision})
            self._written = floor

    def write_runs(self) -> None:
        """Write the runs down."""
        sealed.write(self._files, _RUNS, self.runs.encode())

    def write_forgotten(self) -> None:
        """Write the runs down without their unclean ends, if those are used up; after a failure the next call does."""
        if self.forgets:
            self.runs = self.runs.forgotten()
            self.write_runs()
            self.forgets = False


def check_environment(files: Files, environment: str) -> None:
    """Refuse a directory of another environment; a new or damaged record is written."""
    try:
        fields = sealed.read(files, _META)
    except FilesRefused:
        fields = None  # each generation names its environment under a signature
    if fields is None:
        sealed.write(files, _META, {"environment": environment, "v": 1})
    elif fields.get("environment") != environment:
        raise FilesRefused(
            f"The directory {files.place} is refused",
            f"it belongs to the environment {str(fields.get('environment'))!r}, not to {environment!r}",
            "Name another directory",
        )


@contextmanager
def persisting(files: Files, done: str) -> Generator[None]:
    """Turn what the system says into `PersistFailed`."""
    try:
        yield
    except OSError as error:
        raise PersistFailed(
            f"The directory {files.place} cannot be {done}",
            error.strerror or str(error),
            "Make room or repair it; the agent goes on meanwhile and tries again",
        ) from error


def _number(fields: Mapping[str, canonical.Json], name: str) -> int:
    number = fields.get(name)
    if type(number) is not int or number < 0:
        raise FilesRefused("A small file is refused", f"{name} is no number", "It is written anew")
    return number
