"""The feed on disk: what an agent knew last, kept so that it boots without any server."""

from trimtab.feeds.disk.feed import DiskFeed, Loaded
from trimtab.feeds.disk.generations import Generation

__all__ = ["DiskFeed", "Generation", "Loaded"]
