"""Words of the command line that stand for something else: times, durations, files and their formats."""

from __future__ import annotations

import math
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from trimtab.model.errors import SettingError, UsageError
from trimtab_store.portable import Format
from trimtab_store.queries import AsOf

FORMATS: Final[tuple[Format, ...]] = ("json", "yaml", "toml")
_NAMED: Final[dict[str, Format]] = {form: form for form in FORMATS}
_ENDINGS: Final[dict[str, Format]] = {".yaml": "yaml", ".yml": "yaml", ".toml": "toml"}
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0}
_LONGEST_SECONDS: Final = 86_400
_LARGEST_REVISION: Final = 2**63 - 1


def seconds(text: str, option: str) -> float:
    """A duration: `2s`, `500ms`, `1m`, or plain seconds. Raises `SettingError`."""
    unit = next((unit for unit in _UNITS if text.endswith(unit)), "")
    number = text.removesuffix(unit).strip()
    try:
        found = float(number) * _UNITS.get(unit, 1.0) if number.isascii() and "_" not in number else math.nan
    except ValueError:
        found = math.nan
    if not 0 <= found <= _LONGEST_SECONDS:
        raise SettingError(
            f"{option} {text[:40]} is refused", "it is no duration between 0 and a day", "Write 2s, 500ms or 1m"
        )
    return found


def moment(text: str | None) -> AsOf:
    """A revision, or a time with its zone; None for now. Raises `UsageError`."""
    if text is None:
        return None
    if text.isascii() and text.isdigit() and int(text[:20]) <= _LARGEST_REVISION:
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"{text[:40]!r} is neither a revision nor a time", "", "Write 41, or a time such as 2026-01-05T14:03:07Z"
        ) from error
    if found.tzinfo is None:
        written = found.isoformat(timespec="seconds")
        raise UsageError(
            f"The time {text} has no zone", "it would mean another instant elsewhere", f"Write {written}Z for UTC"
        )
    try:
        return found.astimezone(UTC)
    except OverflowError as error:
        raise UsageError(f"The time {text} is refused", "in UTC it has no date", "Write a later one") from error


def read_file(file: Path) -> bytes:
    """The bytes of a file that the user named; `-` is standard input."""
    if str(file) == "-":
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read", error.strerror or "", "Check the name") from error


def write_file(file: Path, content: bytes) -> None:
    """Write a file that the user named."""
    try:
        file.write_bytes(content)
    except OSError as error:
        raise UsageError(f"{file} cannot be written", error.strerror or "", "Choose another --output") from error


def format_of(named: str, file: Path | None) -> Format:
    """JSON, YAML or TOML: as named, else by the ending of the file, else JSON."""
    if not named:
        return _ENDINGS.get(file.suffix.lower() if file else "", "json")
    found = _NAMED.get(named)
    if found is None:
        known = ", ".join(FORMATS[:-1])
        why = f"it is {known} or {FORMATS[-1]}"
        raise UsageError(f"The format {named[:40]!r} is refused", why, "Write --format json")
    return found
