"""The process beside a bot: one agent for a whole node, which shares what it follows with every process there.

Through shared memory, a local HTTP interface, and rendered files. `trimtab_sidecar.running` wires it together; it is
imported when it runs, because `pip install trimtab` alone does not bring what it needs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Final

from trimtab.model.errors import UsageError

PROBE: Final = "probe"
_OF_THE_EXTRA: Final = frozenset({"aiohttp", "jinja2", "prometheus_client", "structlog"})
"""What the extra `sidecar` brings, by the names under which it is imported."""


def main() -> None:
    """The program `trimtab-sidecar`."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a sidecar until a signal ends it, or say what to install first; the exit code. `probe` asks one that runs."""
    if arguments and arguments[0] == PROBE:
        from trimtab_sidecar import probing  # noqa: PLC0415 - nothing else of the sidecar: it starts every few seconds

        return probing.run(arguments[1:])
    try:
        from trimtab_sidecar import command  # noqa: PLC0415 - see above
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _OF_THE_EXTRA:
            raise
        return _lacking(package, as_json="--json" in arguments)
    return command.run(arguments)


def _lacking(package: str, *, as_json: bool) -> int:
    error = UsageError(
        "The sidecar is not installed",
        f"this Python has trimtab without {package}",
        'Install the rest with: pip install "trimtab[sidecar]"',
    )
    sys.stderr.write(f"{json.dumps({'error': error.to_dict()}) if as_json else f'trimtab: {error}'}\n")
    return error.exit_code


__all__ = ["main", "run"]
