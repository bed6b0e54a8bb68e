"""The commands, how they are grouped, and how an error becomes an exit code.

Exit codes: 0 done, 1 internal, 2 usage, 3 not found, 4 refused by validation, 5 conflict, 6 unavailable, 7 denied,
8 committed but not yet served everywhere, 9 awaiting approval; 130 after Ctrl-C.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Final

import typer
from typer.exceptions import TyperException

from trimtab.model.errors import TrimtabError, UsageError
from trimtab_store.cli import (
    administering,
    changing,
    impacting,
    importing,
    keying,
    planning,
    reading,
    registering,
    relaying,
    rules,
    schemas,
    sidecaring,
    status,
    structure,
    templating,
    upgrading,
    upping,
    validating,
    watching,
    whole,
)
from trimtab_store.cli.output import print_error

HELP: Final = "Configuration for a trading fleet: one durable, audited source, read at the cost of a dict lookup."
EPILOG: Final = (
    "Exit codes: 0 done, 1 internal, 2 usage, 3 not found, 4 refused by validation, 5 conflict, 6 unavailable, "
    "7 denied, 8 committed but not yet served everywhere, 9 awaiting approval."
)
INTERNAL: Final = 1
INTERRUPTED: Final = 130

app = typer.Typer(
    name="trimtab",
    help=HELP,
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
for group in (
    upping,
    changing,
    reading,
    whole,
    validating,
    planning,
    importing,
    status,
    watching,
    administering,
    sidecaring,
):
    app.add_typer(group.app)
app.add_typer(relaying.relay, name="relay")
app.add_typer(keying.keys, name="keys")
app.add_typer(impacting.app)
app.add_typer(registering.registry, name="registry")
app.add_typer(rules.rule, name="rule")
app.add_typer(schemas.schema, name="schema")
schemas.schema.add_typer(upgrading.app)
app.add_typer(structure.env, name="env")
app.add_typer(structure.epoch, name="epoch")
app.add_typer(templating.template, name="template")


def main() -> None:
    """The program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a letter ends no command
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command; its exit code."""
    as_json = "--json" in arguments
    try:
        code = app(list(arguments), prog_name="trimtab", standalone_mode=False)
    except TrimtabError as error:
        print_error(error, as_json=as_json)
        return error.exit_code
    except TyperException as error:
        return _tell_usage(error, as_json=as_json)
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        with contextlib.suppress(OSError, ValueError):  # whoever read us has gone; nothing more to say
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:  # noqa: BLE001 - the last resort of a program: say what happened, and say that it is our fault
        traceback.print_exc()
        sys.stderr.write("trimtab: internal error, see above; what was committed before it was said so.\n")
        return INTERNAL
    return code if isinstance(code, int) else 0


def _tell_usage(error: TyperException, *, as_json: bool) -> int:
    """A call that typer refused, said as we say everything; a call without a command gets the help that it carries."""
    message = error.format_message()
    if message.startswith("Usage: "):
        sys.stderr.write(f"{message}\n")
        return error.exit_code
    context = getattr(error, "ctx", None)
    words = getattr(context, "command_path", "trimtab")
    refused = UsageError(message, "", f"See {words} --help")
    print_error(refused, as_json=as_json)
    return refused.exit_code
