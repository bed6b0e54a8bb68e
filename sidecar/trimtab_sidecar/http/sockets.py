"""Sockets: where the interface answers. A unix socket for those who may open it, or a port of the loopback."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import stat
from pathlib import Path
from typing import Final

from trimtab.model.errors import ConflictError, SettingError, UnavailableError

UNIX: Final = "unix:"
_MODE: Final = 0o660
_PATH_BYTES: Final = 107
_BACKLOG: Final = 128


def listen(address: str, group: int | None = None) -> socket.socket:
    """A listening socket. Raises `SettingError` for an address that is not local, `ConflictError` for one in use."""
    if address.startswith(UNIX):
        return unix(Path(address.removeprefix(UNIX)), socket.SOCK_STREAM, group)
    host, port = _host_and_port(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(_BACKLOG)
    except OSError as error:
        made.close()
        raise ConflictError(
            f"The address {address} cannot be used", error.strerror or "", "Name another port with --http"
        ) from error
    made.setblocking(False)  # noqa: FBT003 - its only argument
    return made


def unix(path: Path, kind: socket.SocketKind, group: int | None = None) -> socket.socket:
    """A bound unix socket that its owner and group may use; a stream socket listens. A dead one is replaced."""
    if len(os.fsencode(path)) > _PATH_BYTES:
        why = f"it has more than the {_PATH_BYTES} bytes that a socket's path may have"
        raise SettingError(f"The socket {path} is refused", why, "Name a shorter directory")
    made = socket.socket(socket.AF_UNIX, kind)
    try:
        _remove_dead(path, kind)
        made.bind(str(path))
        path.chmod(_MODE)
        if group is not None:
            os.chown(path, -1, group)
        if kind is socket.SOCK_STREAM:
            made.listen(_BACKLOG)
    except OSError as error:
        made.close()
        raise UnavailableError(f"The socket {path} cannot be made", error.strerror or "", "Name another one") from error
    except BaseException:
        made.close()
        raise
    made.setblocking(False)  # noqa: FBT003 - its only argument
    return made


def remove(made: socket.socket, address: str) -> None:
    """Close what `listen` made, and remove its name if it has one."""
    made.close()
    if address.startswith(UNIX):
        with contextlib.suppress(OSError):
            Path(address.removeprefix(UNIX)).unlink()


def _remove_dead(path: Path, kind: socket.SocketKind) -> None:
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise ConflictError(f"The socket {path} cannot be made", "something else has this name", "Remove it")
    with socket.socket(socket.AF_UNIX, kind) as other:
        try:
            other.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise ConflictError(f"The socket {path} cannot be made", "another process answers on it", "Name another one")


def _host_and_port(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isascii() or not port.isdigit() or int(port) >= 1 << 16:
        raise SettingError(
            f"The address {address!r} is refused", "it is unix:/path or HOST:PORT", "Write 127.0.0.1:8377"
        )
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise SettingError(
            f"The address {address} is refused",
            "whoever reaches it reads the configuration: it answers on this machine only",
            "Use 127.0.0.1, or put a proxy with authentication before it",
        )
    return "127.0.0.1" if host == "localhost" else host, int(port)
