"""A file system that is really full, in a mount namespace of its own."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import pytest


def own_mount() -> list[str]:
    """What starts a process in a mount namespace of its own; skips the test where that is not allowed."""
    for head in (["unshare", "-m"], ["unshare", "-Urm"]):
        with contextlib.suppress(OSError):
            done = subprocess.run(
                [*head, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False, capture_output=True, timeout=10
            )
            if done.returncode == 0:
                return head
    pytest.skip("a really full disk was not tried: this machine allows no mount namespace (unshare -m)")


def fill(ballast: Path) -> None:
    """Write until there is no room."""
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
