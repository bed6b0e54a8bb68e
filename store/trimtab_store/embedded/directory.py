"""The data directory of `trimtab up`: its layout, its one holder, and how every other command finds the servers.

lock            held (flock) by the running `up`; contains its pid
servers.json    0600, there while the servers run: addresses, key files, pids
trust.json      the public keys that agents pin
signing-key.json  0600, the writer's private key
postgres/  redis/  sidecar/  bots/  journals/
"""

from __future__ import annotations

import dataclasses
import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter, ValidationError

from trimtab.model.errors import DirectoryHeld, FilesRefused, SettingError, UnavailableError
from trimtab_store.embedded.places import write_private

VARIABLE = "TRIMTAB_DIRECTORY"
DEFAULT = Path(".trimtab")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """Where the running servers are. The addresses hold passwords and stay out of `repr`."""

    directory: Path
    database_url: str = dataclasses.field(repr=False)  # the writer's
    agent_database_url: str = dataclasses.field(repr=False)
    relay_database_url: str = dataclasses.field(repr=False)
    owner_url: str = dataclasses.field(repr=False)
    redis_url: str = dataclasses.field(repr=False)
    trust: Path
    signing_key: Path
    pids: Mapping[str, int]
    started_at: str  # RFC 3339 UTC

    def encode(self) -> bytes:
        """As kept in servers.json."""
        return SHAPE.dump_json(self, indent=2) + b"\n"

    @classmethod
    def decode(cls, content: bytes, path: Path) -> Servers:
        """Read servers.json. Raises FilesRefused, naming `path`, if it is not one of ours."""
        try:
            return SHAPE.validate_json(content)
        except ValidationError as error:
            wrong = error.errors(include_input=False, include_url=False)[0]  # its input may be a password
            raise FilesRefused(
                f"{path} does not describe running servers",
                f"it was damaged or written by another program ({wrong['msg']} {'.'.join(map(str, wrong['loc']))})",
                "Stop `trimtab up`, remove the file and start again",
            ) from None


SHAPE = TypeAdapter(Servers)


class DataDirectory:
    """A data directory, held by this process between `__enter__` and `__exit__`.

    Raises DirectoryHeld if another process holds it, FilesRefused if it is somebody else's.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.lock = self.path / "lock"
        self.servers_file = self.path / "servers.json"
        self.trust = self.path / "trust.json"
        self.signing_key = self.path / "signing-key.json"
        self.postgres = self.path / "postgres"
        self.redis = self.path / "redis"
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        self._make()
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise self._held() from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        self._descriptor = descriptor
        self.withdraw()  # what a killed holder left
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            self.withdraw()
            os.close(self._descriptor)
            self._descriptor = None

    def publish(self, servers: Servers) -> None:
        """Let other commands find the servers; only for the holder."""
        if self._descriptor is None:
            raise UnavailableError(f"{self.path} is not held by this process")
        write_private(self.servers_file, servers.encode())

    def withdraw(self) -> None:
        """Say that no servers run here any more."""
        self.servers_file.unlink(missing_ok=True)

    def holder(self) -> int | None:
        """The pid of the process that holds this directory now, 0 if it cannot be told; None if nobody does."""
        try:
            descriptor = os.open(self.lock, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.pread(descriptor, 32, 0).strip()
            return int(text) if text.isdigit() else 0
        else:
            return None
        finally:
            os.close(descriptor)

    def _make(self) -> None:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            strangers = not self.lock.exists() and any(self.path.iterdir())
        except OSError as error:
            raise SettingError(
                f"{self.path} cannot be the data directory",
                error.strerror or str(error),
                f"Choose another with --directory or {VARIABLE}",
            ) from error
        if strangers:
            raise FilesRefused(
                f"{self.path} is not a data directory of Trimtab",
                "it holds files of somebody else",
                f"Choose a new or empty one with --directory or {VARIABLE}",
            )

    def _held(self) -> DirectoryHeld:
        pid = self.holder()
        return DirectoryHeld(
            f"{self.path} is in use",
            f"another `trimtab up` runs on it (pid {pid or 'unknown'})",
            f"Use its servers as they are, stop it (Ctrl-C there, or kill -INT {pid or 'PID'}), "
            f"or choose another directory with --directory or {VARIABLE}",
        )


def chosen(directory: Path | None = None, environment: Mapping[str, str] | None = None) -> Path:
    """The data directory meant: the argument, else TRIMTAB_DIRECTORY, else ./.trimtab; absolute."""
    named = (os.environ if environment is None else environment).get(VARIABLE)
    return (directory or (Path(named) if named else DEFAULT)).absolute()


def find(directory: Path | None = None, environment: Mapping[str, str] | None = None) -> Servers:
    """The servers that run on the chosen directory.

    Raises UnavailableError if none do, FilesRefused if what describes them is damaged.
    """
    place = DataDirectory(chosen(directory, environment))
    try:
        content = place.servers_file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        content = None
    except OSError as error:
        raise FilesRefused(f"{place.servers_file} cannot be read", error.strerror or "", "Run as its owner") from error
    if place.holder() is None:
        raise UnavailableError(
            f"No servers run on {place.path}",
            "nobody holds this directory",
            f"Start them with `trimtab up`, or name their directory with --directory or {VARIABLE}",
        )
    if content is None:
        raise UnavailableError(
            f"No servers run on {place.path} yet", "`trimtab up` is still starting there", "Try again in a few seconds"
        )
    return Servers.decode(content, place.servers_file)
