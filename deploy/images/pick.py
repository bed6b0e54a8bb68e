"""Pick the wanted libraries out of requirements.lock, with their markers and hashes: python pick.py WANTED LOCK.

WANTED names one library a line. One that the lock does not hold is an error, so that nothing is installed unlocked.
"""
# ruff: noqa: INP001 - a program of the image builder, not a package

from __future__ import annotations

import sys
from pathlib import Path


def entries(lock: str) -> dict[str, str]:
    """Every requirement of a lock, name → its lines."""
    found: dict[str, str] = {}
    name = ""
    for line in lock.splitlines(keepends=True):
        if line[:1].isalnum():
            name = line.partition("==")[0]
            found[name] = line
        elif name and line.startswith(" "):
            found[name] += line
    return found


def main(wanted: str, lock: str) -> None:
    """Print the entries of what is wanted."""
    locked = entries(Path(lock).read_text(encoding="utf-8"))
    names = Path(wanted).read_text(encoding="utf-8").split()
    if missing := [name for name in names if name not in locked]:
        raise SystemExit(f"{wanted}: {lock} does not hold {', '.join(missing)}. Remedy: make lock")
    sys.stdout.write("".join(locked[name] for name in names))


if __name__ == "__main__":
    main(*sys.argv[1:])
