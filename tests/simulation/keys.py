"""Keys that sign in two microseconds instead of sixty, so that thousands of seeds fit into a minute.

A signature is a keyed hash over the same statement that Ed25519 would sign: whoever lacks the secret cannot make one.
One run in fifty uses the real thing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trimtab.model import canonical
from trimtab.model.errors import SignatureRefused
from trimtab.model.statements import Domain, SigningKey, Trust

OURS: Final = "ours"
_UNUSED: Final = Ed25519PrivateKey.from_private_bytes(bytes(32))


@dataclass(frozen=True)
class FastTrust(Trust):
    """Trusts the secrets of fast keys, by name."""

    secrets: Mapping[str, bytes] = field(default_factory=dict[str, bytes])

    def verify(self, domain: Domain, fields: Mapping[str, canonical.Json], key_id: str, signature: bytes) -> None:
        secret = self.secrets.get(key_id)
        if secret is None or signature != _signature(secret, domain, fields):
            raise SignatureRefused(f"A {domain} is refused", "its signature does not hold", "Find out who wrote it")


@dataclass(frozen=True)
class FastKey(SigningKey):
    """A signing key whose secret is a few bytes."""

    secret: bytes = b""

    def trust(self) -> Trust:
        return FastTrust({}, {self.key_id: self.secret})

    def sign(self, domain: Domain, fields: Mapping[str, canonical.Json]) -> bytes:
        return _signature(self.secret, domain, fields)


def pair(number: int, *, real: bool) -> tuple[SigningKey, SigningKey]:
    """Our key and a forger's, who calls his the same; both follow from a number."""
    seeds = (hashlib.sha256(f"{who} {number}".encode()).digest() for who in ("ours", "forger"))
    if real:
        ours, theirs = (SigningKey(OURS, Ed25519PrivateKey.from_private_bytes(seed)) for seed in seeds)
        return ours, theirs
    ours, theirs = (FastKey(OURS, _UNUSED, seed) for seed in seeds)
    return ours, theirs


def _signature(secret: bytes, domain: str, fields: Mapping[str, canonical.Json]) -> bytes:
    text = domain.encode() + orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(text, key=secret, digest_size=64).digest()
