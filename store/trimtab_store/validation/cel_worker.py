"""The process that evaluates rules: nothing of Trimtab in it, and bounds that the system itself enforces.

Started by `cel_process` as a program of its own. It reads one JSON object a line and answers each with one line, until
its input ends. Each question has so much processor time; who takes more is ended by the kernel. So is whoever takes
more memory, or leaves no room on the stack. Expressions are compiled once and kept.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import time
import types
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

for _part in ("cel.cli", "cel.stdlib"):  # half a second of imports that nothing here needs
    sys.modules[_part] = types.ModuleType(_part)

import cel  # noqa: E402 - after the two lines above

_KEPT: Final = 1_000
_UNKNOWN: Final = 1024**3
"""What the process may hold already, where the system does not tell."""
_PAGE: Final = resource.getpagesize()
Answer = dict[str, Any]


def main() -> None:
    """Answer until the input ends. Arguments: seconds of processor time for a question, bytes of memory."""
    seconds, memory = float(sys.argv[1]), int(sys.argv[2])
    _bound(memory)
    _write({"ready": True})
    for line in sys.stdin.buffer:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        answer = _answer(json.loads(line))
        signal.setitimer(signal.ITIMER_PROF, 0)
        _write(answer)


def _bound(memory: int) -> None:
    held = _UNKNOWN
    with suppress(FileNotFoundError), open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - one line
        held = int(file.read().split()[0]) * _PAGE
    for what, limit in ((resource.RLIMIT_AS, held + memory), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(what, (limit, limit))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # which ends the process, whatever native code it is in


def _write(answer: Answer) -> None:
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
    sys.stdout.buffer.flush()


def _answer(question: Mapping[str, Any]) -> Answer:
    began = time.process_time()
    try:
        program = _compiled(question["cel"])
        if question["do"] == "compile":
            return {"words": program.references()}
        context = cel.Context(question["variables"])
        context.add_function("at", _at(question["at"]))
        return {"value": _plain(program.execute(context)), "seconds": time.process_time() - began}
    except BaseException as error:  # noqa: BLE001 - whatever an expression makes of the library, a panic too, is the answer
        return {"error": type(error).__name__, "said": str(error), "seconds": time.process_time() - began}


@lru_cache(maxsize=_KEPT)
def _compiled(text: str) -> cel.Program:
    return cel.compile(text)


def _at(known: Mapping[str, Any]) -> Callable[[str], Any]:
    def at(path: str) -> Any:
        return known[path]

    return at


def _plain(value: Any) -> Any:
    """A truth as it is; of anything else only what it is."""
    return value if isinstance(value, bool) else type(value).__name__


if __name__ == "__main__":
    main()
