"""The command line, run inside this process against a store of the test's own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from trimtab_store.cli import app


@dataclass(frozen=True)
class Said:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as the one JSON document that it is."""
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The error, of a command that was given `--json`."""
        return json.loads(self.err)["error"]


class Console:
    """Runs commands in a folder of their own, with the variables that name the store."""

    def __init__(self, capture: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._capture = capture
        self._monkeypatch = monkeypatch
        for name in ("DIRECTORY", "DATABASE_URL", "OWNER_URL", "REDIS_URL", "SIGNING_KEY", "ENVIRONMENT"):
            monkeypatch.delenv(f"TRIMTAB_{name}", raising=False)
        monkeypatch.chdir(folder)

    def variables(self, **values: str | Path | None) -> None:
        """Set TRIMTAB_… variables, or with None remove them."""
        for name, value in values.items():
            if value is None:
                self._monkeypatch.delenv(f"TRIMTAB_{name}", raising=False)
            else:
                self._monkeypatch.setenv(f"TRIMTAB_{name}", str(value))

    def __call__(self, *arguments: str) -> Said:
        self._capture.readouterr()
        code = app.run(arguments)
        captured = self._capture.readouterr()
        return Said(code, captured.out, captured.err)

    def done(self, *arguments: str) -> Any:
        """What a command that must succeed says with `--json`."""
        end = arguments.index("--") if "--" in arguments else len(arguments)
        said = self(*arguments[:end], "--json", *arguments[end:])
        assert (said.code, said.err) == (0, ""), said
        return said.json
