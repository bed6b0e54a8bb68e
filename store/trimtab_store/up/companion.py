"""A process that lives no longer than the one that started it, however that one ends."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType
from typing import Final

PATIENCE_SECONDS: Final = 10.0
"""How long the process may take to end in order once its parent is gone."""


def end_with_parent() -> threading.Event:
    """An event that is set at SIGTERM, at SIGINT, and when the parent is gone: call it in the main thread.

    The parent holds the other end of our standard input, and the kernel closes it whatever the parent dies of.
    """
    stop = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    threading.Thread(target=_watch, args=(stop,), name="parent", daemon=True).start()
    return stop


def _watch(stop: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    stop.set()
    time.sleep(PATIENCE_SECONDS)
    os._exit(1)
