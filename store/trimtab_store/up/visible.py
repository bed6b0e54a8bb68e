"""How long each change took from its commit to the first view that shows it, for people to see while it happens.

The commit's time is the database's, taken inside the transaction, so the figure includes the commit itself. Server and
bots are on one machine and share its clock.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from trimtab_store.database import Connection
from trimtab_store.store import Store
from trimtab_store.up.fleet import Bot
from trimtab_store.up.screen import Screen

_COMMIT: Final = (
    "SELECT extract(epoch FROM committed_at)::float8, author, reason"
    " FROM trimtab.configuration_versions WHERE revision = %s"
)


@dataclass(frozen=True, slots=True)
class Commit:
    """When a revision was committed (seconds of the wall clock), by whom and why."""

    at: float
    author: str
    reason: str


class Visible:
    """Tells the screen about each revision from now on that a bot sees for the first time. Threads may share it."""

    def __init__(self, store: Store, screen: Screen) -> None:
        self._store, self._screen = store, screen
        self._known: dict[str, int] = {}
        self._since = time.time()

    def heard(self, bot: Bot) -> None:
        """A bot said something; called on its own thread."""
        wall = bot.said.get("wall")
        if bot.revision == self._known.get(bot.name) or not isinstance(wall, float):
            return
        self._known[bot.name] = bot.revision
        commit = self._commit(bot.revision)
        if commit is not None and commit.at > self._since:
            what = f"{commit.author}: {commit.reason}"
            self._screen.changed(bot, bot.revision, what, max(0.0, (wall - commit.at) * 1000))

    def _commit(self, revision: int) -> Commit | None:
        def work(connection: Connection) -> Commit | None:
            row = connection.execute(_COMMIT, (revision,)).fetchone()
            return None if row is None else Commit(*row)

        return self._store.database.read(work)
