"""Attached reading: a bot reads what the sidecar of its node shares, and needs no server, thread or key of its own.

    config = attach("/run/trimtab", labels={"bot": "mm-btc"})
    config["risk.global.max_leverage"]

Each read looks at one byte of shared memory and at a dict. What is new is taken by the read that finds it; nobody waits
for anybody, and both sides may be killed at any instruction.
"""

from __future__ import annotations

import math
import os
import threading
import time
import weakref
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self, TypeVar

from trimtab import clock
from trimtab.attach_following import TROUBLE, Following
from trimtab.attach_news import News
from trimtab.attach_reading import Watching
from trimtab.attach_view import following, fresh, labels_of
from trimtab.model import documents, layers
from trimtab.model.errors import FilesRefused, LayerError, UnavailableError
from trimtab.model.reports import Refusal, Status
from trimtab.model.resolution import ABSENT
from trimtab.model.values import Value
from trimtab.reader import Held, Pin, assign_at_once, requirement_failed
from trimtab.shared import layout
from trimtab.shared.content import Content
from trimtab.shared.head import Attested
from trimtab.shared.layout import HashPath

if TYPE_CHECKING:
    from trimtab.attach_binding import AttachedBindings
    from trimtab.attach_events import AttachedChanges
    from trimtab.binding import Binding
    from trimtab.pending import ChangeEvent, Subscription

T = TypeVar("T")
HEARTBEAT_SECONDS: Final = 3.0
"""A sidecar that was silent for so long is dead or frozen; it says that it lives every second."""
THOROUGH_SECONDS: Final = 1.0
"""So often a read that goes the slow way looks at the head, too."""
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
    labels that cannot be.
    """
    deadline = time.monotonic() + timeout
    given = (os.fspath(directory), dict(labels or {}), dict(require or {}), environment, owner, hash_path)
    layers.check_identity(given[1])
    while True:
        try:
            return Attached(*given)
        except UnavailableError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(_PAUSE)


class Attached(Watching):
    """Reads a shared directory; made by `attach`. Safe to use from any thread, and in forked children.

    The interface is that of an `Agent` (`trimtab.reading.Reading`); `poll` gives change events.
    """

    def __init__(
        self,
        directory: str,
        labels: Mapping[str, str],
        require: Mapping[str, str],
        environment: str | None,
        owner: int | None,
        hash_path: HashPath,
    ) -> None:
        """Use `attach`."""
        self._given = (directory, dict(labels), dict(require), environment, owner, hash_path)
        self._following = Following(directory, owner, environment, hash_path)
        self._require = dict(require)
        self._identity = _identity(self._following.identity, labels)
        self._taking = threading.Lock()
        self._thorough_at = 0.0
        self._certified_at: float | None = None
        self._closed = False
        self._bindings: AttachedBindings | None = None
        self._polled: Subscription | None = None
        self._behind: frozenset[str] | None = frozenset()  # touched since what is held, while that stays behind
        self._owing = False  # whether something was taken that is not served yet
        self._held = fresh(self._following.content, self._identity)
        self._held = replace(self._held, withheld=self._unmet(self._held.view.labels))
        self._news = News(self._held)
        self._bell: object = self._following.bell
        self._watch()
        _attached.add(self)

    # -- reading -------------------------------------------------------------------------------------------------------

    def get(self, path: str, default: Any = None) -> Any:
        """The value at a path, or the default where there is none."""
        held = self._newest()
        found: Any = held.cache.get(path, ABSENT)
        return held.cache.get_or(path, default) if found is ABSENT else found

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

    def read_slowly(self, path: str) -> Value:
        """Take what is new, and read."""
        if not self._bell or time.monotonic() >= self._thorough_at:
            self._look()
        held = self._held
        if held.withheld:
            raise requirement_failed(held.withheld)
        return held.cache[path]

    @property
    def held(self) -> Held:
        """The served view with its name, also while it may not be read."""
        self._look()
        return self._held

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
        """The hash that names the served state, in hexadecimal."""
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
        if self._following.trouble:
            found[TROUBLE] = self._following.trouble
        return MappingProxyType(found)

    @property
    def refused(self) -> tuple[Refusal, ...]:
        """What the models of bindings refuse."""
        self._look()
        return () if self._bindings is None else self._bindings.refusals()

    def max_staleness(self, path: str) -> float:
        """How stale the category of a path may become before its reader should care, in seconds."""
        return documents.max_staleness(path.partition(".")[0])

    @property
    def too_stale(self) -> tuple[str, ...]:
        """The categories of the served view that are staler now than `max_staleness` allows."""
        return documents.too_stale(self.held.view.categories(), self.staleness_seconds)

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
        self._news.end()
        _attached.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Attached({self._given[0]!r}, revision={self._held.position.revision})"

    def __reduce__(self) -> tuple[type[Attached], tuple[object, ...]]:
        """Another process, such as a spawned child, attaches anew."""
        return Attached, self._given

    # -- taking what is new --------------------------------------------------------------------------------------------

    def _newest(self) -> Held:
        """What is served now; raises `RequirementFailed` where it may not be read."""
        self._look()
        held = self._held
        held.check()
        return held

    def _look(self, *, thorough: bool = False) -> None:
        """Take what is new, unless another thread is doing it: then this one goes on with what there is."""
        now = time.monotonic()
        thorough = thorough or now >= self._thorough_at
        if (self._bell and not thorough) or self._closed or not self._taking.acquire(blocking=False):
            return
        try:
            if thorough:
                self._thorough_at = now + THOROUGH_SECONDS
            self._take(thorough=thorough)
        finally:
            self._taking.release()

    def _take(self, *, thorough: bool) -> None:
        step = self._following.advance(thorough=thorough)
        if step is not None:
            known, touched = self._behind, step.touched
            self._behind = None if known is None or touched is None else known | touched
            self._owing = True
        if not self._owing:
            return
        self._bell = self._following.bell
        try:
            self._serve(self._following.content)
            self._owing = False
        except FilesRefused as error:  # what decides the labels cannot be read: every read tries again
            self._following.trouble = f"what is new cannot be read: {error}"
            self._bell = False
            self.shut()

    def _serve(self, content: Content) -> None:
        old, behind = self._held, self._behind
        if content.position < old.position:
            self._behind = None  # a sidecar that began again has not caught up with what is served
            self._watch()
            return
        if content.position == old.position and content.hash == old.hash:
            behind = frozenset[str]()
        new, differing = following(old, content, self._identity, behind)
        unmet = self._unmet(new.view.labels)
        if unmet:
            self._withhold(unmet)
            return
        self._swap(old, new, differing)

    def _swap(self, old: Held, new: Held, touched: frozenset[str] | None) -> None:
        self._behind = frozenset()
        self._news.note(old, new, touched)
        self.shut()
        if self._bindings is None:
            self._held = new
        else:
            bells = self._bindings.watch(self._bell)
            self._bindings.serve(new, lambda also: assign_at_once([(self, "_held", new), *also, *bells]))
        self._watch()

    def _withhold(self, reason: str) -> None:
        held = replace(self._held, withheld=reason)
        self.shut()
        if self._bindings is None:
            self._held = held
        else:
            bells = self._bindings.watch(self._bell)
            self._bindings.withhold(reason, lambda also: assign_at_once([(self, "_held", held), *also, *bells]))
        self._watch()

    def _watch(self) -> None:
        held = self._held
        if not held.withheld:
            self.watch(held.cache.__getitem__, self._bell)
            return

        def refuse(_path: str) -> NoReturn:
            raise requirement_failed(held.withheld)

        self.watch(refuse, self._bell)

    def _unmet(self, found: Mapping[str, str]) -> str:
        """Why the labels do not meet `require=`; empty if they do."""
        unmet = [
            f"{dimension}={label} is required, configuration says {found.get(dimension, 'nothing')}"
            for dimension, label in self._require.items()
            if found.get(dimension) != label
        ]
        return "; ".join(unmet)

    def _attested(self) -> tuple[Attested | None, float | None]:
        """What the sidecar says now, and when what is held here was last certified."""
        self._look(thorough=True)
        said = self._following.attested
        if said is not None and said.certified_at is not None and self._held.position >= said.served:
            self._certified_at = said.certified_at
        return said, self._certified_at

    def _listen(self) -> Subscription:
        """The subscription of `poll`, which has listened since `attach`."""
        if self._polled is None:
            from trimtab.pending import Subscription  # noqa: PLC0415 - brings asyncio, at first need

            self._polled = Subscription("**")
            self._news.listen(self._polled)
        return self._polled

    def _tell(self) -> None:
        self._look(thorough=True)
        if self._taking.acquire(blocking=False):  # else another thread is at it: there will be more to tell
            try:
                self._news.tell(self._held)
            finally:
                self._taking.release()

    def _after_fork(self) -> None:
        """In a forked child: reading goes on; whoever held the lock, or listened, stayed with the parent."""
        self._taking = threading.Lock()
        self._news.after_fork()
        self._news, self._polled = News(self._held), None
        if self._bindings is not None:
            self._bindings.after_fork()


def _identity(inherited: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    for dimension, label in given.items():
        if inherited.get(dimension, label) != label:
            raise LayerError(
                f"The label {dimension}={label} is refused",
                f"the sidecar of this directory is {dimension}={inherited[dimension]}",
                "Attach to the sidecar of this node, or leave the label out",
            )
    return {**inherited, **given}


_attached: weakref.WeakSet[Attached] = weakref.WeakSet()


def _fork_happened() -> None:
    for one in list(_attached):
        one._after_fork()  # noqa: SLF001 - one part with Attached


os.register_at_fork(after_in_child=_fork_happened)
