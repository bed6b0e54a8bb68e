"""The core: positions, lines, versions, items, audit, snapshots, reports; functions and rights of writer and agent."""

from __future__ import annotations

from alembic import op

from trimtab_store.migrate import run_sql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make everything in an empty schema."""
    for name in ("0001_tables", "0001_commit", "0001_agent", "0001_rights"):
        run_sql(op.get_bind(), name)


def downgrade() -> None:
    """Leave an empty schema; what it held is lost."""
    run_sql(op.get_bind(), "0001_drop")
