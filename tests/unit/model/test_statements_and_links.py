from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.model import canonical, links
from trimtab.model.errors import FilesRefused, SettingError, SignatureRefused, TrimtabError
from trimtab.model.links import Link, Message, Position
from trimtab.model.statements import SigningKey, Trust

KEY = SigningKey.generate("writer-1")
TRUST = KEY.trust()
FIELDS: dict[str, canonical.Json] = {"a": 1, "b": "x"}


def _message(change: bytes = b'{"kind":"edit"}', environment: str = "production") -> Message:
    before = links.genesis(environment, 1)
    link = Link(
        environment=environment,
        epoch=1,
        revision=7,
        previous_revision=5,
        previous_hash=before,
        hash=links.chain(before, change),
        checksum=b"\x01" * 32,
    )
    return Message(link.signed(KEY), change)


def test_a_signature_holds_for_its_own_fields() -> None:
    TRUST.verify("link", FIELDS, "writer-1", KEY.sign("link", FIELDS))


OTHER = SigningKey.generate("writer-1")
FORGERIES: dict[str, tuple[Callable[[], None], str]] = {
    "another domain": (
        lambda: TRUST.verify("snapshot", FIELDS, "writer-1", KEY.sign("link", FIELDS)),
        "its signature by 'writer-1' does not hold",
    ),
    "another field": (
        lambda: TRUST.verify("link", {**FIELDS, "a": 2}, "writer-1", KEY.sign("link", FIELDS)),
        "does not hold",
    ),
    "one field more": (
        lambda: TRUST.verify("link", {**FIELDS, "c": 2}, "writer-1", KEY.sign("link", FIELDS)),
        "does not hold",
    ),
    "another key of the same name": (
        lambda: TRUST.verify("link", FIELDS, "writer-1", OTHER.sign("link", FIELDS)),
        "does not hold",
    ),
    "an unknown key": (
        lambda: TRUST.verify("link", FIELDS, "stranger", KEY.sign("link", FIELDS)),
        "it is signed with the key 'stranger', trusted are writer-1",
    ),
    "no signature": (lambda: TRUST.verify("link", FIELDS, "writer-1", b""), "does not hold"),
}


@pytest.mark.parametrize(("attempt", "said"), FORGERIES.values(), ids=FORGERIES.keys())
def test_a_statement_that_no_trusted_key_made_is_refused(attempt: Callable[[], None], said: str) -> None:
    with pytest.raises(SignatureRefused) as refused:
        attempt()
    assert said in str(refused.value)
    assert refused.value.exit_code == 7


def test_keys_and_trust_survive_their_files_and_a_key_never_shows_its_secret() -> None:
    read = SigningKey.from_bytes(KEY.to_bytes())
    Trust.from_bytes(TRUST.to_bytes()).verify("link", FIELDS, read.key_id, read.sign("link", FIELDS))
    assert repr(KEY) == "SigningKey('writer-1')"
    assert KEY.private.private_bytes_raw().hex().encode() in KEY.to_bytes()
    assert KEY.private.private_bytes_raw().hex().encode() not in TRUST.to_bytes()
    assert len(SigningKey.generate().key_id) == 16


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{}", b'{"id":"x"}', b'{"id":"x","private":"zz"}', b'{"id":1,"private":""}']
)
def test_a_file_that_is_no_signing_key_is_refused(text: bytes) -> None:
    with pytest.raises(SettingError):
        SigningKey.from_bytes(text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys":{}}',
        b'{"keys":[]}',
        b'{"keys":["x"]}',
        b'{"keys":[{"id":"x"}]}',
        b'{"keys":[{"id":"x","public":"00"}]}',
        b'{"keys":[{"id":"x","public":1}]}',
    ],
)
def test_a_file_that_is_no_trust_is_refused(text: bytes) -> None:
    with pytest.raises((SettingError, FilesRefused)):
        Trust.from_bytes(text)


def test_a_trust_file_in_which_one_name_stands_for_two_keys_is_refused() -> None:
    both = b'{"keys":[' + TRUST.to_bytes()[9:-2] + b"," + OTHER.trust().to_bytes()[9:-2] + b"]}"
    with pytest.raises(FilesRefused, match="twice"):
        Trust.from_bytes(both)


def test_hashes_are_those_of_the_design() -> None:
    assert links.genesis("production", 3) == hashlib.sha256(b"trimtab line\x00production\x003").digest()
    assert links.chain(b"\x01" * 32, b"{}") == hashlib.sha256(b"\x01" * 32 + b"{}").digest()
    assert len({links.genesis(name, epoch) for name in ("a", "b") for epoch in (1, 2)}) == 4


@given(st.tuples(st.integers(0, 3), st.integers(0, 3)), st.tuples(st.integers(0, 3), st.integers(0, 3)))
def test_positions_are_ordered_by_epoch_then_revision(one: tuple[int, int], two: tuple[int, int]) -> None:
    assert (Position(*one) < Position(*two)) == (one < two)
    assert (Position(*one) >= Position(*two)) == (one >= two)
    assert str(Position(*one)) == f"{one[0]}-{one[1]}"


def test_a_message_reads_back_and_verifies() -> None:
    message = _message()
    assert links.read(message.encode()) == message
    links.verify(message, TRUST, "production")
    assert message.position == Position(1, 7)
    assert message.encode() == message.link.header() + b"\n" + message.change


@given(st.binary(max_size=60))
def test_a_change_of_any_bytes_travels_unaltered(change: bytes) -> None:
    message = _message(change)
    assert links.read(message.encode()) == message
    links.verify(links.read(message.encode()), TRUST, "production")


def _accepted(text: bytes) -> bool:
    try:
        links.verify(links.read(text), TRUST, "production")
    except TrimtabError as error:
        assert isinstance(error, SignatureRefused)  # noqa: PT017 - the type of every refusal
        return False
    return True


def test_every_single_corrupted_byte_is_refused() -> None:
    text = _message().encode()
    replacements = (0x00, 0x0A, 0x20, 0x22, 0x30, 0x41, 0xFF)
    for place, byte in enumerate(text):
        for other in {*replacements, byte ^ 0x01, byte ^ 0x20, byte ^ 0x80} - {byte}:
            assert not _accepted(text[:place] + bytes([other]) + text[place + 1 :]), (place, other)


def test_every_truncation_and_every_appended_byte_is_refused() -> None:
    text = _message().encode()
    assert _accepted(text)
    assert not [length for length in range(len(text)) if _accepted(text[:length])]
    assert not [byte for byte in range(256) if _accepted(text + bytes([byte]))]


def test_a_message_for_another_environment_is_refused_although_its_signature_holds() -> None:
    with pytest.raises(SignatureRefused, match="it belongs to the environment 'staging', not 'production'"):
        links.verify(_message(environment="staging"), TRUST, "production")


def test_a_change_exchanged_under_a_genuine_link_is_refused() -> None:
    with pytest.raises(SignatureRefused, match="its change does not hash to its link"):
        links.verify(Message(_message().link, b"{}"), TRUST, "production")


@pytest.mark.parametrize(
    "header",
    [b"{}", b"[]", b"1", b"", b'{"epoch":1}', b'{"epoch":' + b"9" * 30 + b"}", b"[" * 2000, b'"\xff"'],
)
def test_a_header_that_is_no_link_is_refused(header: bytes) -> None:
    with pytest.raises(SignatureRefused, match="it is not a link and a change"):
        links.read(header + b"\n{}")


def test_the_first_link_of_a_line_says_so() -> None:
    assert replace(_message().link, previous_revision=0).is_first
    assert not _message().link.is_first
