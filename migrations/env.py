"""Alembic's entrance: `trimtab_store.migrate` hands in the connection, its transaction and the lock; no ini file."""

from __future__ import annotations

from alembic import context

from trimtab_store.migrate import SCHEMA, belongs_to_us
from trimtab_store.tables import metadata

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("Run this through `trimtab migrate`: it brings the connection, the lock and the roles.")

context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table_schema=SCHEMA,
    include_schemas=True,
    include_name=belongs_to_us,
    compare_type=True,
    compare_server_default=True,
    transactional_ddl=True,
)
context.run_migrations()
