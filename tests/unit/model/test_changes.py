from __future__ import annotations

import json
from contextlib import suppress
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.model_strategies import as_edit, json_values, loose_items
from trimtab.model import canonical, changes
from trimtab.model.changes import Change, EpochRecord, StructureEdit
from trimtab.model.errors import TrimtabError, ValueRefused
from trimtab.model.items import LeafEdit


def _change(*edits: LeafEdit, **fields: Any) -> Change:
    said: dict[str, Any] = {
        "environment": "production",
        "author": "ann",
        "reason": "calm",
        "time": "2026-01-05T14:03:07Z",
    }
    return Change(**{**said, **fields}, edits=tuple(sorted(edits)))


def _in_steps(text: bytes) -> Change:
    """What `decode_steps` makes of a text that counts as large."""
    with patch.object(changes, "LARGE_BYTES", -1):
        *_, change = changes.decode_steps(text)
    assert change is not None
    return change


EXAMPLE = _change(
    LeafEdit("", "risk.global.max_leverage", "put", b"2.5"),
    LeafEdit("mode=live", "risk.global", "hide"),
    LeafEdit("mode=live", "risk.limits", "remove"),
)


def test_a_change_has_these_bytes() -> None:
    assert EXAMPLE.encode() == (
        b'{"author":"ann","edits":['
        b'{"layer":"","path":"risk.global.max_leverage","put":2.5},'
        b'{"hide":true,"layer":"mode=live","path":"risk.global"},'
        b'{"layer":"mode=live","path":"risk.limits","remove":true}'
        b'],"environment":"production","kind":"edit","reason":"calm",'
        b'"time":"2026-01-05T14:03:07Z","urgent":false,"v":1}'
    )
    assert EXAMPLE.paths == ("risk.global", "risk.global.max_leverage", "risk.limits")


@given(st.data(), st.booleans(), st.sampled_from(["edit", "rollback", "import"]))
def test_a_change_comes_back_from_its_bytes(data: st.DataObject, urgent: bool, kind: str) -> None:  # noqa: FBT001
    items = data.draw(st.lists(loose_items(["production"], ["mode", "bot"]), max_size=6))
    edits = [as_edit(item, remove=data.draw(st.booleans())) for item in {i.place: i for i in items}.values()]
    change = _change(*edits, urgent=urgent, kind=kind)
    assert changes.decode(change.encode()) == _in_steps(change.encode()) == change
    assert canonical.encode(json.loads(change.encode())) == change.encode(), "not canonical"


@given(json_values)
def test_a_value_travels_with_its_exact_bytes(value: Any) -> None:
    content = canonical.encode(value)
    text = _change(LeafEdit("", "a", "put", content)).encode()
    (edit,) = changes.decode(text).edits
    assert edit.content == content
    assert _in_steps(text).edits == (edit,)


@pytest.mark.parametrize(
    "change",
    [
        _change(kind="structure", structure=StructureEdit("paper", "production")),
        _change(kind="structure", structure=StructureEdit("lab", None, ("mode", "bot"))),
        _change(kind="epoch", epoch=EpochRecord(2, 1, 40, "revisions 41 to 43", "restored from backup")),
    ],
)
def test_structure_and_epochs_come_back_and_ask_for_a_snapshot(change: Change) -> None:
    assert changes.decode(change.encode()) == _in_steps(change.encode()) == change
    assert change.needs_snapshot
    assert not EXAMPLE.needs_snapshot


def _with(**fields: Any) -> bytes:
    return canonical.encode({**json.loads(EXAMPLE.encode()), **fields})


def _without(name: str) -> bytes:
    fields = json.loads(EXAMPLE.encode())
    del fields[name]
    return canonical.encode(fields)


EDIT = {"layer": "", "path": "a", "put": 1}
REFUSED = {
    "no JSON": (b"{", "it is malformed"),
    "no object": (b"[]", "version or kind is unknown"),
    "another version": (_with(v=2), "version or kind is unknown"),
    "another kind": (_with(kind="magic"), "version or kind is unknown"),
    "an unhashable kind": (_with(kind=["edit"]), "version or kind is unknown"),
    "no edits": (_without("edits"), "it is malformed (KeyError)"),
    "no author": (_without("author"), "it is malformed (KeyError)"),
    "an author that is no text": (_with(author=3), "its bytes are not canonical"),
    "a field more": (_with(more=1), "its bytes are not canonical"),
    "edits that are no list": (_with(edits=3), "it is malformed (TypeError)"),
    "an edit that is no object": (_with(edits=[3]), "it is malformed (TypeError)"),
    "an edit without operation": (_with(edits=[{"layer": "", "path": "a"}]), "neither put, hide nor remove"),
    "an edit with two": (_with(edits=[{**EDIT, "hide": True}]), "its bytes are not canonical"),
    "a hide that is not true": (_with(edits=[{"layer": "", "path": "a", "hide": False}]), "neither put, hide nor"),
    "a place twice": (_with(edits=[EDIT, EDIT]), "one place stands twice"),
    "edits out of order": (_with(edits=[{**EDIT, "path": "b"}, EDIT]), "its edits are not sorted"),
    "a layer written otherwise": (_with(edits=[{**EDIT, "layer": "common"}]), "is not written canonically"),
    "a path written otherwise": (_with(edits=[{**EDIT, "path": '"a"'}]), "is not written canonically"),
    "a path outside the grammar": (_with(edits=[{**EDIT, "path": "a..b"}]), "expected a segment"),
    "a path that is no text": (_with(edits=[{**EDIT, "path": 1}]), "a layer or path is not a string"),
    "white space": (EXAMPLE.encode().replace(b":", b": "), "its bytes are not canonical"),
    "a duplicate key": (EXAMPLE.encode().replace(b'"v":1', b'"v":1,"v":1'), "its bytes are not canonical"),
    "U+0000": (EXAMPLE.encode().replace(b'"put":2.5', b'"put":"\\u0000"'), "U+0000"),
    "an integer beyond 64 bits": (EXAMPLE.encode().replace(b"2.5", b"18446744073709551615"), "64 bits"),
    "a structure that is no object": (_with(structure=[1]), "a part of it is not an object"),
    "an epoch without numbers": (
        _with(epoch={"epoch": "x", "from_epoch": 1, "from_revision": 1, "lost": "", "reason": ""}),
        "its bytes are not canonical",
    ),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_bytes_that_encode_would_not_have_made_are_refused(text: bytes, said: str) -> None:
    with pytest.raises(TrimtabError) as refused:
        changes.decode(text)
    assert said in str(refused.value)
    with pytest.raises(TrimtabError):
        _in_steps(text)


def test_every_truncation_of_a_change_is_refused() -> None:
    text = EXAMPLE.encode()
    for length in range(len(text)):
        with pytest.raises(ValueRefused):
            changes.decode(text[:length])
        with pytest.raises(ValueRefused):
            _in_steps(text[:length])


@given(st.data())
def test_read_in_steps_or_at_once_every_text_means_the_same(data: st.DataObject) -> None:
    text = bytearray(EXAMPLE.encode())
    where = data.draw(st.integers(0, len(text) - 1))
    text[where : where + data.draw(st.integers(0, 3))] = data.draw(
        st.sampled_from([b"", b",", b"]", b"[", b"{", b"}", b'"', b"1", b" ", b"\xff", b"NaN", b"[]", b'"edits":['])
    )
    at_once = in_steps = None
    with suppress(TrimtabError):
        at_once = changes.decode(bytes(text))
    with suppress(TrimtabError):
        in_steps = _in_steps(bytes(text))
    assert in_steps == at_once


def test_a_large_change_is_read_in_steps() -> None:
    change = _change(*(LeafEdit("", f"a.n{number:05}", "put", b'"some text"') for number in range(3000)))
    *pauses, read = changes.decode_steps(change.encode())
    assert read == change
    assert pauses == [None] * (3000 // changes.STEP_EDITS)


def test_a_large_change_nested_without_end_is_refused() -> None:
    text = EXAMPLE.encode().replace(b"2.5", b"[" * 100_000 + b"]" * 100_000)
    with pytest.raises(ValueRefused):
        list(changes.decode_steps(text))


def test_a_change_beyond_the_limits_is_refused() -> None:
    big = b'"' + b"x" * (64 * 1024 - 2) + b'"'
    edits = [LeafEdit("", f"a.n{number:03}", "put", big) for number in range(257)]
    with pytest.raises(ValueRefused, match="at most 16777216 are allowed"):
        _change(*edits).encode()
    many = [LeafEdit("", f"a.n{number}", "hide") for number in range(200_001)]
    with pytest.raises(ValueRefused, match="it has 200001 edits, at most 200000 are allowed"):
        _change(*many).encode()


@pytest.mark.parametrize("author", ["\ud800", "a\x00b"])
def test_an_author_without_an_exact_form_is_refused(author: str) -> None:
    with pytest.raises(ValueRefused):
        _change(author=author).encode()


def test_force_is_hashed_and_stands_only_where_it_was_used() -> None:
    forced = _change(force="the exchange asked for it")
    assert b'"environment":"production","force":"the exchange asked for it","kind":"edit"' in forced.encode()
    assert changes.decode(forced.encode()) == _in_steps(forced.encode()) == forced
    assert b"force" not in EXAMPLE.encode()


@pytest.mark.parametrize("said", [b"null", b"5", b"true"])
def test_force_that_is_no_reason_is_refused(said: bytes) -> None:
    text = _change(force="x").encode().replace(b'"force":"x"', b'"force":' + said)
    with pytest.raises(ValueRefused):
        changes.decode(text)
