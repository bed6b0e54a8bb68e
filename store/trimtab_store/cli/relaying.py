"""`trimtab relay` and its probe."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from trimtab_store import heartbeat as beating
from trimtab_store.cli import connecting, options
from trimtab_store.cli.command import command, group

relay = typer.Typer()


@group(relay)
def run(
    context: typer.Context,
    directory: options.Directory = None,
    seconds: options.Seconds = None,
    heartbeat: Annotated[
        Path | None,
        typer.Option("--heartbeat", help="Written at each turn of its loop, for `relay probe`.", metavar="FILE"),
    ] = None,
) -> None:
    """Carry committed changes to Redis, and repair it whenever it differs from Postgres, until SIGTERM or Ctrl-C.

    Any number of relays may run. It writes its log to standard error, one JSON object a line. In the database it needs
    no more than the role trimtab_relay may do.

    Example: trimtab relay --seconds 1
    Example: trimtab relay --seconds 1 --heartbeat relay.alive
    """
    if context.invoked_subcommand is not None:
        return
    from trimtab_store import log_lines  # noqa: PLC0415 - only the relay logs as JSON
    from trimtab_store.relay import Relay  # noqa: PLC0415 - redis only where it is used

    found = connecting.find(directory)
    redis_url = connecting.redis_url(found)
    stop = _stopping(seconds)
    log_lines.to_stderr()
    if heartbeat is None:
        Relay(found.relay_url, redis_url).run(stop)
    else:
        Relay(found.relay_url, redis_url, beat=beating.Heartbeat(heartbeat).beat).run(stop)


@command(relay, "probe")
def probe(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What the relay was given as --heartbeat.")],
    *,
    as_json: options.AsJson = False,
) -> int:
    """Say in one line whether the loop of the relay here turns: exit code 0 if it did within 60 seconds, else 1.

    It turns whatever Redis and Postgres do: a relay that waits for a server is alive.

    Example: trimtab relay probe relay.alive
    """
    return beating.tell(file, as_json=as_json)


def _stopping(seconds: float | None) -> threading.Event:
    """Set by SIGTERM, by Ctrl-C, or when the time is over."""
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    if seconds is not None:
        timer = threading.Timer(seconds, stop.set)
        timer.daemon = True
        timer.start()
    return stop
