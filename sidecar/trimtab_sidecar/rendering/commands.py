"""Commands: what checks a rendered file, and what is done once it is in its place. No shell, a deadline, no output."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

from trimtab.model.errors import UnavailableError, ValidationError

SECONDS: Final = 30.0
_PLACE: Final = "{}"
_KEPT_BACK: Final = "TRIMTAB_"
"""Variables that begin so may hold passwords: a command gets none of them."""


async def check(command: str, file: Path) -> None:
    """Run a check on a file, which takes the place of `{}` or comes last; raises `ValidationError` if it says no."""
    words = shlex.split(command)
    named = [word.replace(_PLACE, str(file)) for word in words]
    code = await _run(named if any(_PLACE in word for word in words) else [*words, str(file)])
    if code:
        raise ValidationError("The check refuses the rendered file", f"{words[0]} ended with {code}", "Run it by hand")


async def run(command: str) -> None:
    """Run a command; raises `UnavailableError` if it fails."""
    words = shlex.split(command)
    code = await _run(words)
    if code:
        raise UnavailableError("The command after rendering failed", f"{words[0]} ended with {code}", "Run it by hand")


def send(given: str) -> None:
    """Send `NAME:PIDFILE`; raises `UnavailableError` if there is nobody to send it to."""
    name, _, file = given.partition(":")
    try:
        os.kill(_process(Path(file).read_text()), signal.Signals[f"SIG{name}"])
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it names no process"
        raise UnavailableError(f"The signal {name} cannot be sent", f"{file}: {why}", "Start the bot") from error


def _process(text: str) -> int:
    number = int(text)
    if number <= 1:  # a group, everybody, or the first of all
        raise ValueError(text)
    return number


async def _run(words: list[str]) -> int | str:
    variables = {name: value for name, value in os.environ.items() if not name.startswith(_KEPT_BACK)}
    nothing = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *words, stdin=nothing, stdout=nothing, stderr=nothing, env=variables, start_new_session=True
        )
    except OSError as error:
        return error.strerror or type(error).__name__
    try:
        async with asyncio.timeout(SECONDS):
            return await process.wait()
    except TimeoutError:
        return f"no answer within {SECONDS:g} s"
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
