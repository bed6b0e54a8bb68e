"""Waiting for what other threads and processes will have done; the time only ends a test that fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import psycopg
import redis

SECONDS: Final = 30.0
SETTLE_SECONDS: Final = 60.0


def eventually(condition: Callable[[], object], seconds: float = SECONDS) -> bool:
    """Whether a condition comes true in time. It answers; the caller asserts."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


def settles(check: Callable[[], bool | None], seconds: float = SETTLE_SECONDS) -> None:
    """Wait for a check to pass: one that asserts, or answers whether it holds. Its last failure is the test's."""
    ends = time.monotonic() + seconds
    while True:
        try:
            if check() is not False:
                return
            assert time.monotonic() < ends, "it never came to hold"
        except (AssertionError, redis.RedisError, psycopg.OperationalError):
            if time.monotonic() > ends:
                raise
        time.sleep(0.02)
