"""Turn this process into a server program: not as root, and dying with the process that asked for it.

Run by its path (`python -I -S launch.py MODE PARENT SIGNAL PROGRAM ARGUMENT…`): the standard library is all it has.

PostgreSQL refuses to run as root. MODE says what is done about it: `own` nothing (the caller is not root), `namespace`
enters a user namespace in which this user has another number (files keep their owner and permissions: the kernel still
knows who owns what), `nobody` gives up root for the user `nobody`.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import sys
from pathlib import Path

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
ORDINARY_ID = 65534
REFUSED = 97  # the exit code that says: this machine does not allow MODE


def enter_namespace() -> None:
    """Give this process a user namespace in which it is an ordinary user. Raises OSError where that is not allowed."""
    user, group = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWUSER)")
    own = Path("/proc/self")
    (own / "setgroups").write_text("deny")  # the kernel wants this before an unprivileged gid_map
    (own / "uid_map").write_text(f"{ORDINARY_ID} {user} 1")
    (own / "gid_map").write_text(f"{ORDINARY_ID} {group} 1")


def become_nobody() -> None:
    """Give up root for the user `nobody`. Raises OSError or KeyError where that is not possible."""
    nobody = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setgid(nobody.pw_gid)
    os.setuid(nobody.pw_uid)


def die_with(parent: int, signal_number: int) -> None:
    """Have the kernel send us `signal_number` when the thread that started us ends. Linux only, elsewhere nothing."""
    if signal_number and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            sys.exit(0)


def main(arguments: list[str]) -> None:
    """Apply MODE, PARENT and SIGNAL, then become the program. Does not return."""
    mode, parent, signal_number, *command = arguments
    os.umask(0o077)
    try:
        if mode == "namespace":
            enter_namespace()
        elif mode == "nobody":
            become_nobody()
    except (OSError, KeyError) as error:
        sys.stderr.write(f"{mode}: {error}\n")
        sys.exit(REFUSED)
    die_with(int(parent), int(signal_number))  # after the identity changed: a change clears the request
    os.execv(command[0], command)  # noqa: S606 - becoming that program is the purpose of this file


if __name__ == "__main__":
    main(sys.argv[1:])
