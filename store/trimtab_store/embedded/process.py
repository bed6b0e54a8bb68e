"""A server process that we started: its pid, its signals, its end. Only processes of ours are ever signalled."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trimtab.model.errors import UnavailableError
from trimtab_store.embedded.privilege import Privilege, launcher

LOG_LINES_SHOWN = 8
PAUSE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Process:
    """One process of this machine. The start time tells it from a later one with the same pid."""

    pid: int
    started: str

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process is gone."""
        if identity(self.pid) == self:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def stat_fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name: state, parent, …; empty where there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def identity(pid: int) -> Process | None:
    """The running process with this pid; None if there is none, or only a zombie."""
    fields = stat_fields(pid)
    return Process(pid, fields[19]) if fields and fields[0] != "Z" else None


def children_of(pid: int) -> list[Process]:
    """The direct children of a process (on Linux; elsewhere an empty list)."""
    pids = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
    parents = ((child, stat_fields(child)) for child in pids)
    found = (identity(child) for child, fields in parents if fields and fields[1] == str(pid))
    return [process for process in found if process is not None]


def processes_in(directory: Path) -> list[Process]:
    """The processes whose working directory is `directory`: for a data directory, the servers that run on it."""
    found: list[Process | None] = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "cwd").readlink() == directory:
                found.append(identity(int(entry.name)))
    return [process for process in found if process is not None]


def wait_until(holds: Callable[[], bool], seconds: float) -> bool:
    """Whether a condition came to hold within `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE_SECONDS)
    return True


class Child:
    """A child process with a session of its own, so that the terminal's Ctrl-C reaches only us and we stop it in order.

    It gets `signal_on_death` when we die, if it was started from the main thread: the kernel means the death of the
    thread that forked. Its output is appended to `log`.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        directory: Path | None = None,
        environment: Mapping[str, str] | None = None,
        privilege: Privilege = "own",
        signal_on_death: signal.Signals = signal.SIGTERM,
    ) -> None:
        in_main_thread = threading.current_thread() is threading.main_thread()
        head = launcher(privilege, signal_on_death if in_main_thread else 0)
        self.log = log
        with log.open("ab") as output:
            self._popen = subprocess.Popen(  # noqa: S603 - programs from our wheels or named by the user
                [*head, *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=directory,
                env=clean_environment(environment),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The pid of the server itself: the launcher becomes the server."""
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Whether the process has not ended yet (a paused one has not)."""
        return self._popen.poll() is None

    @property
    def code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._popen.poll()

    def pause(self) -> None:
        """Freeze the process and its children where they are (SIGSTOP)."""
        self._popen.send_signal(signal.SIGSTOP)
        for child in children_of(self.pid):
            child.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let the process and its children go on."""
        for child in children_of(self.pid):
            child.signal(signal.SIGCONT)
        self._popen.send_signal(signal.SIGCONT)

    def stop(self, *signals: signal.Signals, patience: float = 10.0) -> None:
        """Send each signal in turn and wait `patience` seconds for the end; at last SIGKILL, children too."""
        self.resume()
        for number in signals:
            self._popen.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(patience)
                return
        self.kill()

    def kill(self, patience: float = 5.0) -> None:
        """SIGKILL, as a crash would; then wait until the children are gone too, killing those that linger."""
        children = children_of(self.pid)
        self._popen.kill()
        self._popen.wait()
        for child in children:
            child.signal(signal.SIGCONT)
        if not wait_until(lambda: not any(identity(child.pid) == child for child in children), patience):
            for child in children:
                child.signal(signal.SIGKILL)

    def wait_ready(self, ready: Callable[[], bool], *, seconds: float, what: str) -> None:
        """Wait until `ready` answers true. Raises UnavailableError, with the end of the log, if it never does."""
        if wait_until(lambda: not self.running or ready(), seconds) and self.running:
            return
        ended = not self.running
        self.stop()
        raise UnavailableError(
            f"{what} did not start",
            f"it ended with code {self._popen.returncode}" if ended else f"it gave no answer for {seconds:g} s",
            f"The end of its log {self.log}: {log_tail(self.log)}",
        )


def clean_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment without the user's PG… variables and locale, which would change what a server does."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return kept | {"LC_ALL": "C", "TZ": "UTC"} | dict(more or {})


def log_tail(log: Path) -> str:
    """The last lines of a log, on one line."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        return f"(unreadable: {error})"
    return " / ".join(lines[-LOG_LINES_SHOWN:]) or "(empty)"
