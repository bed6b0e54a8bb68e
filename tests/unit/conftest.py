"""Fixtures of the unit tests; each of them starts without any TRIMTAB_ variable of whoever runs it.

made             a world in memory with nothing committed yet: a line, its feeds, and agents over them
place            where a shared directory is to be; short enough for a socket in it
line             a line that is shared there, with `shared_line.VALUES`
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import shared_line
from tests.support.shared_line import SharedLine
from tests.support.world import World, world


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("TRIMTAB_"):
            monkeypatch.delenv(name)


@pytest.fixture
def made() -> Iterator[World]:
    with world() as found:
        yield found


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "s"


@pytest.fixture
def line(place: Path) -> Iterator[SharedLine]:
    with SharedLine(place, shared_line.VALUES) as shared:
        yield shared
