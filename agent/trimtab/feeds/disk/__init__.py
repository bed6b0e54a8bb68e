"""The feed on disk: what an agent knew last, kept so that it boots without any server."""

from trimtab.feeds.disk.feed import DiskFeed
from trimtab.feeds.disk.generations import Generation
from trimtab.feeds.disk.loaded import Loaded

__all__ = ["DiskFeed", "Generation", "Loaded"]
