"""From options, variables and the data directory to a store, or to what a command writes through."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from trimtab import variables
from trimtab.model.errors import DeniedError, SettingError, UnavailableError
from trimtab_store.embedded import directory as data_directory
from trimtab_store.ports import Writer
from trimtab_store.store import SIGNING_KEY, Store

DATABASE_URL: Final = "TRIMTAB_DATABASE_URL"
OWNER_URL: Final = "TRIMTAB_OWNER_URL"
REDIS_URL: Final = "TRIMTAB_REDIS_URL"
_CONNECTIONS: Final = 2


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the servers and the signing key are. The addresses hold passwords and stay out of `repr`."""

    database_url: str = field(repr=False)
    owner_url: str = field(repr=False)
    relay_url: str = field(repr=False)
    redis_url: str | None = field(repr=False)
    signing_key: Path | None


def find(directory: Path | None) -> Addresses:
    """The running servers of the data directory that is named, else what `TRIMTAB_DATABASE_URL` and companions say.

    Without either, the running servers of the default directory. Raises `UnavailableError` if there are none, and
    `SettingError` for a variable that names a file which does not tell.
    """
    if directory is None and (named := _named()) is not None:
        return named
    try:
        servers = data_directory.find(directory)
    except UnavailableError as error:
        own = f"; or set {DATABASE_URL} to a server of your own"
        raise UnavailableError(error.what, error.why, error.remedy + own) from error
    return Addresses(
        servers.database_url, servers.owner_url, servers.relay_database_url, servers.redis_url, servers.signing_key
    )


def _named() -> Addresses | None:
    """What variables say, themselves or through the files that they name; None if they name no database."""
    owner_url = variables.secret(OWNER_URL)
    database_url = variables.secret(DATABASE_URL) or owner_url
    if database_url is None:
        return None
    key = os.environ.get(SIGNING_KEY)
    redis_url, signing_key = variables.secret(REDIS_URL), Path(key) if key else None
    return Addresses(database_url, owner_url or database_url, database_url, redis_url, signing_key)


@contextlib.contextmanager
def store(directory: Path | None, *, as_owner: bool = False) -> Generator[Store]:
    """A connected store, for one command; as the owner of the database for what concerns all of it."""
    found = find(directory)
    database_url = found.owner_url if as_owner else found.database_url
    with Store.connect(
        database_url, redis_url=found.redis_url, signing_key=found.signing_key, pool_size=_CONNECTIONS
    ) as connected:
        yield connected


@contextlib.contextmanager
def writer(directory: Path | None) -> Generator[Writer]:
    """What a command that changes something writes through: all that it knows of a store."""
    with store(directory) as connected:
        yield connected


def redis_url(found: Addresses) -> str:
    """The address of Redis; raises `SettingError` where there is none."""
    if found.redis_url is None:
        raise SettingError(
            "No Redis is named", f"{REDIS_URL} is not set", f"Set it, or {REDIS_URL}_FILE, beside {DATABASE_URL}"
        )
    return found.redis_url


@contextlib.contextmanager
def refusing() -> Generator[None]:
    """A refused login is a matter of rights, also where a plain connection reports it as one that cannot be made."""
    try:
        yield
    except UnavailableError as error:
        if "authentication failed" not in error.why:
            raise
        raise DeniedError(
            "Postgres refused the login", error.why, "Check user and password in the database address"
        ) from error
