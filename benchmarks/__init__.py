"""Figures, each beside its alternatives and its limit in the same run: `make bench`."""
