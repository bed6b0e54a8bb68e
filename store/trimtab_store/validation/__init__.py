"""Validation: what a resolved document must be before a commit, for every target that the edit can reach."""
