"""Processes of a benchmark: each is `python -m benchmarks.NAME --child JSON`, and talks in lines of JSON.

A child tells on its standard output and is told on its standard input. Both sides share the clock of
`time.perf_counter_ns`, which on Linux is one monotonic clock for the whole machine.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[1]


class Child:
    """One such process. Leaving the block ends it: first by the end of its input, then by a signal."""

    def __init__(self, name: str, *arguments: Any) -> None:
        self._name = f"{name} {arguments[0] if arguments else ''}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.{name}", "--child", json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def told(self) -> Any:
        """The next thing that the child tells; raises RuntimeError if it ends instead."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process {self._name} ended with code {self._process.wait()}")
        return json.loads(line)

    def tell(self, said: Any) -> None:
        """Tell the child something."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(said) + "\n")
        self._process.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended already
            self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def asked_as_child() -> list[Any] | None:
    """The arguments if this process is a child, else None."""
    if "--child" not in sys.argv:
        return None
    found: list[Any] = json.loads(sys.argv[sys.argv.index("--child") + 1])
    return found


def told_at_start() -> list[Any]:
    """In a module that is only ever a child: the arguments."""
    found = asked_as_child()
    assert found is not None, "this is started by another benchmark"
    return found


def tell(said: Any) -> None:
    """In a child: tell the parent something."""
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def told() -> Any:
    """In a child: what the parent says next, None once there is nothing more to come."""
    line = sys.stdin.readline()
    return json.loads(line) if line else None
