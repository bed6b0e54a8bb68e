"""Signing and trusting: Ed25519 over domain-separated statements.

A link and a snapshot are each signed over the canonical JSON of all their fields, behind a domain of their own, so
that no signature of the one can pass for the other. Every signature names its key. Who may sign is pinned in a `Trust`,
which comes from a file on the reader's machine and never from a store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from trimtab.model import canonical
from trimtab.model.errors import FilesRefused, SettingError, SignatureRefused, TrimtabError

Domain: TypeAlias = Literal["link", "snapshot"]
SIGNATURE_BYTES: Final = 64


@dataclass(frozen=True)
class SigningKey:
    """A private key and its name. Held by writers only; `repr` shows the name alone."""

    key_id: str
    private: Ed25519PrivateKey

    @classmethod
    def generate(cls, key_id: str | None = None) -> SigningKey:
        """A new key; without a name it is called after the first bytes of its public half."""
        private = Ed25519PrivateKey.generate()
        return cls(key_id or private.public_key().public_bytes_raw().hex()[:16], private)

    @classmethod
    def from_bytes(cls, text: bytes) -> SigningKey:
        """Read the content of a key file: `{"id": …, "private": hex}`."""
        fields = _fields(text, "signing key")
        try:
            return cls(str(fields["id"]), Ed25519PrivateKey.from_private_bytes(bytes.fromhex(str(fields["private"]))))
        except (KeyError, ValueError) as error:
            raise SettingError(
                "This signing key file is refused", 'it reads {"id": …, "private": hex}', "Restore it"
            ) from error

    def to_bytes(self) -> bytes:
        """The content of a key file. Secret: write it with mode 0600."""
        return canonical.encode({"id": self.key_id, "private": self.private.private_bytes_raw().hex()})

    def trust(self) -> Trust:
        """A trust in this one key."""
        return Trust({self.key_id: self.private.public_key()})

    def sign(self, domain: Domain, fields: Mapping[str, canonical.Json]) -> bytes:
        """The signature over a statement's fields (strings and 64-bit integers), 64 bytes."""
        return self.private.sign(_statement(domain, fields))

    def __repr__(self) -> str:
        return f"SigningKey({self.key_id!r})"


@dataclass(frozen=True)
class Trust:
    """The public keys that a reader accepts, by name."""

    keys: Mapping[str, Ed25519PublicKey]

    @classmethod
    def from_bytes(cls, text: bytes) -> Trust:
        """Read the content of a trust file: `{"keys": [{"id": …, "public": hex}]}`."""
        fields = _fields(text, "trust file")
        try:
            listed = fields["keys"]
            assert isinstance(listed, list)
            keys = {
                str(entry["id"]): Ed25519PublicKey.from_public_bytes(bytes.fromhex(str(entry["public"])))
                for entry in listed
                if isinstance(entry, dict)
            }
        except (KeyError, ValueError, AssertionError) as error:
            raise FilesRefused(
                "This trust file is refused",
                'it reads {"keys": [{"id": …, "public": hex}]}',
                "Copy it again from the writer",
            ) from error
        if len(keys) != len(listed):
            raise FilesRefused("This trust file is refused", "one name stands twice", "Copy it again from the writer")
        if not keys:
            raise FilesRefused("This trust file is refused", "it names no key", "Copy it again from the writer")
        return cls(keys)

    def to_bytes(self) -> bytes:
        """The content of a trust file. Public."""
        listed: list[canonical.Json] = [
            {"id": key_id, "public": key.public_bytes_raw().hex()} for key_id, key in sorted(self.keys.items())
        ]
        return canonical.encode({"keys": listed})

    def verify(self, domain: Domain, fields: Mapping[str, canonical.Json], key_id: str, signature: bytes) -> None:
        """Raise `SignatureRefused` unless a trusted key of that name signed these fields (about 60 µs)."""
        key = self.keys.get(key_id)
        if key is None:
            known = ", ".join(sorted(self.keys))
            raise SignatureRefused(
                f"A {domain} is refused",
                f"it is signed with the key {key_id[:40]!r}, trusted are {known}",
                "Update the trust file",
            )
        try:
            key.verify(signature, _statement(domain, fields))
        except InvalidSignature as error:
            raise SignatureRefused(
                f"A {domain} is refused",
                f"its signature by {key_id!r} does not hold",
                "Find out who writes to this Redis or Postgres",
            ) from error


def _statement(domain: Domain, fields: Mapping[str, canonical.Json]) -> bytes:
    return f"trimtab {domain} v1\0".encode() + canonical.encode_trusted(fields)


def _fields(text: bytes, what: str) -> dict[str, canonical.Json]:
    try:
        fields = canonical.decode(text)
    except TrimtabError as error:
        raise SettingError(f"This {what} is refused", "it is not JSON", "Restore it") from error
    if not isinstance(fields, dict):
        raise SettingError(f"This {what} is refused", "it is not a JSON object", "Restore it")
    return fields
