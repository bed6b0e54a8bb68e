"""Schemas and documents that mean harm, through a real store: refused, nothing stored, nothing fetched."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.console import Console
from trimtab.model.errors import PathNotFound, ValidationError, ValueRefused
from trimtab.model.problems import DocumentsRefused
from trimtab_store.store import Store

WITHIN = 10.0
DOCUMENTS = "mine.*"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        yield server


def put(store: Store, text: str, path: str = "schema.x") -> None:
    with store.edit("base", author="test") as edit:
        edit.set(path, {"documents": DOCUMENTS, "version": 1, "text": text})


def holds(store: Store, path: str) -> bool:
    try:
        store.get(path, "base")
    except PathNotFound:
        return False
    return True


CORPUS: list[tuple[str, str]] = [
    ('{"$ref": "URL"}', "reference"),
    ('{"$schema": "URL"}', "draft"),
    ('{"$id": "URL", "$defs": {"a": {"$ref": "other.json"}}}', "reference"),
    ('{"$ref": "file:///etc/passwd"}', "reference"),
    ('{"allOf": [{"$ref": "#"}]}', "recursion"),
    ('{"pattern": "^(?=.*a)(a+)+$"}', "pattern"),
    ('{"pattern": "(a+)+\\\\1"}', "pattern"),
    ('{"maximum": ' + "9" * 50_000 + "}", "json"),
    ('{"not":' * 33 + "{}" + "}" * 33, "json"),
    ("[" * 50_000, "json"),
    ('{"type": "string", "type": "integer"}', "json"),
    ('\ufeff{"type": "object"}', "json"),
    ('{"properties": {"a": {"maximun": 1}}}', "keyword"),
]


@pytest.mark.parametrize(("text", "rule"), CORPUS, ids=[f"{rule}-{place}" for place, (_, rule) in enumerate(CORPUS)])
def test_a_schema_that_means_harm_is_refused(store: Store, listener: socket.socket, text: str, rule: str) -> None:
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/schema.json"
    began = time.monotonic()
    with pytest.raises(DocumentsRefused) as refused:
        put(store, text.replace("URL", url))
    assert time.monotonic() - began < WITHIN
    assert [(one.path, one.rule) for one in refused.value.problems] == [("schema.x.text", rule)]
    assert not holds(store, "schema.x")
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.parametrize(
    ("schema", "document", "rule"),
    [
        ({"properties": {"a": {"pattern": "^(a+)+$"}}}, {"a": "a" * 60_000 + "!"}, "pattern"),
        ({"properties": {"a": {"pattern": "^(a|aa)+$"}}}, {"a": "a" * 60_000 + "!"}, "pattern"),
        (
            {"allOf": [{"properties": {"a": {"$ref": "#"}}}] * 4},
            {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": 1}}}}}}}}}}}}}},
            "size",
        ),
        ({"properties": {"a": {"items": {"anyOf": [{"type": "string"}] * 60}}}}, {"a": list(range(9_000))}, "schema"),
    ],
)
def test_a_document_that_means_harm_is_refused(store: Store, schema: Any, document: Any, rule: str) -> None:
    put(store, json.dumps(schema))
    began = time.monotonic()
    with pytest.raises(DocumentsRefused) as refused, store.edit("base", author="test") as edit:
        edit.set("mine.x", document)
    assert time.monotonic() - began < WITHIN
    assert [one.rule for one in refused.value.problems] == [rule]
    assert not holds(store, "mine.x")


@pytest.mark.parametrize("value", [10**20, float("inf"), {"a": 10**5000}, "\ud800", "\x00"])
def test_a_value_that_is_no_json_is_refused_before_any_schema_sees_it(store: Store, value: Any) -> None:
    put(store, "{}")
    with pytest.raises(ValidationError) as refused, store.edit("base", author="test") as edit:
        edit.set("mine.x", {"v": value})
    assert isinstance(refused.value, ValueRefused)


def test_the_command_line_says_the_same(console: Console, listener: socket.socket, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"$ref": f"http://127.0.0.1:{listener.getsockname()[1]}/a"}))
    refused = console("schema", "put", "mine", str(file), "--documents", DOCUMENTS, "-e", "base", "--json")
    assert refused.code == 4
    assert "nothing is ever fetched" in refused.err
    with pytest.raises(BlockingIOError):
        listener.accept()
