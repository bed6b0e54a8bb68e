from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.model_strategies import World, worlds
from trimtab.model import paths, snapshots, states
from trimtab.model.errors import SignatureRefused, TrimtabError
from trimtab.model.items import Item
from trimtab.model.links import Position
from trimtab.model.snapshots import Snapshot, Statement
from trimtab.model.statements import SigningKey
from trimtab.model.structure import Lineage

KEY = SigningKey.generate("writer-1")
ITEMS = [
    Item("base", "", "risk.global.max_leverage", b"3.0"),
    Item("base", "", 'data."a.b"', b'"\xc3\xbc"'),
    Item("production", "mode=live", "risk.global", b""),
    Item("production", "mode=live", "risk.global.max_leverage", b"2.0"),
    Item("production", "mode=live,region=ny4", "x", b"{}"),
]


def _snapshot(items: list[Item] = ITEMS) -> Snapshot:
    state = states.build(Lineage(("base", "production"), ("region", "mode")), items)
    return Snapshot("production", Position(2, 40), b"\x05" * 32, state, urgent=31)


def _signed(snapshot: Snapshot) -> tuple[Statement, bytes]:
    text = snapshots.encode(snapshot)
    return snapshots.sign(snapshot, text, KEY), text


def _fitting(text: bytes) -> tuple[Statement, bytes]:
    """A statement whose length and hash fit other bytes: what only a trusted writer with a bug could make."""
    statement, _ = _signed(_snapshot())
    return replace(statement, length=len(text), sha256=hashlib.sha256(text).digest()), text


def test_a_snapshot_has_these_bytes() -> None:
    _, text = _signed(_snapshot())
    lines = text.split(b"\n")
    assert lines[0] == b"trimtab-snapshot 1"
    assert lines[1] == (
        b'{"checksum":"%s","dimensions":["region","mode"],"environment":"production","epoch":2,"hash":"%s","items":5,'
        b'"lineage":["base","production"],"revision":40,"urgent":31}'
        % (_snapshot().state.checksum.hex().encode(), b"05" * 32)
    )
    assert lines[2:] == [
        b'["base","",2]',
        b'data."a.b"',
        '"ü"'.encode(),
        b"risk.global.max_leverage",
        b"3.0",
        b'["production","mode=live",2]',
        b"risk.global",
        b"",
        b"risk.global.max_leverage",
        b"2.0",
        b'["production","mode=live,region=ny4",1]',
        b"x",
        b"{}",
        b"",
    ]


@given(worlds(conflicting=True, max_items=30), st.integers(0, 2))
def test_a_snapshot_comes_back_as_the_same_state(world: World, urgent: int) -> None:
    state = states.build(world.lineage, world.model_items())
    snapshot = Snapshot(world.environments[-1], Position(1, 2), b"\x01" * 32, state, urgent)
    statement, text = _signed(snapshot)
    snapshots.verify(statement, KEY.trust(), world.environments[-1])
    read = snapshots.decode(snapshots.read_statement(statement.encode()), text)
    assert (read.environment, read.position, read.hash) == (snapshot.environment, snapshot.position, snapshot.hash)
    assert (read.state.lineage, read.urgent) == (state.lineage, urgent)
    assert list(read.state.items()) == list(state.items())
    assert (read.state.checksum, read.state.count) == (state.checksum, state.count)
    assert snapshots.encode(read) == text


def test_a_large_snapshot_is_read_in_many_steps_and_comes_back_whole() -> None:
    items = [Item("base", "", f"a.n{number:05}.{leaf}", b"1") for number in range(700) for leaf in ("x", '"y z"')]
    items += [Item("base", "", "long." + "s" * 250 + ".leaf", b"1"), Item("base", "", "top", b"2")]
    statement, text = _signed(_snapshot(items))
    steps = list(snapshots.decode_steps(statement, text))
    assert len(steps) > len(items) // states.STEP
    assert [step for step in steps[:-1] if step is not None] == []
    read = steps[-1]
    assert read is not None
    assert list(read.state.items()) == sorted(items, key=lambda item: paths.parse(item.path))


def test_neighbours_whose_parents_look_alike_are_told_apart() -> None:
    items = [Item("base", "", path, b"1") for path in ("a.x", "b.x", "bb.c.x", "cc.b.x", "cc.c")]
    statement, text = _signed(_snapshot(items))
    assert list(snapshots.decode(statement, text).state.items()) == items


def _refused(statement: Statement, text: bytes) -> bool:
    try:
        snapshots.verify(statement, KEY.trust(), "production")
        snapshots.decode(statement, text)
    except TrimtabError as error:
        assert isinstance(error, SignatureRefused)  # noqa: PT017 - the type of every refusal
        return True
    return False


def test_every_corrupted_byte_and_every_truncation_of_a_snapshot_is_refused() -> None:
    statement, text = _signed(_snapshot())
    assert not _refused(statement, text)
    for place, byte in enumerate(text):
        for other in {0x00, 0x0A, 0x20, byte ^ 0x01, byte ^ 0x20} - {byte}:
            assert _refused(statement, text[:place] + bytes([other]) + text[place + 1 :]), (place, other)
        assert _refused(statement, text[:place]), place
    assert _refused(statement, text + b"\n")


def test_every_corrupted_byte_and_every_truncation_of_a_statement_is_refused() -> None:
    statement, text = _signed(_snapshot())
    encoded = statement.encode()

    def refused(other: bytes) -> bool:
        try:
            return _refused(snapshots.read_statement(other), text)
        except SignatureRefused:
            return True

    assert not refused(encoded)
    for place, byte in enumerate(encoded):
        for other in {0x00, 0x0A, 0x20, 0x30, 0x41, byte ^ 0x01, byte ^ 0x20} - {byte}:
            assert refused(encoded[:place] + bytes([other]) + encoded[place + 1 :]), (place, other)
        assert refused(encoded[:place]), place


def _edited(old: bytes, new: bytes) -> bytes:
    _, text = _signed(_snapshot())
    assert text.count(old) == 1
    return text.replace(old, new)


BAD_CONTENT = {
    "another magic": (b"trimtab-snapshot 1\n", b"trimtab-snapshot 2\n", "its header names another state"),
    "another revision": (b'"revision":40', b'"revision":41', "its header names another state"),
    "another lineage": (b'["base","production"]', b'["production","base"]', "its lineage ends elsewhere"),
    "a foreign environment": (b'["base","",2]', b'["bass","",2]', "does not belong here"),
    "a layer written otherwise": (b'"mode=live,region=ny4"', b'"region=ny4,mode=live"', "does not belong here"),
    "too few items in a group": (b'["base","",2]', b'["base","",1]', "its content is malformed"),
    "too many items in a group": (b'["base","",2]', b'["base","",9]', "its content is malformed"),
    "a count that is no number": (b'["base","",2]', b'["base","",true]', "does not belong here"),
    "another value": (b"3.0\n", b"3.1\n", "its items do not add up to its checksum"),
    "another path": (b"leverage\n3.0", b"leveragf\n3.0", "its items do not add up to its checksum"),
    "a path outside the grammar": (b"leverage\n3.0", b"lever ge\n3.0", "its content is malformed"),
    "a path with an empty segment": (b"max_leverage\n3.0", b".ax_leverage\n3.0", "its content is malformed"),
    "a path written otherwise": (b'data."a.b"', b'"data"."a.b"', "it is not written canonically"),
    "a path that is no UTF-8": (b"max_leverage\n3.0", b"max_\xffeverage\n3.0", "its content is malformed"),
    "one item more announced": (b'"items":5', b'"items":6', "its items do not add up to its checksum"),
    "no word about what is urgent": (b',"urgent":31', b"", "its content is malformed"),
    "an urgent revision to come": (b'"urgent":31', b'"urgent":41', "its newest urgent revision is none of its past"),
    "an urgent revision below zero": (b'"urgent":31', b'"urgent":-1', "its newest urgent revision is none of its past"),
    "an urgent revision that is a text": (
        b'"urgent":31',
        b'"urgent":"31"',
        "its newest urgent revision is none of its past",
    ),
    "an urgent revision that is a yes": (
        b'"urgent":31',
        b'"urgent":true',
        "its newest urgent revision is none of its past",
    ),
    "an urgent revision that is a fraction": (
        b'"urgent":31',
        b'"urgent":31.0',
        "its newest urgent revision is none of its past",
    ),
}


@pytest.mark.parametrize(("old", "new", "said"), BAD_CONTENT.values(), ids=BAD_CONTENT.keys())
def test_content_that_a_correct_writer_would_not_sign_is_refused_all_the_same(
    old: bytes, new: bytes, said: str
) -> None:
    with pytest.raises(SignatureRefused) as refused:
        snapshots.decode(*_fitting(_edited(old, new)))
    assert said in str(refused.value)


def test_a_snapshot_of_another_environment_is_refused() -> None:
    statement, _ = _signed(_snapshot())
    with pytest.raises(SignatureRefused, match="it belongs to the environment 'production', not 'staging'"):
        snapshots.verify(statement, KEY.trust(), "staging")


@pytest.mark.parametrize("length", [0, -1, 1024**3 + 1])
def test_a_length_outside_the_limits_is_refused_before_anything_is_fetched(length: int) -> None:
    statement, _ = _signed(_snapshot())
    with pytest.raises(SignatureRefused, match="outside the limits"):
        snapshots.read_statement(replace(statement, length=length).encode())


def test_the_bytes_are_cut_in_chunks_of_one_mebibyte() -> None:
    statement, _ = _signed(_snapshot())
    assert [replace(statement, length=length).chunks for length in (1, 2**20, 2**20 + 1)] == [1, 1, 2]


def test_the_newest_urgent_change_has_a_position_in_the_snapshots_epoch() -> None:
    assert _snapshot().urgent_position == Position(2, 31)
    assert replace(_snapshot(), urgent=0).urgent_position == Position(0, 0)


def test_a_snapshot_without_items_comes_back() -> None:
    statement, text = _signed(_snapshot([]))
    assert snapshots.decode(statement, text).state.count == 0
