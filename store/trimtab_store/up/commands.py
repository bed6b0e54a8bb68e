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
    where = "" if directory == DEFAULT.absolute() else f" --directory {shlex.quote(shown_path(directory))}"
    return [
        f"{program} set {SHOWN} 1.25 -e {ENVIRONMENT} --layer bot=mm-btc --reason 'a try'{where}",
        f"{program} set fleet.bots.mm-btc.labels.mode live -e {ENVIRONMENT} --reason 'go live'{where}",
        f"{program} status -e {ENVIRONMENT}{where}",
    ]


def shown_path(path: Path) -> str:
    """A path as a person in the current folder would write it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _program() -> list[str]:
    """This program as a person would type it here: `.venv/bin/trimtab` in a checkout."""
    beside = Path(sys.executable).parent / "trimtab"
    return [shown_path(beside)] if beside.is_file() else [sys.executable, "-m", "trimtab_store"]
