"""The feed from Redis: its keys are settled in `trimtab.model.published`."""

from trimtab.feeds.redis.feed import RedisFeed

__all__ = ["RedisFeed"]
