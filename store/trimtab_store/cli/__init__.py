"""The command line: `trimtab`.

The program is imported when it runs: `pip install trimtab` alone installs what an agent needs and this command, but not
what this command needs.
"""

from __future__ import annotations

import json
import sys
from typing import Final

from trimtab.model.errors import UsageError

_PROBE: Final = ["relay", "probe"]
_OF_THE_EXTRA: Final = frozenset(
    {
        "alembic", "cel", "cli", "hcl2", "jsonschema_rs", "psycopg_pool", "rich", "sqlalchemy", "tomli_w", "typer",
        "watchfiles", "yaml",
    }
)  # fmt: skip
"""What the extra `store` brings, by the names under which it is imported."""


def main() -> None:
    """The program, or what to install first."""
    if sys.argv[1:3] == _PROBE and len(sys.argv[3:]) == 1 and not sys.argv[3].startswith("-"):
        from trimtab_store import heartbeat  # noqa: PLC0415 - without the program: it starts every few seconds

        sys.exit(heartbeat.tell(sys.argv[3]))
    try:
        from trimtab_store.cli import app  # noqa: PLC0415 - see above
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _OF_THE_EXTRA:
            raise
        sys.exit(_lacking(package))
    app.main()


def _lacking(package: str) -> int:
    """Say in one paragraph that the command line is not installed whole; the exit code."""
    error = UsageError(
        "The command line is not installed",
        f"this Python has trimtab for agents, without {package}",
        'Install the rest with: pip install "trimtab[store]"',
    )
    told = json.dumps({"error": error.to_dict()}) if "--json" in sys.argv[1:] else f"trimtab: {error}"
    sys.stderr.write(f"{told}\n")
    return error.exit_code


__all__ = ["main"]
