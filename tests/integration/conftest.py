"""A store over a fresh database, with environments to write in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.support.servers import Database
from trimtab.model.statements import SigningKey
from trimtab_store.store import Store

KEY = SigningKey.generate("test")

ConnectStore = Callable[..., Store]


@pytest.fixture
def connect_store(database: Database) -> Iterator[ConnectStore]:
    """Connects stores to the test's database as a writer that is nothing but a writer; closes them."""
    with contextlib.ExitStack() as stack:

        def connect(**options: object) -> Store:
            given = {"signing_key": KEY, **options}
            return stack.enter_context(Store.connect(database.login("trimtab_writer"), **given))  # type: ignore[arg-type]

        yield connect


@pytest.fixture
def store(connect_store: ConnectStore) -> Store:
    """A store with base ← production, base ← testing."""
    made = connect_store()
    made.create_environment("base", author="test")
    made.create_environment("production", parent="base", author="test")
    made.create_environment("testing", parent="base", author="test")
    return made
