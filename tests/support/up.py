"""`trimtab up` as a process of its own, on a terminal of 80 columns."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

from trimtab_store.embedded.process import wait_until

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-m", "trimtab_store"]
PATIENCE = 90.0
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def variables() -> dict[str, str]:
    """The environment without what would name another store, or speak to a `make` that is started here."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("TRIMTAB_", "MAKE", "MFLAGS"))}


def trimtab(*arguments: str, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [*PROGRAM, *arguments], check=False, capture_output=True, text=True, timeout=timeout, env=variables()
    )


def processes_of(directory: Path) -> list[str]:
    """The command lines that name this directory."""
    found: list[str] = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(directory) in words and entry.name != str(os.getpid()):
                found.append(words)
    return found


class Up:
    """One run on a terminal, by default of `trimtab up`. `screen` is everything that it wrote, without escapes."""

    def __init__(self, directory: Path, arguments: Sequence[str] = (), command: Sequence[str] | None = None) -> None:
        self.directory = directory
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
        self.process = subprocess.Popen(
            command or [*PROGRAM, "up", "--directory", str(directory), *arguments],
            cwd=ROOT if command else None,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            env={**variables(), "TERM": "xterm"},
            start_new_session=True,
        )
        os.close(theirs)
        self._terminal = ours
        self._written = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def screen(self) -> str:
        return _ESCAPES.sub("", self._written.decode(errors="replace")).replace("\r", "")

    def wait_for(self, holds: Callable[[str], object], what: str) -> None:
        """Wait until what was written so far satisfies."""
        assert wait_until(lambda: bool(holds(self.screen)), PATIENCE), f"{what}\n{self.screen}"

    def wait_live(self) -> None:
        """Wait until every bot follows Redis."""
        self.wait_for(lambda text: text.rpartition("commit to")[2].count(" LIVE ") == 3, "three bots are LIVE")

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait; the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self._reader.join(10)
        return code

    def interrupt(self, *again: float) -> int:
        """Ctrl-C as a terminal sends it, to every process of the group, and again after so many seconds; the code."""
        for pause in (0, *again):
            time.sleep(pause)
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGINT)
        code = self.process.wait(PATIENCE)
        self._reader.join(10)
        return code

    def close(self) -> None:
        """Whatever happened, leave nothing running."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(10)
        os.close(self._terminal)
        assert wait_until(lambda: not processes_of(self.directory), 60), processes_of(self.directory)

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the other end is closed: the last process of the run has ended
            while text := os.read(self._terminal, 65536):
                self._written += text


@contextlib.contextmanager
def running(directory: Path, *arguments: str, command: Sequence[str] | None = None) -> Generator[Up]:
    """A run that is certainly over after the block."""
    made = Up(directory, arguments, command)
    try:
        yield made
    finally:
        made.close()
