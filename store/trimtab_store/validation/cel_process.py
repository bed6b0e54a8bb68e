"""The way to the process that evaluates rules: started at the first question, replaced when it ends, never left behind.

One process serves all threads of this one, in turn. It belongs to a session of its own, so Ctrl-C does not reach it; it
ends when its input does, which the end of this process brings about however that comes. A forked child forgets it and
starts its own.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from trimtab.model.errors import UnavailableError

PROCESSOR_SECONDS: Final = 0.25
"""For one question; an ordinary one takes a few microseconds."""
MEMORY_BYTES: Final = 64 * 1024 * 1024
"""Beyond what the process holds when it starts."""
_PATIENCE: Final = 10.0
"""Seconds of waiting, on a machine that gives the process no processor."""
_PROGRAM: Final = Path(__file__).with_name("cel_worker.py")
_KEPT_VARIABLES: Final = ("LD_LIBRARY_PATH", "PYTHONHOME")
_CHUNK: Final = 65_536
_ENDINGS: Final[dict[int, str]] = {
    signal.SIGPROF: f"it takes more than {PROCESSOR_SECONDS:g} s of processor time",
    signal.SIGABRT: f"it takes more than {MEMORY_BYTES // 1024**2} MiB of memory",
    signal.SIGSEGV: "it is nested too deeply",
}


class Exceeded(Exception):
    """A question that took more than there is for one; the message says of what."""


class _Died(Exception):
    """The process ended without an answer."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"ended with {code}")


class _Process:
    """One running process, for one question after another."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own program, with two numbers
            [sys.executable, "-I", str(_PROGRAM), str(PROCESSOR_SECONDS), str(MEMORY_BYTES)],
            bufsize=0,  # plain files: a forked child closes them, and a buffer's lock might be held by nobody there
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},  # no secrets
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        os.set_blocking(self._in.fileno(), False)
        self.asked = 0

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """One question, one answer; raises `_Died` if the process ended, whether before or because of it."""
        deadline = time.monotonic() + _PATIENCE
        if not self.asked:
            self._read(deadline)  # that it is ready
        self.asked += 1
        self._send(json.dumps(question).encode() + b"\n", deadline)
        answer: dict[str, Any] = json.loads(self._read(deadline))
        if answer.get("error") == "MemoryError":
            self.end()
            raise _Died(-signal.SIGABRT)
        return answer

    def end(self) -> int:
        """End it at once, if it still runs; its exit code. May be called again."""
        self._process.kill()
        code = self._process.wait()
        with contextlib.suppress(OSError):  # what it was never sent
            self._in.close()
        self._out.close()
        return code

    def forget(self) -> None:
        """In a forked child: close the ends of the pipes that came along; it is not ours."""
        self._in.close()
        self._out.close()
        self._process.returncode = 0  # nobody here waits for it

    def _send(self, data: bytes, deadline: float) -> None:
        while data:
            try:
                data = data[os.write(self._in.fileno(), data) :]
            except BlockingIOError:  # the pipe is full
                self._await(deadline, writing=True)
            except BrokenPipeError as error:
                raise _Died(self._process.wait()) from error

    def _read(self, deadline: float) -> bytes:
        found = b""
        while not found.endswith(b"\n"):
            self._await(deadline)
            chunk = os.read(self._out.fileno(), _CHUNK)
            if not chunk:
                raise _Died(self._process.wait())
            found += chunk
        return found

    def _await(self, deadline: float, *, writing: bool = False) -> None:
        wanted, events = (self._in, select.POLLOUT) if writing else (self._out, select.POLLIN)
        poller = select.poll()
        poller.register(wanted.fileno(), events)
        if not poller.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise _Died(self.end())


class Evaluator:
    """Asks the process; starts it when it is first needed, and again when it ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: _Process | None = None
        atexit.register(self.stop)
        os.register_at_fork(after_in_child=self._forget)

    @property
    def pid(self) -> int | None:
        """The process id of the process that runs, if one does."""
        return None if self._process is None else self._process.pid

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a question, `cel_worker` says which; raises `Exceeded` if it takes too much.

        A process that ended before, or that has answered others and may be full of them, is no reason: the question is
        put to a new one. Raises `UnavailableError` if there is none to be had.
        """
        with self._lock:
            for _ in range(3):
                process = self._running()
                is_new = process.asked == 0
                try:
                    return process.ask(question)
                except _Died as died:
                    self._end()
                    if is_new and (why := _ENDINGS.get(-died.code)):
                        raise Exceeded(why) from died
                    if -died.code == signal.SIGPROF:
                        raise Exceeded(_ENDINGS[signal.SIGPROF]) from died
                except BaseException:
                    self._end()  # Ctrl-C between question and answer: the next answer would be to this question
                    raise
        raise UnavailableError(
            "Rules cannot be evaluated", "the process that does it ends without an answer", "Look why it is killed"
        )

    def stop(self) -> None:
        """End the process; the next question starts another."""
        with self._lock:
            self._end()

    def _running(self) -> _Process:
        if self._process is None:
            try:
                self._process = _Process()
            except OSError as error:
                raise UnavailableError(
                    "Rules cannot be evaluated", f"the process for it does not start ({error})", "Look at its limits"
                ) from error
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        process, self._process = self._process, None
        if process is not None:
            process.forget()


EVALUATOR: Final = Evaluator()
"""The one of this process."""
