"""The heartbeat of a relay: a file that says when its loop last turned, and the question whether that was just now.

It says that the loop turns, whatever Redis and Postgres do: a relay that waits for a server is restarted in vain. The
file holds nanoseconds of the clock that counts since this machine started, so that nobody's setting of the time makes a
dead relay look alive. Nothing is imported here that a probe every few seconds should not pay for.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from typing import Final

from trimtab.model.errors import SettingError

MOST_SECONDS: Final = 60.0
"""Far longer than one turn takes, also where names are looked up in vain before it gives up for now."""
_TEXT: Final = "%019d\n"  # any 64-bit number is as long
_BYTES: Final = len(_TEXT % 0)
_FLAGS: Final = os.O_CLOEXEC | os.O_NOFOLLOW
_log = logging.getLogger("trimtab.relay")


class Heartbeat:
    """Writes the file. Raises `SettingError` at once if it never can; later it only says so, for the loop goes on."""

    def __init__(self, file: str | os.PathLike[str]) -> None:
        self._file = os.fspath(file)
        self._failing = False
        try:
            if os.path.lexists(self._file) and _read(self._file) is None:
                raise SettingError(
                    f"The heartbeat {self._file} is refused", "it holds something else", "Name a file of its own"
                )
            self._write()
        except OSError as error:
            raise SettingError(
                f"The heartbeat {self._file} cannot be written", error.strerror or "", "Name another file"
            ) from error

    def beat(self) -> None:
        """Say that the loop turns."""
        try:
            self._write()
        except OSError as error:
            if not self._failing:
                _log.warning("the heartbeat cannot be written", extra={"fields": {"why": error.strerror}})
            self._failing = True
        else:
            self._failing = False

    def _write(self) -> None:
        # One write over all that is there: nobody ever reads half of it. Opened each time: it may have been removed.
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | _FLAGS, 0o644)
        try:
            os.pwrite(descriptor, (_TEXT % time.monotonic_ns()).encode(), 0)
        finally:
            os.close(descriptor)


def look(file: str | os.PathLike[str], most: float = MOST_SECONDS) -> tuple[bool, str]:
    """Whether the loop of a relay turned within `most` seconds, and how that is known."""
    try:
        beat = _read(os.fspath(file))
    except FileNotFoundError:
        return False, f"{file} is not there: no relay with this heartbeat has started"
    except OSError as error:
        return False, f"{file} cannot be read: {error.strerror}"
    if beat is None:
        return False, f"{file} is no heartbeat of a relay"
    age = (time.monotonic_ns() - beat) / 1e9
    if age < 0:
        return False, "its loop has not turned since this machine started"
    return age <= most, f"its loop turned {age:.1f} s ago" + ("" if age <= most else f", more than {most:g} s")


def tell(file: str | os.PathLike[str], *, as_json: bool = False) -> int:
    """Say in one line what `look` found; the exit code, 0 or 1."""
    alive, why = look(file)
    if as_json:
        sys.stdout.write(f"{json.dumps({'alive': alive, 'why': why})}\n")
    else:
        said = f"{'alive' if alive else 'not alive'}: {why}"
        sys.stdout.write("".join(letter if letter.isprintable() else " " for letter in said) + "\n")
    return 0 if alive else 1


def _read(file: str) -> int | None:
    """When the loop last turned; None if the file says something else, 0 if it says nothing yet."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | _FLAGS)
    try:
        said = os.pread(descriptor, _BYTES + 1, 0)
    finally:
        os.close(descriptor)
    if not said:
        return 0
    return int(said) if len(said) == _BYTES and said[:-1].isdigit() else None
