"""A bot that forks amid reading threads: a process of its own, for a coverage tracer's lock survives no fork."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

from tests.support.shared_line import SharedLine, put
from trimtab.attached import Attached, attach
from trimtab_sidecar.shared import Limits

FORKS = 25
KEYS = [f"g.k{key}" for key in range(8)]


def main(place: Path) -> None:
    """Say the children's exit codes, what a thread saw that is not one revision, and what is read at the end."""
    with SharedLine(place, dict.fromkeys(KEYS, 0), limits=Limits(paths=64, frames=20)) as line:
        config = attach(place, {"bot": "mm"}, timeout=0)
        ends, wrong = threading.Event(), list[list[str]]()

        def read() -> None:
            while not ends.is_set():
                with config.pinned() as pin:
                    values = {repr(pin[key]) for key in KEYS}
                if len(values) != 1:
                    wrong.append(sorted(values))

        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        said = [forked(config, line, number) for number in range(1, FORKS + 1)]
        ends.set()
        for thread in threads:
            thread.join()
        sys.stdout.write(json.dumps({"children": said, "torn": wrong, "here": config[KEYS[0]]}))


def forked(config: Attached, line: SharedLine, number: int) -> int:
    """The exit code of a child that is forked while the writer's change is news to somebody, or is being taken."""
    line.edit(*(put(key, number) for key in KEYS))
    line.tidy()
    child = os.fork()
    if child == 0:
        os._exit(0 if [config[key] for key in KEYS] == [number] * 8 and config.revision == number + 1 else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
