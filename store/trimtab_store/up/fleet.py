"""The processes of `trimtab up`: three bots and a relay, started as a user would start them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from trimtab.model.canonical import Json
from trimtab.model.errors import UnavailableError
from trimtab_store.embedded.directory import Servers
from trimtab_store.embedded.places import write_private
from trimtab_store.embedded.process import log_tail
from trimtab_store.up.bot import BotConfiguration

ENVIRONMENT: Final = "production"
BOTS: Final[Mapping[str, Mapping[str, str]]] = {
    "mm-btc": {"bot": "mm-btc", "node": "node-1", "region": "ny4"},
    "mr-eth": {"bot": "mr-eth", "node": "node-1", "region": "ld4"},
    "arb-btc": {"bot": "arb-btc", "node": "node-2", "region": "ny4"},
}
"""The example fleet's bots, with the identity that each brings along."""
SHOWN: Final = "risk.global.max_leverage"
"""Where overlays make the three bots differ."""
STOP_SECONDS: Final = 15.0


@dataclass
class Bot:
    """One bot process and the last that it said. Written by the thread that reads its output."""

    name: str
    identity: Mapping[str, str]
    journal: Path
    log: Path
    process: subprocess.Popen[str]
    said: dict[str, Json] = field(default_factory=dict[str, Json])

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self.process.poll() is None

    @property
    def revision(self) -> int:
        """The newest revision that it saw, -1 before the first."""
        revision = self.said.get("revision")
        return revision if isinstance(revision, int) else -1

    @property
    def reads(self) -> Mapping[str, Json]:
        """What it reads, by path."""
        reads = self.said.get("reads")
        return reads if isinstance(reads, dict) else {}


Heard = Callable[[Bot], None]


@contextlib.contextmanager
def bots(
    servers: Servers, reads: tuple[str, ...], heard: Heard | None = None, drops: Mapping[str, int] | None = None
) -> Generator[list[Bot]]:
    """The three bots, until the block ends; they are started in the main thread.

    `heard` is called, on a thread of its own, for each line that a bot says.
    """
    started: list[Bot] = []
    threads: list[threading.Thread] = []
    try:
        for name, identity in BOTS.items():
            bot = _start_bot(servers, name, identity, reads, (drops or {}).get(name))
            started.append(bot)
            thread = threading.Thread(target=_listen, args=(bot, heard), name=f"bot {name}", daemon=True)
            thread.start()
            threads.append(thread)
        yield started
    finally:
        stop([bot.process for bot in started])
        for thread in threads:
            thread.join(STOP_SECONDS)


@contextlib.contextmanager
def relay(servers: Servers) -> Generator[subprocess.Popen[str]]:
    """A relay process, until the block ends."""
    command = [sys.executable, "-m", "trimtab_store.up.relaying", str(servers.directory)]
    process = _spawn(command, servers.directory / "relay.log", subprocess.DEVNULL)
    try:
        yield process
    finally:
        stop([process])


def stop(processes: list[subprocess.Popen[str]]) -> None:
    """Ask each process to end, wait, and end those that do not."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in processes:
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()


def check(bot: Bot) -> None:
    """Raise UnavailableError, with the end of its log, if a bot ended by itself."""
    if not bot.running:
        raise UnavailableError(
            f"The bot {bot.name} ended with code {bot.process.returncode}", log_tail(bot.log), f"Its log is {bot.log}"
        )


def _start_bot(
    servers: Servers, name: str, identity: Mapping[str, str], reads: tuple[str, ...], drop: int | None
) -> Bot:
    home = servers.directory / "agents" / name
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    journal = servers.directory / "journals" / f"{name}.jsonl"
    journal.parent.mkdir(mode=0o700, exist_ok=True)
    journal.unlink(missing_ok=True)
    configuration = BotConfiguration(
        environment=ENVIRONMENT,
        labels=dict(identity),
        database_url=servers.agent_database_url,
        redis_url=servers.redis_url,
        trust=servers.trust,
        directory=home / "snapshots",
        journal=journal,
        reads=reads,
        drop=drop,
    )
    settings = home / "bot.json"
    write_private(settings, configuration.model_dump_json().encode())
    log = home / "log"
    process = _spawn([sys.executable, "-m", "trimtab_store.up.bot", str(settings)], log, subprocess.PIPE)
    return Bot(name, identity, journal, log, process)


def _spawn(command: list[str], log: Path, output: int) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRIMTAB_")}
    with log.open("ab") as errors:
        return subprocess.Popen(  # noqa: S603 - our own modules
            command,
            stdin=subprocess.PIPE,  # its end tells them that we are gone
            stdout=output,
            stderr=errors,
            text=True,
            env=kept,
            start_new_session=True,  # the terminal's Ctrl-C is for us; we stop them in order
        )


def _listen(bot: Bot, heard: Heard | None) -> None:
    if bot.process.stdout is None:
        return
    with bot.process.stdout as stream:
        for line in stream:
            bot.said = json.loads(line)
            if heard is not None:
                heard(bot)
