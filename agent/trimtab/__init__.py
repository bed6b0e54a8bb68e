"""Trimtab for bots: follow one environment and read its configuration at the cost of a dict lookup."""
