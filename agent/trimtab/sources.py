"""Sources: opens what the settings name. The client libraries are imported here, and only when they are needed."""

from __future__ import annotations

import hashlib
import secrets
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from trimtab import override
from trimtab.model.errors import PersistFailed, SettingError
from trimtab.settings import Settings
from trimtab.standing import Plan, Sources

_NAME_BYTES: Final = 4


def plan(given: Settings) -> Plan:
    """What to follow, and as whom.

    An agent with a directory of its own keeps its name over restarts, so that the fleet does not wait for a former
    self; any other gets a new one each time.
    """
    who = given.labels.get("bot") or given.labels.get("node") or "agent"
    if given.directory is None:
        name = f"{who}-{secrets.token_hex(_NAME_BYTES)}"
    else:
        place = f"{socket.gethostname()}\0{given.environment}\0{given.directory.absolute()}"
        name = f"{who}-{hashlib.sha256(place.encode()).hexdigest()[: 2 * _NAME_BYTES]}"
    return Plan(
        environment=given.environment,
        trust=given.trusted,
        agent=name,
        identity=given.labels,
        require=given.require,
        hold=given.hold,
        overrides=None if given.local is None else override.read(given.local),
        understands=given.understands,
    )


def renamed(inherited: Plan) -> Plan:
    """The same plan under another name: for a forked child."""
    return replace(inherited, agent=f"{inherited.agent}-{secrets.token_hex(_NAME_BYTES)}")


def opener(given: Settings) -> Callable[[Plan, bool], Sources]:
    """Opens the feeds of these settings; raises `SettingError`, `DirectoryHeld` or `FilesRefused`."""
    if given.database_url is None:
        raise SettingError(
            "database_url is not given",
            "an agent cannot be without it: only Postgres proves that a view is fresh",
            "Pass database_url=… or set TRIMTAB_DATABASE_URL",
        )
    database_url = given.database_url.get_secret_value()

    def open_sources(chosen: Plan, keep: bool) -> Sources:  # noqa: FBT001 - the shape of OpenSources
        from trimtab.feeds.postgres import PostgresFeed  # noqa: PLC0415 - psycopg is imported when it is needed

        postgres = PostgresFeed(database_url, chosen.environment, agent=chosen.agent)
        found = Sources(postgres=postgres)
        if given.redis_url is not None:
            from trimtab.feeds.redis import RedisFeed  # noqa: PLC0415 - the same for redis

            redis = RedisFeed(given.redis_url.get_secret_value(), chosen.environment, agent=chosen.agent)
            found = replace(found, redis=redis)
        return _with_directory(found, given, chosen) if keep else found

    return open_sources


def _with_directory(found: Sources, given: Settings, chosen: Plan) -> Sources:
    if given.directory is None:
        return found
    from trimtab.feeds.disk import DiskFeed  # noqa: PLC0415 - only where there is a directory

    try:
        return replace(found, disk=DiskFeed.open(given.directory, chosen.environment, chosen.trust))
    except PersistFailed as error:  # done without: a full disk must not keep a bot from starting
        return replace(found, lacking=str(error))
