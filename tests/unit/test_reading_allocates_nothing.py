"""A read gives back an object that is there already, and makes nothing on the way.

The reads are made by `map`, in C, so that neither the loop nor whoever traces it allocates anything; the agent is
closed, so that its thread does not either: what was read last stays readable, by the same way.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from itertools import repeat
from operator import getitem
from typing import Any

import pytest

from tests.support.world import world
from trimtab import Agent

READS = 10_000
SLACK = 10  # blocks of memory: the list and the iterators of the measurement itself
LEAVES: Mapping[str, object] = {
    "token.one.ratio": 2.5,
    "token.one.window": 7_200,
    "token.one.symbol": "BTC-USD, a string that nobody interns",
    "token.one.enabled": True,
    "token.one.sources": ("a", "b"),
}


@pytest.fixture
def agent() -> Iterator[Agent]:
    with world() as made:
        made.commit({**LEAVES, "token.one.sources": ["a", "b"]})
        connected = made.connect()
        connected.close()
        yield connected


FACES: Mapping[str, Callable[[Agent], Any]] = {"agent": lambda agent: agent, "pinned view": Agent.pinned}


@pytest.mark.parametrize("path", LEAVES)
@pytest.mark.parametrize("face", FACES)
def test_a_read_of_a_leaf_allocates_nothing(agent: Agent, face: str, path: str) -> None:
    mapping = FACES[face](agent)
    assert mapping[path] == LEAVES[path]
    assert least(blocks_kept, mapping, path) < SLACK
    assert least(bytes_used, mapping, path) == least(bytes_used, dict(LEAVES), path)


def least(measure: Callable[[Mapping[str, object], str], int], mapping: Mapping[str, object], path: str) -> int:
    """The least of a few measurements: other threads of the process, which may run in between, can only add."""
    return min(measure(mapping, path) for _ in range(5))


def blocks_kept(mapping: Mapping[str, object], path: str) -> int:
    """How many blocks of memory there are more while everything that was read is kept."""
    before = sys.getallocatedblocks()
    kept = list(map(getitem, repeat(mapping, READS), repeat(path)))
    after = sys.getallocatedblocks()
    assert len(kept) == READS
    return after - before


def bytes_used(mapping: Mapping[str, object], path: str) -> int:
    """How much more memory was ever in use while reading, what was read being dropped at once."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        deque(map(getitem, repeat(mapping, READS), repeat(path)), maxlen=0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak - before
