"""How many items there are: asked of Postgres only as far as it can matter, so that the cost is that of the change."""

from __future__ import annotations

from typing import Final

from trimtab.model.structure import Lineage
from trimtab_store.database import Connection
from trimtab_store.guards.removal import Totals

_COUNT: Final = """
    SELECT (SELECT count(*) FROM (SELECT FROM trimtab.configuration_current
                                   WHERE environment = %s AND content IS NOT NULL LIMIT %s) AS own),
           (SELECT count(*) FROM (SELECT FROM trimtab.configuration_current
                                   WHERE environment = ANY(%s) AND content IS NOT NULL LIMIT %s) AS line)
"""


def count(connection: Connection, lineage: Lineage, enough: int) -> Totals:
    """The items of an environment and of its line, counted up to `enough`."""
    asked = (lineage.environment, enough, list(lineage.environments), enough)
    row = connection.execute(_COUNT, asked).fetchone()
    assert row is not None, "counts have a row"
    return Totals(row[0], row[1], plenty=row[0] >= enough)


def holds_any(connection: Connection, environment: str) -> bool:
    """Whether an environment holds an item of its own."""
    query = "SELECT EXISTS (SELECT FROM trimtab.configuration_current WHERE environment = %s)"
    row = connection.execute(query, (environment,)).fetchone()
    return row is not None and row[0]
