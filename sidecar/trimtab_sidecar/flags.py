"""What every program of the sidecar's says of its flags, and of a call that is refused."""

from __future__ import annotations

import argparse
import json
import sys
from typing import NoReturn

from trimtab.model.errors import TrimtabError, UsageError


class Parser(argparse.ArgumentParser):
    """Flags without abbreviations, and a description that keeps its lines. Refuses as every command does."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(
            prog=prog,
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError`."""
        raise UsageError("This call is refused", message, f"See {self.prog} --help")


def tell(error: TrimtabError, *, as_json: bool) -> None:
    """An error on standard error: one paragraph, or one JSON object."""
    told = json.dumps({"error": error.to_dict()}) if as_json else f"trimtab: {error}"
    sys.stderr.write(f"{told}\n")
