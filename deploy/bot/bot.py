"""An example of a bot: it attaches to the sidecar beside it, and prints a line of JSON whenever what it reads changes.

    python bot.py --shared /run/trimtab --bot mm-btc-paper --require mode=paper --owner 10001

It has no address of a server and no key. With --require, it reads nothing at all while configuration says otherwise.
"""
# ruff: noqa: INP001 - a program, not a package

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from pathlib import Path

from trimtab import attach
from trimtab.model.errors import RequirementFailed

LEVERAGE = "risk.global.max_leverage"
LOOK_SECONDS = 0.2
"""A real bot reads in its hot loop, whenever it needs a value: a read costs about as much as one of a dict."""
ATTACH_SECONDS = 60.0


def main() -> int:
    """Look until a signal ends it."""
    given = parser().parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    required = dict(one.split("=", 1) for one in given.require)
    said = None
    with attach(
        given.shared, labels={"bot": given.bot}, require=required, owner=given.owner, timeout=ATTACH_SECONDS
    ) as config:
        while not stop.is_set():
            try:
                now = {
                    "bot": given.bot,
                    "labels": dict(config.labels),
                    "revision": config.revision,
                    "status": config.status.value,
                    LEVERAGE: config.get(LEVERAGE, None),
                }
            except RequirementFailed as error:
                now = {"bot": given.bot, "not_trading": str(error)}
            if now != said:
                sys.stdout.write(f"{json.dumps(now)}\n")
                sys.stdout.flush()
                said = now
            if given.alive is not None:
                given.alive.touch()
            stop.wait(LOOK_SECONDS)
    return 0


def parser() -> argparse.ArgumentParser:
    """The flags."""
    made = argparse.ArgumentParser(description="An example of a bot beside a sidecar.", allow_abbrev=False)
    made.add_argument("--shared", required=True, metavar="DIR", help="The directory that the sidecar shares.")
    made.add_argument("--bot", required=True, metavar="NAME", help="Who this is.")
    made.add_argument("--require", action="append", default=[], metavar="DIMENSION=LABEL", help="What must hold.")
    made.add_argument("--owner", type=int, metavar="NUMBER", help="The sidecar's user, if it is another than ours.")
    made.add_argument("--alive", type=Path, metavar="FILE", help="Touched at each look, for a probe.")
    return made


if __name__ == "__main__":
    sys.exit(main())
