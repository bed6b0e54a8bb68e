"""The feed from Postgres: through the functions that an agent may call, and nothing else."""

from trimtab.feeds.postgres.feed import PostgresFeed

__all__ = ["PostgresFeed"]
