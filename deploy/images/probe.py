"""Ask a sidecar on its unix socket, for probes: python probe.py /run/trimtab/http.sock /readyz; exit code 0 for 200.

Only the standard library's sockets, so that it costs a few milliseconds every few seconds.
"""
# ruff: noqa: INP001 - a program of the image, not a package

from __future__ import annotations

import socket
import sys

_SECONDS = 3.0


def ask(place: str, target: str) -> bytes:
    """The first line of the answer; raises `OSError` where nobody answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_SECONDS)
        connection.connect(place)
        connection.sendall(f"GET {target} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        said = b""
        while b"\r\n" not in said and (part := connection.recv(1024)):
            said += part
    return said.partition(b"\r\n")[0]


def main(place: str, target: str) -> int:
    """0 if it answers 200, else 1; what it said instead is told."""
    try:
        said = ask(place, target)
    except OSError as error:
        sys.stderr.write(f"{place} {target}: {error}\n")
        return 1
    if said.split()[1:2] == [b"200"]:
        return 0
    sys.stderr.write(f"{place} {target}: {said.decode(errors='replace')}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
