"""How `trimtab up` ends: the first signal ends it in order, and further ones do not disturb that."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Generator
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def in_order() -> Generator[None]:
    """Within the block the first of `SIGNALS` raises KeyboardInterrupt in the main thread; later ones do nothing.

    Nor do they after a block that ended so: the process is about to end with a code that says how that went.
    """
    asked = False

    def end(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if not asked:
            asked = True
            raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if asked else handler)
