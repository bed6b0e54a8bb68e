"""Feeds: what an agent can follow an environment from, one module each; `trimtab.feeds.feed` is the contract."""
