"""Reading the files of a tree: regular files inside of it, each as it was at one moment."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from trimtab_store.files.errors import FileRefused, refused
from trimtab_store.files.text import MAX_FILE_BYTES

_TRIES: Final = 5


def read_file(file: Path, root: Path) -> bytes:
    """The bytes of a regular file at or below `root` (a real path), one more than a file may have at most.

    A symbolic link is followed if it ends inside: Kubernetes mounts ConfigMaps that way. A file that is written while
    it is read is read again. Raises `FileRefused`, and `OSError` for what cannot be read.
    """
    for _ in range(_TRIES):
        descriptor = os.open(inside(file, root), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise _no_file(file)
            with os.fdopen(descriptor, "rb", closefd=False) as stream:
                text = stream.read(MAX_FILE_BYTES + 1)
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns) and (
            len(text) == before.st_size or len(text) > MAX_FILE_BYTES
        ):
            return text
    raise refused(file, "changing", "it was written to each time that it was read", "Write a new file and rename it")


def inside(file: Path, root: Path) -> Path:
    """Where a file or directory really is; raises `FileRefused` if that is outside of `root`, or not a file at all."""
    mode = file.lstat().st_mode
    if not stat.S_ISLNK(mode):
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise _no_file(file)
        return file
    try:
        real = file.resolve(strict=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
        raise refused(file, "link", "this symbolic link leads nowhere", "Put the file itself here") from error
    if not real.is_relative_to(root):
        raise refused(file, "link", "this symbolic link leads out of the tree", "Put the file itself here")
    return real


def _no_file(file: Path) -> FileRefused:
    return refused(file, "unknown-file", "it is not a regular file", "Put the file itself here")
