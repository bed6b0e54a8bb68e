"""${message}."""

from __future__ import annotations

from alembic import op

from trimtab_store.migrate import run_sql

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    """What the docstring above says."""
    run_sql(op.get_bind(), "${up_revision}_up")


def downgrade() -> None:
    """Back to ${down_revision}."""
    run_sql(op.get_bind(), "${up_revision}_down")
