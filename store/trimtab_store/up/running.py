"""The wiring of `trimtab up`: what starts in which order, and what stops in which."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from trimtab.model.canonical import Json
from trimtab.model.errors import SettingError
from trimtab_store.files import read_tree
from trimtab_store.publish import Publisher
from trimtab_store.store import Store
from trimtab_store.up import cluster, demo, ending, fleet, relaying
from trimtab_store.up.account import account
from trimtab_store.up.cluster import Cluster
from trimtab_store.up.commands import commands, shown_path
from trimtab_store.up.fleet import ENVIRONMENT, SHOWN, Bot
from trimtab_store.up.screen import Screen, print_hint, showing
from trimtab_store.up.visible import Visible
from trimtab_store.up.watched import Watched

READS: Final = {SHOWN: "risk.global.\nmax_leverage", "trader.default_slippage_bps": "trader.default_\nslippage_bps"}
"""What the bots show, with headings narrow enough for 80 columns."""
DEMO_SECONDS: Final = 20.0
_REFRESH_SECONDS: Final = 0.1

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Running:
    """Everything but the sidecar and its bots."""

    cluster: Cluster
    store: Store
    clock: demo.Clocked
    relay: Watched


def run_demo(directory: Path, seconds: float, say: Say, drop: int | None = None) -> dict[str, Json]:
    """The unattended run; the object that `--json` prints. With `drop`, one bot loses that change."""
    with ending.in_order(), _everything(directory, say) as running:
        drops = {} if drop is None else {"mm-btc": drop}
        with fleet.started(running.cluster.servers(), (SHOWN,), drops=drops) as found:
            demo.wait_live(found, running.relay, say)
            say(f"Committing {demo.RATE} changes a second for {seconds:g} s")
            run = demo.drive(running.store, running.clock, running.cluster, running.relay, found, seconds, say)
            demo.wait_settled(found, running.relay, run.revision, say)
            run.relay_restarts = running.relay.restarts
        say("Stopped the bots and the sidecar; asking a process of its own what was lost")
        return account(running.cluster, found.bots, run, say)


def run_live(directory: Path, seconds: float | None, say: Say, console: Console) -> None:
    """The run that a person looks at, until Ctrl-C, SIGTERM, SIGHUP, or `seconds` have passed."""
    with contextlib.suppress(KeyboardInterrupt), ending.in_order(), _everything(directory, say) as running:
        screen = Screen(READS)
        visible = Visible(running.store, screen)
        with fleet.started(running.cluster.servers(), tuple(READS), visible.heard) as found:
            demo.wait_live(found, running.relay, say)
            print_hint(commands(directory), console)
            _show((running.relay, found.sidecar), found.bots, screen, console, seconds, say)
    say(f"Stopped. The data stay in {shown_path(directory)}.")


def examples() -> Path:
    """The example fleet: beside the sources in a checkout. Raises SettingError where there is none."""
    found = Path(__file__).resolve().parents[3] / "examples" / "fleet"
    if not (found / "fleet.yaml").is_file():
        raise SettingError(
            "The example fleet is not there",
            f"{found} does not exist: it belongs to a checkout of Trimtab, not to the installed package",
            "Run `make up` in a checkout",
        )
    return found


@contextlib.contextmanager
def _everything(directory: Path, say: Say) -> Generator[Running]:
    with contextlib.ExitStack() as stack:
        found = stack.enter_context(cluster.start(directory, say))
        servers = found.servers()
        publisher = Publisher.connect(servers.database_url, servers.redis_url)
        stack.callback(publisher.close)
        clock = demo.Clocked(publisher)
        store = stack.enter_context(
            Store.connect(servers.database_url, servers.redis_url, signing_key=servers.signing_key, publisher=clock)
        )
        _load(store, say)
        say("Starting a relay, a sidecar, and three bots that attach to it")
        yield Running(found, store, clock, stack.enter_context(relaying.started(servers)))


def _load(store: Store, say: Say) -> None:
    """Load the example fleet, unless it is there; what an interrupted start left is completed."""
    if ENVIRONMENT in store.forest().parents and store.queries.items(ENVIRONMENT, own=True):
        return
    folder = examples()
    say(f"Loading the example fleet from {folder}")
    done = store.load_tree(read_tree(folder), author="trimtab up", reason="the example fleet")
    items = sum(len(one.paths) for one in done)
    say(f"Loaded {items} items into {len({one.environment for one in done})} environments")


def _show(
    watched: Sequence[Watched],
    bots: Sequence[Bot],
    screen: Screen,
    console: Console,
    seconds: float | None,
    say: Say,
) -> None:
    deadline = None if seconds is None else time.monotonic() + seconds
    try:
        with showing(screen, bots, console) as refresh:
            while deadline is None or time.monotonic() < deadline:
                for one in watched:
                    one.tend(screen.tell)
                refresh()
                time.sleep(_REFRESH_SECONDS)
    finally:
        say("Stopping the bots, the sidecar, the relay and the servers")
