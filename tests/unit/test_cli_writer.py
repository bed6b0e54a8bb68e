"""The commands that change something, over a writer that is no store: they need nothing else than `Writer`."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.console import Console
from trimtab_store.cli import connecting
from trimtab_store.composed import ComposedEdits
from trimtab_store.ports import Writer
from trimtab_store.store import Store
from trimtab_store.writer import Committed, Difference, RolledBack, Validated

COMMITTED = Committed(
    environment="staging",
    epoch=1,
    revision=7,
    hash=bytes(32),
    paths=("a.b",),
    environments=("staging",),
    committed_at=datetime(2026, 1, 5, tzinfo=UTC),
)


@dataclass
class Block(ComposedEdits):
    """Records the operations of one block."""

    operations: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])
    committed: Committed = COMMITTED
    result: Validated = field(default_factory=lambda: Validated("staging", ("a.b",), ("staging",)))

    def set(self, path: str, value: object, layer: Any = None) -> None:
        self.operations.append(("set", path, value, layer))

    def merge(self, path: str, value: object, layer: Any = None) -> None:
        self.operations.append(("merge", path, value, layer))

    def unset(self, path: str, layer: Any = None) -> None:
        self.operations.append(("unset", path, layer))

    def hide(self, path: str, layer: Any = None) -> None:
        self.operations.append(("hide", path, layer))


@dataclass
class Recording:
    """A writer that has no database: it records what it is asked for."""

    calls: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])

    @contextlib.contextmanager
    def edit(self, environment: str, **words: Any) -> Generator[Block]:
        block = Block()
        yield block
        self.calls.append(("edit", environment, words, block.operations))

    @contextlib.contextmanager
    def validate(self, environment: str, **words: Any) -> Generator[Block]:
        block = Block()
        yield block
        self.calls.append(("validate", environment, words, block.operations))

    def rollback(self, environment: str, to_revision: int, **words: Any) -> RolledBack:
        self.calls.append(("rollback", environment, to_revision, words))
        return RolledBack(COMMITTED, (Difference("base", "", "a.c", b"1", None),), ("a.c",))

    def _called(self, *call: Any) -> Committed:
        self.calls.append(call)
        return COMMITTED

    def import_environment(self, text: bytes, form: str = "json", **words: Any) -> Committed:
        return self._called("import", text, form, words)

    def create_environment(self, name: str, **words: Any) -> Committed:
        return self._called("create", name, words)

    def reparent_environment(self, name: str, parent: str | None, **words: Any) -> Committed:
        return self._called("reparent", name, parent, words)

    def declare_dimensions(self, root: str, dimensions: Any, **words: Any) -> Committed:
        return self._called("dimensions", root, dimensions, words)

    def declare_epoch(self, from_revision: int, **words: Any) -> Committed:
        return self._called("epoch", from_revision, words)


@pytest.fixture
def writer(monkeypatch: pytest.MonkeyPatch) -> Recording:
    """What the commands get instead of a store; a store cannot be had."""
    made = Recording()

    @contextlib.contextmanager
    def hand_out(_: Path | None) -> Generator[Writer]:
        yield made

    def no_store(*_: object, **__: object) -> None:
        raise AssertionError("this command connected a store")

    monkeypatch.setattr(connecting, "writer", hand_out)
    monkeypatch.setattr(Store, "connect", no_store)
    return made


@pytest.fixture
def console(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Console:
    (tmp_path / "staging.yaml").write_text("anything")
    return Console(capfd, monkeypatch, tmp_path)


SIGNED = {"author": "ops", "reason": "r"}
WORDS = {**SIGNED, "expect": None, "idempotency_key": None, "urgent": False, "force": None}
GUARDED = {**SIGNED, "expect": 5, "idempotency_key": "k", "urgent": True, "force": "f"}
GUARDS = ("--expect", "5", "--idempotency-key", "k", "--urgent", "--force", "f")
HERE = ("-e", "staging")
FILE = ("import", "staging.yaml", "-e", "staging")
CALLS: list[tuple[tuple[str, ...], tuple[Any, ...]]] = [
    (("set", "a.b", "2", "-l", "mode=live", *HERE), ("edit", "staging", WORDS, [("set", "a.b", 2, "mode=live")])),
    (("merge", "a", '{"b": 2}', *HERE), ("edit", "staging", WORDS, [("merge", "a", {"b": 2}, "")])),
    (("unset", "a.b", *GUARDS, *HERE), ("edit", "staging", GUARDED, [("unset", "a.b", "")])),
    (("hide", "a.b", *HERE), ("edit", "staging", WORDS, [("hide", "a.b", "")])),
    (("rollback", "3", "--pin", *HERE), ("rollback", "staging", 3, {**WORDS, "pin": True})),
    (("rollback", "3", *GUARDS, *HERE), ("rollback", "staging", 3, {**GUARDED, "pin": False})),
    (FILE, ("import", b"anything", "yaml", {**WORDS, "environment": "staging"})),
    ((*FILE, *GUARDS), ("import", b"anything", "yaml", {**GUARDED, "environment": "staging"})),
    (("env", "create", "x", "--parent", "base"), ("create", "x", {**SIGNED, "parent": "base", "dimensions": None})),
    (("env", "create", "x", "--dimension", "bot"), ("create", "x", {**SIGNED, "parent": None, "dimensions": ["bot"]})),
    (("env", "inherit", "x", "-"), ("reparent", "x", None, {**SIGNED, "force": None})),
    (("env", "dimensions", "base", "mode", "bot"), ("dimensions", "base", ["mode", "bot"], SIGNED)),
    (("epoch", "declare", "--from", "6"), ("epoch", 6, {**SIGNED, "lost": "", "above": None})),
]  # fmt: skip


@pytest.mark.parametrize(("command", "call"), CALLS)
def test_a_change_is_one_call_of_the_writer(
    console: Console, writer: Recording, command: tuple[str, ...], call: tuple[Any, ...]
) -> None:
    done = console.done(*command, "--author", "ops", "--reason", "r")
    assert writer.calls == [call]
    assert (done["revision"], done["paths"], done["created"]) == (7, ["a.b"], True)


def test_a_dry_run_asks_the_writer_too(console: Console, writer: Recording) -> None:
    found = console.done("set", "a.b", "2", "--dry-run", "--expect", "5", "--author", "ops", *HERE)
    assert found == {"paths": ["a.b"], "environments": ["staging"], "warnings": []}
    assert writer.calls == [
        ("validate", "staging", {"author": "ops", "expect": 5, "force": None}, [("set", "a.b", 2, "")])
    ]


def test_what_a_rollback_left_is_told(console: Console, writer: Recording) -> None:
    done = console.done("rollback", "3", *HERE)
    left = {"environment": "base", "layer": "common", "path": "a.c", "then": 1, "now": {"absent": True}}
    assert (done["inherited"], done["pinned"]) == ([left], ["a.c"])
    assert [name for name, *_ in writer.calls] == ["rollback"]
