"""Bots in processes of their own, and the truth that they must serve."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.support.fleet import MEMBERS, Stand
from tests.support.ground_truth import Truth
from tests.support.line import KEY

ROOT: Final = Path(__file__).parents[2]
PATIENCE: Final = 30.0


@dataclass(frozen=True)
class Bot:
    """A bot process that answers questions."""

    process: subprocess.Popen[str]

    def ask(self, question: str) -> dict[str, Any]:
        self.tell(question)
        return self.hear()

    def tell(self, question: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the bot ended with {self.process.wait(PATIENCE)}"
        found: dict[str, Any] = json.loads(line)
        return found


class Sample(NamedTuple):
    """What a bot said of itself at a time on the machine's clock, which `trimtab.clock` shows to us as well."""

    status: str
    staleness: float
    at: float


@contextlib.contextmanager
def bot(
    stand: Stand, directory: str, *, head: tuple[str, ...] = (), proven_seconds: float | None = None, **options: Any
) -> Generator[Bot]:
    """A bot with the first identity of `MEMBERS`, ended in order unless it is dead by then."""
    environment, labels = MEMBERS[0]
    connect = {
        "environment": environment,
        "labels": dict(labels),
        "database_url": stand.agent_url,
        "redis_url": stand.redis_url,
        "directory": str(stand.directory / directory),
        "timeout": 20.0,
        **options,
    }
    proven = {} if proven_seconds is None else {"proven_seconds": proven_seconds}
    configuration = json.dumps({"trust": KEY.trust().to_bytes().decode(), "connect": connect, **proven})
    command = [*head, sys.executable, "-m", "tests.support.bot_process", configuration]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Bot(process)
        finally:
            process.send_signal(signal.SIGCONT)
            if process.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def check_bot(state: Mapping[str, Any], truth: Truth) -> None:
    """The bot serves the head, with exactly what the tables give for its labels."""
    environment, identity = MEMBERS[0]
    position, digest = truth.lines[environment]
    assert (state["epoch"], state["revision"], state["hash"]) == (position.epoch, position.revision, digest)
    labels, leaves = truth.resolved(environment, identity)
    assert state["leaves"] == leaves
    assert state["labels"] == labels
