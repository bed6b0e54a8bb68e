"""A role for relays: they read the names of environments and what agents read, and write nothing."""

from __future__ import annotations

from alembic import op

from trimtab_store.migrate import run_sql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Give the role its rights."""
    run_sql(op.get_bind(), "0002_relay")


def downgrade() -> None:
    """Take the rights back; the role belongs to the cluster and stays."""
    run_sql(op.get_bind(), "0002_drop")
