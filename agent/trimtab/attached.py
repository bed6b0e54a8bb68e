"""Attached reading: a bot reads what the sidecar of its node shares, and needs no server, thread or key of its own.

    config = attach("/run/trimtab", labels={"bot": "mm-btc"})
    config["risk.global.max_leverage"]

Each read looks at one byte of shared memory and at a dict. What is new is taken by the read that finds it; nobody waits
for anybody, and both sides may be killed at any instruction.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar, overload

from trimtab import clock
from trimtab.attach_following import TROUBLE
from trimtab.attach_taking import Taking, attached
from trimtab.attach_view import labels_of
from trimtab.followed import Followed
from trimtab.model import layers
from trimtab.model.errors import UnavailableError
from trimtab.model.reports import Refusal, Status
from trimtab.model.resolution import ABSENT
from trimtab.model.values import Value
from trimtab.reader import Pin
from trimtab.shared import layout
from trimtab.shared.layout import HashPath

if TYPE_CHECKING:
    from trimtab.attach_events import AttachedChanges
    from trimtab.binding import Binding
    from trimtab.pending import ChangeEvent

Default = TypeVar("Default")
T = TypeVar("T")
HEARTBEAT_SECONDS: Final = 3.0
"""A sidecar that was silent for so long is dead or frozen; it says that it lives every second."""
_CERTIFIED_POLLS: Final = 3
_PAUSE: Final = 0.001


def attach(
    directory: str | os.PathLike[str],
    labels: Mapping[str, str] | None = None,
    *,
    require: Mapping[str, str] | None = None,
    environment: str | None = None,
    owner: int | None = None,
    timeout: float = 10.0,
    hash_path: HashPath = layout.hash_path,
) -> Attached:
    """Read what a sidecar shares in a directory.

    `labels` name the process (bot); node and region come from the sidecar. `require` names labels that must hold, or
    nothing can be read. With `environment` any other is refused. The directory must belong to this user or to root, or
    to the user with the number `owner`. `timeout`: seconds to wait for a sidecar that has nothing to serve yet.

    Raises `UnavailableError` after that time, `FilesRefused` for what the sidecar did not write, `LayerError` for
    labels that cannot be, `RequirementFailed`.
    """
    deadline = time.monotonic() + timeout
    given = (os.fspath(directory), dict(labels or {}), dict(require or {}), environment, owner, hash_path)
    layers.check_identity(given[1])
    while True:
        try:
            made = Attached(*given)
        except UnavailableError:
            if time.monotonic() >= deadline:
                raise
        else:
            made.held.check()
            return made
        time.sleep(_PAUSE)


class Attached(Taking, Followed):
    """Reads a shared directory; made by `attach`. Safe to use from any thread, and in forked children.

    The interface is that of an `Agent` (`trimtab.reading.Reading`); `poll` gives change events.
    """

    # -- reading -------------------------------------------------------------------------------------------------------

    @overload
    def get(self, path: str) -> Value: ...
    @overload
    def get(self, path: str, default: Default) -> Value | Default: ...
    def get(self, path: str, default: Default | None = None) -> Value | Default | None:
        """The value at a path, or the default where there is none."""
        return self._newest().cache.get_or(path, default)

    def __contains__(self, path: str) -> bool:
        return self._newest().cache.find(path) is not ABSENT

    def pinned(self) -> Pin:
        """The served view, to read several values of one revision from: `with config.pinned() as view: view[path]`."""
        return self._newest().pin

    def bind(self, path: str, kind: type[T]) -> Binding[T]:
        """A typed, live view of a subtree: a frozen pydantic model, or a scalar type for a leaf.

        The same path and type give the same binding. Raises `PathNotFound`, `ModelRefused` if the model refuses what is
        there now, `UsageError` for a type that can be changed, `RequirementFailed`.
        """
        from trimtab.attach_binding import AttachedBindings  # noqa: PLC0415 - brings pydantic, at first need

        self._look()
        with self._taking:
            if self._bindings is None:
                self._bindings = AttachedBindings(self._look, lambda: self._bell)
            return self._bindings.add(path, kind, lambda: self._held)

    @property
    def environment(self) -> str:
        """The environment that is read."""
        return self._following.environment

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels that this process is read with."""
        held = self.held
        found = held.view.labels
        if held.withheld:
            found = labels_of(self._following.content, self._identity)
        return MappingProxyType(dict(found))

    @property
    def revision(self) -> int:
        """The revision of the served view."""
        return self.held.position.revision

    @property
    def epoch(self) -> int:
        """The epoch of the served view."""
        return self.held.position.epoch

    @property
    def hash(self) -> str:
        """The hash that names the served state, in hexadecimal; not the store's where the node overrides something."""
        return self.held.hash.hex()

    # -- how far to trust it -------------------------------------------------------------------------------------------

    @property
    def status(self) -> Status:
        """How far the freshness of the served view can be trusted, with a dead or frozen sidecar taken into account."""
        said, certified_at = self._attested()
        if said is None:
            return Status.OFFLINE
        if said.forked:
            return Status.FORKED
        if said.ahead:
            return Status.AHEAD
        now = clock.now()
        alive = now - said.heartbeat <= HEARTBEAT_SECONDS and said.following and not self._closed
        if certified_at is None:
            return Status.OFFLINE
        if alive and now - certified_at <= _CERTIFIED_POLLS * said.poll_after:
            return Status.LIVE if said.subscribed else Status.DEGRADED
        return Status.STALE

    @property
    def staleness_seconds(self) -> float:
        """Seconds since the served view was last proven to be the newest; infinite if it never was."""
        _, certified_at = self._attested()
        return math.inf if certified_at is None else max(0.0, clock.now() - certified_at)

    @property
    def alarms(self) -> Mapping[str, str]:
        """What a person should know now: name → text."""
        said, _ = self._attested()
        found = {} if said is None else dict(said.alarms)
        silent = math.inf if said is None else clock.now() - said.heartbeat
        if silent > HEARTBEAT_SECONDS:
            found["sidecar"] = f"the sidecar of {self._given[0]} has been silent for {silent:.0f} s"
        if self._held.withheld:
            found["requirement"] = self._held.withheld
        if self._following.trouble:
            found[TROUBLE] = self._following.trouble
        return MappingProxyType(found)

    @property
    def refused(self) -> tuple[Refusal, ...]:
        """What the models of bindings refuse."""
        self._look()
        return () if self._bindings is None else self._bindings.refusals()

    # -- news ----------------------------------------------------------------------------------------------------------

    def poll(self) -> list[ChangeEvent]:
        """What changed since the last call, or since `attach`, latest per path; a bot asks when it likes."""
        polled = self._listen()
        self._tell()
        return polled.take()

    def changes(self, pattern: str) -> AttachedChanges:
        """What changes from now on: `async for event in config.changes("risk.**")`; raises `PathError`."""
        from trimtab.attach_events import AttachedChanges  # noqa: PLC0415 - brings asyncio, at first need
        from trimtab.pending import Subscription  # noqa: PLC0415 - the same

        subscription = Subscription(pattern)
        self._listen()
        self._tell()
        if self._closed:
            subscription.end()
        self._news.listen(subscription)
        return AttachedChanges(subscription, self._tell)

    def wait_for(self, revision: int, timeout: float = 10.0) -> bool:
        """Whether a revision is served, waiting up to `timeout` seconds for it.

        It is served once the view has reached it, or the sidecar has proven that nothing up to it is missing. Raises
        `UnavailableError` once this is closed, `RequirementFailed` while nothing may be read.
        """
        deadline = time.monotonic() + timeout
        while True:
            held = self._newest()
            said = self._following.attested
            proven = said is not None and held.position >= said.served and said.proven.revision >= revision
            if held.position.revision >= revision or proven:
                return True
            if self._closed:
                raise UnavailableError(
                    f"Revision {revision} will not be served", "this reader is closed", "Attach again"
                )
            if time.monotonic() >= deadline:
                return False
            time.sleep(_PAUSE)

    # -- life ----------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop following. What was read last stays readable."""
        with self._taking:
            self._closed = True
            self._bell = True
            self._watch()
            self._leave()
        self._news.end()
        attached.discard(self)

    def __repr__(self) -> str:
        return f"Attached({self._given[0]!r}, revision={self._held.position.revision})"

    def __reduce__(self) -> tuple[type[Attached], tuple[object, ...]]:
        """Another process, such as a spawned child, attaches anew."""
        return Attached, self._given
