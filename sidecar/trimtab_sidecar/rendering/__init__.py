"""Rendered files, for bots that read files: a template, a target, a check, and what happens then."""
