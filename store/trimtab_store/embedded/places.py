"""Where an embedded server listens and keeps its secrets: short socket directories, free ports, private files."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import tempfile
from pathlib import Path

SOCKET_PATH_LIMIT = 107  # bytes of sun_path without its final zero
LONGEST_SOCKET_NAME = "/.s.PGSQL.65535"


class SocketDirectory:
    """A private directory for unix sockets: `wanted` if its path is short enough, else a temporary one.

    `close` removes it. The path stays the same until then, so that addresses survive a restart of the server.
    """

    def __init__(self, wanted: Path) -> None:
        self.path = wanted
        if len(os.fsencode(wanted)) + len(LONGEST_SOCKET_NAME) <= SOCKET_PATH_LIMIT:
            wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
        else:
            self.path = Path(tempfile.mkdtemp(prefix="trimtab-", dir=short_runtime_directory()))

    def close(self) -> None:
        """Remove the directory with whatever a killed server left in it."""
        shutil.rmtree(self.path, ignore_errors=True)


def short_runtime_directory() -> Path:
    """$XDG_RUNTIME_DIR if it is ours to write and short enough, else /tmp."""
    named = Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp")  # noqa: S108 - mkdtemp makes a private directory in it
    roomy = len(os.fsencode(named)) + len("/trimtab-12345678") + len(LONGEST_SOCKET_NAME) <= SOCKET_PATH_LIMIT
    return named if roomy and named.is_dir() and os.access(named, os.W_OK) else Path("/tmp")  # noqa: S108 - the same


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_private(path: Path, content: bytes) -> None:
    """Put `content` at `path` with mode 0600, so that nobody ever sees half of it."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def kept_password(path: Path) -> str:
    """The password kept at `path`; a fresh one is generated and kept there the first time."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(24).encode())
    return path.read_text(encoding="ascii")
