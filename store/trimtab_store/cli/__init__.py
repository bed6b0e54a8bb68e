"""The command line: `trimtab`."""

from trimtab_store.cli.app import main

__all__ = ["main"]
