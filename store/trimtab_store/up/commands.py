"""The commands that `trimtab up` tells its user to type in a second terminal."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from trimtab_store.embedded.directory import DEFAULT
from trimtab_store.up.fleet import ENVIRONMENT, SHOWN


def commands(directory: Path) -> list[str]:
    """Commands that can be pasted as they are, in a terminal in the same folder: what to change first."""
    program = shlex.join(_program())
    where = "" if directory == DEFAULT.absolute() else f" --directory {shlex.quote(str(directory))}"
    return [
        f"{program} set {SHOWN} 1.25 -e {ENVIRONMENT} --layer bot=mm-btc --reason 'a try' --wait 2s{where}",
        f"{program} set fleet.bots.mm-btc.labels.mode live -e {ENVIRONMENT} --reason 'go live' --wait 2s{where}",
    ]


def _program() -> list[str]:
    """This program as a person would type it here: `.venv/bin/trimtab` in a checkout."""
    beside = Path(sys.executable).parent / "trimtab"
    if not beside.is_file():
        return [sys.executable, "-m", "trimtab_store"]
    here = Path.cwd()
    return [str(beside.relative_to(here)) if beside.is_relative_to(here) else str(beside)]
