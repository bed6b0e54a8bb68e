"""`trimtab sidecar`: the process beside a bot. It is another distribution's part, and knows its flags itself."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Annotated, Final, Protocol, cast

import typer

from trimtab_store.cli.command import first_sentence, help_text

app = typer.Typer()
_SIDECAR: Final = "trimtab_sidecar"
"""Found by its name when it runs: store and sidecar stand beside each other, and neither needs the other."""


class _Program(Protocol):
    def run(self, arguments: Sequence[str]) -> int: ...


def sidecar(
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[FLAGS]", help="See trimtab sidecar --help.")
    ] = None,
) -> int:
    """Follow one environment for a whole node, and share it with the processes there until SIGTERM or Ctrl-C.

    Example: trimtab sidecar -e production --shared /dev/shm/trimtab --label node=ny4-1 --trust trust.json
    """
    return cast("_Program", importlib.import_module(_SIDECAR)).run(arguments or [])


app.command(
    "sidecar",
    help=help_text(sidecar),
    short_help=first_sentence(sidecar),
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
)(sidecar)
