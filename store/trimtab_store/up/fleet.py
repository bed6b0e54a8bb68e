"""The fleet of `trimtab up`: a sidecar and three bots that attach to it, as a user would start them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from trimtab.model.canonical import Json
from trimtab.model.errors import UnavailableError
from trimtab_store.embedded.directory import Servers
from trimtab_store.embedded.places import write_private
from trimtab_store.embedded.process import log_tail
from trimtab_store.up import sidecar
from trimtab_store.up.bot import BotConfiguration
from trimtab_store.up.sidecar import NODE, Sidecar

ENVIRONMENT: Final = "production"
BOTS: Final = ("mm-btc", "mr-eth", "arb-btc")
"""The example fleet's bots. Each brings along its name; where it runs, it hears from the sidecar."""
SHOWN: Final = "risk.global.max_leverage"
"""Where overlays make the three bots differ."""
STOP_SECONDS: Final = 15.0


@dataclass
class Bot:
    """One bot process and the last that it said. Written by the thread that reads its output."""

    name: str
    journal: Path
    log: Path
    process: subprocess.Popen[str]
    said: dict[str, Json] = field(default_factory=dict[str, Json])

    @property
    def identity(self) -> Mapping[str, str]:
        """Its identity labels: its own, and those that it inherits."""
        return {**NODE, "bot": self.name}

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


@dataclass(frozen=True, slots=True)
class Fleet:
    """The sidecar and its bots."""

    sidecar: Sidecar
    bots: Sequence[Bot]

    def check(self) -> None:
        """Raise UnavailableError, with the end of its log, if one of them ended by itself."""
        self.sidecar.check()
        for bot in self.bots:
            if not bot.running:
                code, said = bot.process.returncode, log_tail(bot.log)
                raise UnavailableError(f"The bot {bot.name} ended with code {code}", said, f"Its log is {bot.log}")


@contextlib.contextmanager
def started(
    servers: Servers, reads: tuple[str, ...], heard: Heard | None = None, drops: Mapping[str, int] | None = None
) -> Generator[Fleet]:
    """The sidecar and the three bots, until the block ends; they are started in the main thread. The bots end first.

    `heard` is called, on a thread of its own, for each line that a bot says.
    """
    bots: list[Bot] = []
    threads: list[threading.Thread] = []
    with sidecar.started(servers, ENVIRONMENT) as beside:
        try:
            for name in BOTS:
                bot = _start_bot(servers, beside, name, reads, (drops or {}).get(name))
                bots.append(bot)
                thread = threading.Thread(target=_listen, args=(bot, heard), name=f"bot {name}", daemon=True)
                thread.start()
                threads.append(thread)
            yield Fleet(beside, bots)
        finally:
            stop([bot.process for bot in bots])
            for thread in threads:
                thread.join(STOP_SECONDS)


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


def _start_bot(servers: Servers, beside: Sidecar, name: str, reads: tuple[str, ...], drop: int | None) -> Bot:
    home = servers.directory / "bots" / name
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    journal = servers.directory / "journals" / f"{name}.jsonl"
    journal.parent.mkdir(mode=0o700, exist_ok=True)
    journal.unlink(missing_ok=True)
    configuration = BotConfiguration(
        shared=beside.shared,
        environment=ENVIRONMENT,
        labels={"bot": name},
        journal=journal,
        reads=reads,
        drop=drop,
    )
    settings = home / "bot.json"
    write_private(settings, configuration.model_dump_json().encode())
    log = home / "log"
    log.unlink(missing_ok=True)  # like the journal, it is about this run
    process = _spawn([sys.executable, "-m", "trimtab_store.up.bot", str(settings)], log)
    return Bot(name, journal, log, process)


def _spawn(command: list[str], log: Path) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRIMTAB_")}
    with log.open("ab") as errors:
        return subprocess.Popen(  # noqa: S603 - our own modules
            command,
            stdin=subprocess.PIPE,  # its end tells them that we are gone
            stdout=subprocess.PIPE,
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
