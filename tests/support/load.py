"""Writers that commit all the time, and remember what they were told about each write."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal

from trimtab.model.errors import ConflictError, OutcomeUnknown, TrimtabError, UnavailableError
from trimtab_store.store import Store
from trimtab_store.writer import Committed

Told = Literal["acknowledged", "refused", "unknown"]
PLACES: Final = (("base", ""), ("production", ""), ("production", "mode=live"), ("testing", ""), ("base", "region=ny4"))
"""Where the writers write: environment and layer."""
REST_SECONDS: Final = 0.004
PATIENCE_SECONDS: Final = 45.0
_numbers = itertools.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One edit that put one value of its own, and what its writer was told about it."""

    environment: str
    layer: str
    path: str
    value: str
    told: Told
    committed: Committed | None = None
    error: TrimtabError | None = None


@dataclass
class Load:
    """What writers did so far. Threads may append while others look."""

    writes: list[Write] = field(default_factory=list[Write])
    crashes: list[BaseException] = field(default_factory=list[BaseException])
    stop: threading.Event = field(default_factory=threading.Event)

    def told(self, told: Told) -> list[Write]:
        """The writes with this answer."""
        return [write for write in list(self.writes) if write.told == told]

    @property
    def acknowledged(self) -> list[tuple[Write, Committed]]:
        """The writes that are durable, in the order of their answers."""
        return [(write, write.committed) for write in list(self.writes) if write.committed is not None]

    def wait_for(self, more: int) -> None:
        """Return when so many more writes were acknowledged than now."""
        wanted = len(self.acknowledged) + more
        ends = time.monotonic() + PATIENCE_SECONDS
        while len(self.acknowledged) < wanted:
            assert not self.crashes, self.crashes
            assert time.monotonic() < ends, f"{len(self.acknowledged)} of {wanted} writes were acknowledged"
            time.sleep(0.01)


def put(store: Store, place: tuple[str, str], path: str, value: str, key: str | None = None) -> Write:
    """Put one value at a path, and tell what came of it. With a key, an unknown outcome is settled by asking again."""
    environment, layer = place
    attempts = itertools.count()
    while True:
        told: Told = "acknowledged"
        committed: Committed | None = None
        failed: TrimtabError | None = None
        try:
            with store.edit(environment, author="load", reason=value, idempotency_key=key) as edit:
                edit.set(path, value, layer or None)
            committed = edit.committed
        except OutcomeUnknown as error:
            told, failed = "unknown", error
        except (UnavailableError, ConflictError) as error:
            told, failed = "refused", error
        if key is None or failed is None or next(attempts) > 100:
            return Write(
                environment=environment,
                layer=layer,
                path=path,
                value=value,
                told=told,
                committed=committed,
                error=failed,
            )
        time.sleep(0.05)


@contextmanager
def load(stores: Sequence[Store], writers: int = 4, *, keys: bool = True) -> Generator[Load]:
    """Writers that go on until the end of the block. With `keys`, every other one uses idempotency keys."""
    made = Load()

    def write(number: int) -> None:
        rng = random.Random(number)
        store = stores[number % len(stores)]
        try:
            while not made.stop.is_set():
                value = f"value-{next(_numbers)}"
                path = f"load.writer_{number}.n{rng.randrange(3)}"
                key = value if keys and number % 2 else None
                made.writes.append(put(store, rng.choice(PLACES), path, value, key))
                made.stop.wait(REST_SECONDS * rng.random() * writers)
        except BaseException as error:  # noqa: BLE001 - handed to the test
            made.crashes.append(error)

    with running([partial(write, number) for number in range(writers)], made.stop):
        yield made
    assert made.crashes == []


@contextmanager
def running(works: Sequence[Callable[[], object]], stop: threading.Event) -> Generator[None]:
    """Each on a thread of its own until the end of the block, which sets `stop` and waits for them."""
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
    assert not any(thread.is_alive() for thread in threads), "a thread did not end"
