"""The publisher: keeps the directory at the newest state that it was given, and says how far to trust it.

A change is appended to the log of the present generation: its frame, then the announcement in `head`, then its bell. A
state that no log leads to, or a log that has grown too long, makes a new generation: a snapshot file that is read back,
a log that holds what came since, the announcement, and every bell of the old log. What fails leaves the old generation
serving, raises an alarm and is tried again by `tidy`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from trimtab.model.changes import Change
from trimtab.model.errors import TrimtabError
from trimtab.model.positions import START, Position
from trimtab.model.snapshots import Snapshot
from trimtab.model.states import State
from trimtab.shared import layout
from trimtab.shared.head import Attested
from trimtab.shared.layout import HashPath
from trimtab.shared.snapshot import Description
from trimtab_sidecar.shared import building
from trimtab_sidecar.shared.building import Delta, LayerTable, SnapshotBuilder
from trimtab_sidecar.shared.files import SharedFiles
from trimtab_sidecar.shared.generations import Generations
from trimtab_sidecar.shared.heading import Heading
from trimtab_sidecar.shared.log import Limits, Log

ALARM: Final = "shared_memory"
_LOCK: Final = "lock"


@dataclass(frozen=True, slots=True)
class _Held:
    """A state that is to be served, or is."""

    state: State
    position: Position
    hash: bytes


class Publisher:
    """Writes one directory for one environment. `identity` are the labels that its readers inherit (node, region).

    Not safe to use from several threads. Methods that yield work in steps; between the steps of `tidy` the others may
    be called. Nothing here raises for a full or failing file system: `alarms` says it.
    """

    def __init__(
        self,
        files: SharedFiles,
        environment: str,
        identity: Mapping[str, str] | None = None,
        *,
        limits: Limits | None = None,
        hash_path: HashPath = layout.hash_path,
    ) -> None:
        """Take the directory; raises `DirectoryHeld`, `FilesRefused` and `OSError`.

        What an earlier sidecar announced goes on serving until the first state is published.
        """
        self._files = files
        self._environment = environment
        self._identity = dict(identity or {})
        self._limits = limits or Limits()
        self._hash_path = hash_path
        self._table = LayerTable()
        self._log: Log | None = None
        self._served: _Held | None = None
        self._wanted: _Held | None = None  # newer than what is served: it could not be written so far
        self._since: list[Delta] | None = None  # while a rotation is under way: what came after its state
        self._alarms: dict[str, str] = {}
        files.lock(_LOCK)
        self._head = Heading(files)
        self._generations = Generations(files)
        self._generation = max(self._head.generation, self._generations.newest)
        self._remove_others()

    @property
    def alarms(self) -> Mapping[str, str]:
        """What a person should know now: name → text."""
        return MappingProxyType(dict(self._alarms))

    @property
    def position(self) -> Position:
        """The newest position that readers can see."""
        return START if self._served is None else self._served.position

    def publish(self, snapshot: Snapshot, change: Change | None = None, follows: Position = START) -> Iterator[None]:
        """Serve a state. `change` is the one change that leads to it from the state at `follows`, else None.

        A state that is not newer than what is served is left alone, unless it has another hash at the same position:
        this node's own overrides are others then.
        """
        new = _Held(snapshot.state, snapshot.position, snapshot.hash)
        served = self._served
        if served is not None and self._is_known(new, served):
            return
        contiguous = self._wanted is None and served is not None and served.position == follows
        if contiguous and change is not None and not change.needs_snapshot and len(change.edits) <= self._limits.paths:
            assert served is not None
            for step in building.change(self._table, served.state, new.state, change.edits):
                if step is None:
                    yield
                elif self._append(replace(step, position=new.position, hash=new.hash), new):
                    return
        self._wanted, self._since = new, None
        yield from self._replace()

    def _is_known(self, new: _Held, served: _Held) -> bool:
        """Whether a state needs no publication; one that is served does while another of its position is wanted."""
        if new.position != served.position:
            return new.position < served.position
        waiting = self._wanted is not None and self._wanted.position == new.position
        return new.hash == served.hash and not waiting

    def attest(self, attested: Attested) -> None:
        """Say how far to trust what is served, and that the sidecar lives: at least once a second."""
        try:
            self._head.attest(replace(attested, alarms={**attested.alarms, **self._alarms}))
        except OSError as error:
            self._failed(error)

    def tidy(self) -> Iterator[None]:
        """What is due: try again what failed, start a new generation where the log has grown long. About once a second.

        `publish` may be called between its steps.
        """
        if self._wanted is not None:
            yield from self._replace()
        elif self._log is not None and self._log.passes(self._limits):
            yield from self._rotate()

    def close(self) -> None:
        """Give everything back; what was announced goes on serving, and grows stale."""
        if self._log is not None:
            self._log.close()
        self._head.close()
        self._files.close()

    def _append(self, delta: Delta, new: _Held) -> bool:
        """Append a change to the log; False if it has no room."""
        log = self._log
        if log is None or delta.size > self._limits.log_bytes or not log.has_room(delta.size):
            return False
        try:
            log.append(delta)
            self._head.announce(log.generation, log.frames, log.end, new.position)
            log.ring()
        except OSError as error:
            self._failed(error)
            return False
        if self._since is not None:
            self._since.append(delta)
        self._served = new
        return True

    def _replace(self) -> Iterator[None]:
        """A new generation for the state that is wanted."""
        wanted = self._wanted
        assert wanted is not None
        self._table = LayerTable()
        self._table.take(wanted.state)
        yield from self._guarded(wanted, [])

    def _rotate(self) -> Iterator[None]:
        """A new generation for the state that is served; its log takes over what is published in the meantime."""
        served = self._served
        assert served is not None
        since: list[Delta] = []
        self._since = since
        try:
            yield from self._guarded(served, since)
        finally:
            if self._since is since:
                self._since = None

    def _guarded(self, held: _Held, since: list[Delta]) -> Iterator[None]:
        self._generation += 1
        generation, wanted = self._generation, self._wanted
        try:
            yield from self._build(held, generation)
            if (generation, wanted) != (self._generation, self._wanted):
                self._discard(generation)  # overtaken
                return
            self._take_over(held, generation, since)
        except (OSError, TrimtabError) as error:
            self._failed(error)
            self._discard(generation)

    def _build(self, held: _Held, generation: int) -> Iterator[None]:
        """Write and read back the snapshot file of a generation."""
        name = layout.snapshot_name(generation)
        handle = self._files.create(name)
        try:
            builder = SnapshotBuilder(
                lambda offset, content: self._files.write_at(handle, offset, content), generation, self._hash_path
            )
            description = Description(environment=self._environment, layers=self._table.layers, identity=self._identity)
            yield from builder.steps(held.state, held.position, held.hash, self._table, description)
            yield from building.verify(
                name, lambda offset, length: self._files.read_at(handle, offset, length), self._hash_path
            )
        finally:
            self._files.close_handle(handle)

    def _take_over(self, held: _Held, generation: int, since: list[Delta]) -> None:
        """Announce a generation whose snapshot is written, with all that came since in its log."""
        log = Log(self._files, generation, self._limits.room)
        try:
            for delta in since:
                log.append(delta)
            position = since[-1].position if since else held.position
            self._head.announce(generation, log.frames, log.end, position)
        except OSError:
            log.close()
            raise
        old, self._log = self._log, log
        if self._wanted is held:
            self._served, self._wanted = held, None
        self._alarms.pop(ALARM, None)
        if old is not None:
            old.ring_all()
            old.close()
        self._remove_others()

    def _discard(self, generation: int) -> None:
        if generation == self._head.generation:
            return  # announced in spite of an error: readers may be there
        try:
            self._generations.discard(generation)
        except OSError as error:
            self._failed(error)

    def _remove_others(self) -> None:
        """Remove every file that is not of the announced generation."""
        try:
            self._generations.keep_only(self._head.generation)
        except (OSError, TrimtabError) as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        said = getattr(error, "strerror", None) or str(error)
        self._alarms[ALARM] = f"the shared directory cannot be written: {said}; readers keep what was announced before"
