"""Signing keys: where a writer's comes from, how one is made, and how agents come to trust it.

A key file holds one private key and belongs to its owner alone. The trust file holds the public half of each key that
agents accept, and grows when keys are rotated: first every agent trusts the new one, then somebody signs with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
from collections.abc import Generator
from pathlib import Path
from typing import Final

from trimtab.model.errors import ConflictError, FilesRefused, SettingError, TrimtabError
from trimtab.model.statements import SigningKey, Trust
from trimtab_store.embedded.places import sync_directory

SIGNING_KEY: Final = "TRIMTAB_SIGNING_KEY"
TRUST: Final = "TRIMTAB_TRUST"
_MODE: Final = 0o077
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def read_key(given: Path | str | SigningKey | None) -> SigningKey | None:
    """A signing key from a file that only its owner may read; raises `SettingError`."""
    if isinstance(given, SigningKey):
        return given
    named = given or os.environ.get(SIGNING_KEY)
    if not named:
        return None
    path = Path(named)
    try:
        if path.stat().st_mode & _MODE:
            raise SettingError(f"The signing key {path} is refused", "others may read it", f"chmod 600 {path}")
        return SigningKey.from_bytes(path.read_bytes())
    except OSError as error:
        raise SettingError(f"The signing key {path} cannot be read", error.strerror or "", "Check the path") from error


def read_trust(file: Path) -> Trust:
    """The keys that a trust file names; raises `SettingError` if it cannot be read, `FilesRefused` for another file."""
    try:
        return Trust.from_bytes(file.read_bytes())
    except OSError as error:
        raise SettingError(f"The trust file {file} cannot be read", error.strerror or "", "Check the path") from error
    except TrimtabError as error:
        raise FilesRefused(f"The trust file {file} is refused", error.why, error.remedy) from error


def create(file: Path, trust: Path) -> tuple[SigningKey, Trust]:
    """Make a signing key in a new file, and add its public half to the trust file, which is made if it is not there.

    Nothing is left behind if either fails. Raises `ConflictError` if there is a file already, `FilesRefused` for a
    trust file that is none, `SettingError` for what cannot be written.
    """
    if file.resolve() == trust.resolve():
        raise SettingError(
            f"{file} cannot be both", "a signing key is secret and a trust file is not", "Name two files"
        )
    key = SigningKey.generate()
    with _writing(trust, "trust file"), _held(trust.parent):
        trusted = Trust({**(read_trust(trust).keys if os.path.lexists(trust) else {}), **key.trust().keys})
        _make_key(file, key)
        try:
            _replace(trust, trusted.to_bytes() + b"\n")
        except BaseException:
            file.unlink()
            raise
    return key, trusted


def _make_key(file: Path, key: SigningKey) -> None:
    with _writing(file, "signing key"):
        try:
            descriptor = os.open(file, _NEW, 0o600)
        except FileExistsError as error:
            raise ConflictError(
                f"The signing key {file} is not made",
                "the file is there, and whoever loses a key can never sign with it again",
                "Name a new file",
            ) from error
        _fill(descriptor, file, key.to_bytes() + b"\n")
    sync_directory(file.parent)


def _replace(file: Path, content: bytes) -> None:
    """Put a public file in place, so that nobody ever reads half of it; it keeps the rights that it had."""
    mode = stat.S_IMODE(file.stat().st_mode) if file.exists() else None
    beside = file.with_name(f"{file.name}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(beside, _NEW, 0o644)
    if mode is not None:
        os.fchmod(descriptor, mode)
    _fill(descriptor, beside, content)
    try:
        beside.replace(file)
    except BaseException:
        beside.unlink()
        raise
    sync_directory(file.parent)


def _fill(descriptor: int, file: Path, content: bytes) -> None:
    """Write a new file to the disk, or remove it."""
    try:
        with open(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        file.unlink()
        raise


@contextlib.contextmanager
def _held(directory: Path) -> Generator[None]:
    """Alone among those who add a key in a directory: two at once would lose one of both."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _writing(file: Path, what: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise SettingError(
            f"The {what} {file} cannot be written", error.strerror or "", "Name another place, or make its directory"
        ) from error
