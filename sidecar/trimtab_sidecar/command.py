"""`trimtab sidecar`, also `trimtab-sidecar` where no store is installed: flags, exit codes, and what is said of errors.

Exit codes are those of `trimtab`: 0 ended by a signal, 1 internal, 2 usage, 5 another sidecar holds the directory,
6 unavailable, 7 denied. Addresses of servers have no flags: they may hold passwords, and every user of a machine can
read its list of processes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from trimtab.model import layers
from trimtab.model.errors import TrimtabError
from trimtab_sidecar import logs, settings
from trimtab_sidecar.flags import Parser, tell
from trimtab_sidecar.running import STOP_SECONDS, Sidecar

DESCRIPTION: Final = """\
Follow one environment for a whole node, and share it with the processes there: shared memory for Python, HTTP on a unix
socket for other languages, rendered files for bots that read files.

Ready once it serves validated data, from its servers or from --keep. SIGTERM and Ctrl-C end it cleanly.
TRIMTAB_DATABASE_URL and TRIMTAB_REDIS_URL name the servers, or TRIMTAB_DATABASE_URL_FILE and TRIMTAB_REDIS_URL_FILE the
files that hold these addresses; every flag has a variable, and a place in --file.

`trimtab-sidecar probe --help` says how a container asks whether one is ready.

Example: trimtab sidecar -e production --shared /dev/shm/trimtab --label node=ny4-1 --trust trust.json
Example: trimtab sidecar -e production --shared /dev/shm/trimtab --http 127.0.0.1:8377
Example: trimtab sidecar -e production --shared /dev/shm/trimtab --render bot.json.j2:/config/bot.json
"""
_INTERNAL: Final = 1
_UNCLEAN: Final = 1


def run(arguments: Sequence[str]) -> int:
    """Run a sidecar until a signal ends it; the exit code."""
    try:
        try:
            given = parser().parse_args(list(arguments))
        except SystemExit as ended:  # after --help
            return int(ended.code or 0)
        chosen = settings.read(_flags(given))
        secrets = (chosen.follow.database_url, chosen.follow.redis_url)
        logs.configure(sys.stderr, chosen.own.log_level, [one.get_secret_value() for one in secrets if one])
        return asyncio.run(_live(Sidecar(chosen)))
    except TrimtabError as error:
        tell(error, as_json="--json" in arguments)
        return error.exit_code


def parser() -> Parser:
    """The flags. None of them has a default here: what is not given is looked for in variables and in the file."""
    made = Parser("trimtab sidecar", DESCRIPTION)
    add = made.add_argument
    add("-e", "--environment", metavar="NAME", help="The environment; there is no default [TRIMTAB_ENVIRONMENT].")
    add("--shared", metavar="DIR", help="The directory that it shares, on tmpfs [TRIMTAB_SHARED_DIRECTORY].")
    add("--group", metavar="NAME", help="The group of the bots that may use it [TRIMTAB_SHARED_GROUP].")
    add("--trust", metavar="FILE", help="The writers' public keys [TRIMTAB_TRUST].")
    add("--label", action="append", metavar="DIMENSION=LABEL", help="Who this is: node=…, region=… [TRIMTAB_LABELS].")
    add("--keep", metavar="DIR", help="What it keeps on disk for its next start [TRIMTAB_AGENT_DIRECTORY].")
    add("--local", metavar="FILE", help="What this node overrides for its bots, where permitted [TRIMTAB_LOCAL].")
    add(
        "--http",
        action="append",
        metavar="ADDRESS",
        help="unix:/path instead of DIR/http.sock, or 127.0.0.1:PORT beside it [TRIMTAB_HTTP].",
    )
    add("--render", action="append", metavar="TEMPLATE:FILE", help="A file to render and keep up to date.")
    add("--render-check", metavar="COMMAND", help="Must succeed on a rendered file, given as {}, before it counts.")
    add("--render-then", metavar="COMMAND", help="Run after a rendered file was replaced.")
    add("--render-signal", metavar="NAME:PIDFILE", help="Sent then, such as HUP:/run/bot.pid.")
    add("--file", metavar="FILE", help="Settings in TOML; flags and variables win [TRIMTAB_SIDECAR_FILE].")
    add("--log-level", metavar="LEVEL", help="debug, info, warning or error [TRIMTAB_LOG_LEVEL].")
    add("--json", action="store_true", help="A refused start is told as one JSON object. Logs always are JSON lines.")
    return made


def _flags(given: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {name: value for name, value in vars(given).items() if value is not None}
    found.pop("json")
    if "label" in found:
        found["labels"] = dict(layers.parse(",".join(found.pop("label"))).labels)
    if "file" in found:
        found["file"] = Path(found["file"])
    return found


async def _live(sidecar: Sidecar) -> int:
    """Run, and end within a deadline even where a thread hangs that nobody can end."""
    try:
        clean = await sidecar.run(on_stopping=_end_for_sure)
    except TrimtabError:
        raise
    except Exception:  # noqa: BLE001 - the last resort of a program: say what happened, and that it is our fault
        logs.LOGGER.exception("internal_error")
        return _INTERNAL
    return 0 if clean else _UNCLEAN


def _end_for_sure() -> None:
    timer = threading.Timer(2 * STOP_SECONDS, os._exit, (_UNCLEAN,))
    timer.daemon = True
    timer.start()
