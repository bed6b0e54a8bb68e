"""What every server of ours has in common: one child process on a folder, and a directory for its socket."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

from trimtab_store.embedded.places import SocketDirectory, free_port, kept_password
from trimtab_store.embedded.process import Child, log_tail


class Server(ABC):
    """A server on `base`, with its log and its password there, and with `tcp` a free port of 127.0.0.1.

    As a context manager it runs until the end of the block. Not safe for use by two threads.
    """

    def __init__(self, base: Path, *, tcp: bool) -> None:
        self.base = base.resolve()
        self.log = self.base / "log"
        self.port = free_port() if tcp else None
        self._child: Child | None = None
        self.base.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.password = kept_password(self.base / "password")
        self._sockets = SocketDirectory(self.base / "socket")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The server's pid while it runs."""
        return self._child.pid if self.running and self._child else None

    @property
    def running(self) -> bool:
        """Whether the server lives (also while paused)."""
        return self._child is not None and self._child.running

    @abstractmethod
    def start(self) -> None:
        """Start the server and wait until it answers. Nothing happens if it runs."""

    @abstractmethod
    def stop(self) -> None:
        """Stop in order, or by force if that takes too long. Nothing happens if it is not running."""

    def kill(self) -> None:
        """SIGKILL, as a crash or a power cut would, and wait until its children are gone too."""
        if self._child is not None:
            self._child.kill()

    def pause(self) -> None:
        """Freeze the server and its children: connections stay open and silent."""
        if self._child is not None:
            self._child.pause()

    def resume(self) -> None:
        """Let a frozen server go on."""
        if self._child is not None:
            self._child.resume()

    def close(self) -> None:
        """Stop and remove the socket directory; the other files stay."""
        self.stop()
        self._sockets.close()

    def log_tail(self) -> str:
        """The last lines that the server wrote."""
        return log_tail(self.log)
