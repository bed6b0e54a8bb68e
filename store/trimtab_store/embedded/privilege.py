"""How a server that refuses to run as root is run when we are root."""

from __future__ import annotations

import functools
import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path
from typing import Literal

from trimtab.model.errors import UnavailableError
from trimtab_store.embedded import launch

Privilege = Literal["own", "namespace", "nobody"]


def launcher(privilege: Privilege, signal_on_death: int = 0) -> list[str]:
    """The head of a command line that starts a program through `launch.py`."""
    return [
        sys.executable, "-I", "-S", launch.__file__, privilege, str(os.getpid()), str(signal_on_death),
    ]  # fmt: skip


@functools.cache
def ordinary_privilege() -> Privilege:
    """What this machine allows: `own` unless we are root, then `namespace` where it works, else `nobody`."""
    if os.geteuid() != 0:
        return "own"
    nothing = [*launcher("namespace"), sys.executable, "-I", "-S", "-c", ""]
    tried = subprocess.run(nothing, check=False, capture_output=True)  # noqa: S603 - our own launcher
    return "namespace" if tried.returncode == 0 else "nobody"


def hand_over(directory: Path, privilege: Privilege) -> None:
    """Make a directory that we have just created the server's own. Only `nobody` needs that.

    Raises UnavailableError where `nobody` could not even reach it.
    """
    if privilege != "nobody":
        return
    check_reachable(directory)
    nobody = pwd.getpwnam("nobody")
    for path in (directory, *directory.rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)


def check_reachable(path: Path) -> None:
    """Raise UnavailableError if a parent of `path` is closed to other users."""
    nobody = pwd.getpwnam("nobody").pw_uid
    for parent in path.resolve().parents:
        found = parent.stat()
        if not found.st_mode & (stat.S_IXUSR if found.st_uid == nobody else stat.S_IXOTH):
            raise UnavailableError(
                f"PostgreSQL cannot run on {path}",
                "it refuses to run as root, this machine allows no user namespaces, "
                f"and the user nobody may not enter {parent}",
                f"Run as an ordinary user, or choose a directory that others may enter, or: chmod o+x {parent}",
            )
