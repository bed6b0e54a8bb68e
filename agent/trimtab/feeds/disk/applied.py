"""The file `applied`: the newest generation, replaced as a whole or appended to.

Whatever fails, the file is left as it was or is written anew before the next append: after a failed write or fsync
nothing is known about its end, so it is never appended to again. Messages that could not be written wait in memory.
"""

from __future__ import annotations

from typing import Final

from trimtab.feeds.disk import generations, sealed
from trimtab.feeds.disk.generations import Generation, Tail
from trimtab.files import Files
from trimtab.model import links, snapshots
from trimtab.model.errors import FilesRefused, PersistFailed, SignatureRefused
from trimtab.model.links import Position
from trimtab.model.statements import Trust

NAME: Final = "applied"


class Applied:
    """One writer at a time. Raises `OSError` where the files do, `PersistFailed` where only a new snapshot helps."""

    def __init__(self, files: Files, trust: Trust, environment: str) -> None:
        self._files, self._trust, self._environment = files, trust, environment
        self._source = NAME
        self._intact = False
        self._content: bytes | None = None
        self._waiting: list[bytes] = []
        self._journal_bytes = 0
        self._handle: int | None = None
        self._unsynced = False
        self.tail: Tail | None = None
        self.messages = 0

    @property
    def needs_snapshot(self) -> bool:
        """Whether nothing can be appended until `replace` is called."""
        return self.tail is None

    def adopt(self, generation: Generation, source: str, *, intact: bool) -> None:
        """Go on from what a file holds; unless it is `applied` itself and intact, that is written anew first."""
        self._source, self._intact = source, intact and source == NAME
        self.tail, self.messages = generation.tail, len(generation.messages)
        self._journal_bytes = sum(map(len, generation.messages))

    def replace(self, statement: bytes, body: bytes, messages: tuple[bytes, ...]) -> None:
        """Start anew from a verified snapshot, keeping the messages that follow it: those given and those held."""
        read = snapshots.read_statement(statement)
        begin = generations.origin(read)
        kept, tail = generations.follow(begin, (*self._held(begin.position), *messages))
        self._content = generations.encode(read.encode(), body, kept)
        self._waiting, self._intact = [], False
        self._journal_bytes = sum(map(len, kept))
        self.tail, self.messages = tail, len(kept)
        self.drain()

    def append(self, message: bytes) -> None:
        """Append a verified message that follows the last one; one that is held already is passed over."""
        link = links.read(message).link
        if self.tail is not None and link.position <= self.tail.position:
            return
        if self.tail is None or not self.tail.precedes(link):
            raise self._lost(f"revision {link.position} does not follow what is held")
        if self._journal_bytes + len(message) > generations.MAX_JOURNAL_BYTES:
            raise self._lost("the journal is full")
        self._waiting.append(message)
        self._journal_bytes += len(message)
        self.tail, self.messages = Tail(position=link.position, hash=link.hash), self.messages + 1
        self.drain()

    def drain(self) -> None:
        """Write what waits."""
        if self._intact and self._waiting:
            self._write_end(b"".join(map(generations.frame, self._waiting)))
        elif not self._intact and self.tail is not None:
            self._write_anew()
        self._waiting = []

    def sync(self) -> None:
        """Write what waits, and bring everything to stable storage."""
        self.drain()
        if self._unsynced and self._handle is not None:
            try:
                self._files.sync(self._handle)
            except OSError:
                self._forget_end()
                raise
            self._unsynced = False

    def read(self) -> Generation | None:
        """The generation as its file holds it, verified, with what waits; None if nothing is held."""
        if self.tail is None:
            return None
        content = self._content or self._files.read(self._source, generations.MAX_BYTES)
        generation = generations.read(content, self._trust, self._environment)
        kept, tail = generations.follow(generation.tail, self._waiting)
        if tail != self.tail:
            raise SignatureRefused("A generation is refused", generation.cut or "it ends too early", "")
        return Generation(
            statement=generation.statement,
            statement_bytes=generation.statement_bytes,
            body=generation.body,
            messages=(*generation.messages, *kept),
            tail=tail,
        )

    def checked(self) -> Generation:
        """`read`, or `PersistFailed` where nothing is held or what the file holds is damaged."""
        try:
            generation = self.read()
        except (SignatureRefused, FilesRefused, FileNotFoundError) as error:
            raise self._lost(f"what the file holds is damaged: {error}") from error
        if generation is None:
            raise self._lost("nothing is held")
        return generation

    def close(self) -> None:
        """Give the handle back."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            self._files.close_handle(handle)

    def _held(self, after: Position) -> tuple[bytes, ...]:
        if self.tail is None or self.tail.position <= after:
            return ()
        try:
            generation = self.read()
        except (SignatureRefused, FilesRefused, FileNotFoundError):
            return tuple(self._waiting)
        return () if generation is None else generation.messages

    def _write_end(self, frames: bytes) -> None:
        try:
            if self._handle is None:
                self._handle = self._files.append(NAME)
            self._unsynced = True
            self._files.write(self._handle, frames)
        except OSError:
            self._forget_end()
            raise

    def _write_anew(self) -> None:
        content = self.checked().encode()
        self.close()
        sealed.replace(self._files, NAME, content)
        self._source, self._content = NAME, None
        self._intact, self._unsynced = True, False

    def _forget_end(self) -> None:
        self._intact = False
        self.close()

    def _lost(self, why: str) -> PersistFailed:
        self.tail, self._content, self._waiting, self._intact = None, None, [], False
        self.messages = self._journal_bytes = 0
        return PersistFailed(
            f"{self._files.place}/{NAME} cannot be continued", why, "The agent writes a new snapshot there"
        )
