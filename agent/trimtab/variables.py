"""Variables of the process that hold what is secret: given as they are, or as the name of the file that holds them.

    TRIMTAB_REDIS_URL         redis://:password@host:6379/0
    TRIMTAB_REDIS_URL_FILE    /run/secrets/redis-url

A file keeps the password out of what describes a process or a container. It is read once, when the program starts.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from trimtab.model.errors import SettingError

SUFFIX: Final = "_FILE"
FILE_BYTES: Final = 65_536
"""More than any address or key has: what is longer is another file than the one that was meant."""


def is_given(variable: str) -> bool:
    """Whether the variable or its file is there, also if it is empty."""
    return variable in os.environ or f"{variable}{SUFFIX}" in os.environ


def secret(variable: str) -> str | None:
    """What a variable says, itself or through its file; None where neither does. An empty variable says nothing.

    Raises `SettingError` if both are given, and for a file that does not tell; no error shows what is in it.
    """
    value, named = os.environ.get(variable), os.environ.get(f"{variable}{SUFFIX}")
    if not named:
        return value or None
    if value:
        raise SettingError(
            f"{variable} and {variable}{SUFFIX} are both set", "one of them would be ignored", "Unset one of them"
        )
    return _content(f"{variable}{SUFFIX}", Path(named))


def _content(variable: str, file: Path) -> str:
    """The one line of a file, without the line feed at its end."""
    try:
        with file.open("rb") as stream:
            content = stream.read(FILE_BYTES + 1)
    except OSError as error:
        remedy = f"Correct {variable}, or make the file readable for user {os.geteuid()}"
        raise SettingError(f"{variable} is refused: {file} cannot be read", error.strerror or "", remedy) from error
    line = content.removesuffix(b"\n").removesuffix(b"\r")
    if not line or len(content) > FILE_BYTES or b"\n" in line or b"\0" in line or not _is_text(line):
        why = f"it must hold one line of text, and {'no more' if line else 'is empty'}"
        raise SettingError(f"{variable} is refused: {file} cannot be used", why, "Write the value into it, and no more")
    return line.decode()


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
