"""The agent: everything that a bot touches, wired together.

    with Agent.connect(environment="production", labels={"bot": "mm-btc"}, trust="trust.json",
                       database_url="postgresql://…", redis_url="redis://…") as agent:
        agent["risk.global.max_leverage"]

Order of a start: settings → directory → feeds → follower on its thread → first view → `connect` returns. Shutdown goes
the other way: `close`, the end of the `with` block, or the end of the interpreter.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Self, TypeVar

from trimtab import clock, settings, sources
from trimtab.binding import Binding
from trimtab.connected import Connected
from trimtab.model.errors import UnavailableError
from trimtab.model.overriding import LocalOverride
from trimtab.model.reports import Refusal, Status
from trimtab.model.statements import Trust
from trimtab.pending import ChangeEvent, Subscription
from trimtab.standing import OpenSources
from trimtab.subscriptions import Changes

T = TypeVar("T")


class Agent(Connected):
    """Follows one environment, and serves what its bot reads. Made by `connect`; safe to use from any thread.

    Reading costs about two dict look-ups, takes no lock, and never fails because a server does: `status` and
    `staleness_seconds` tell how far it can be trusted.
    """

    @classmethod
    def connect(  # noqa: PLR0913 - each has a name, a default and a variable
        cls,
        *,
        environment: str | None = None,
        labels: Mapping[str, str] | None = None,
        require: Mapping[str, str] | None = None,
        trust: str | Path | Trust | None = None,
        database_url: str | None = None,
        redis_url: str | None = None,
        directory: str | Path | None = None,
        timeout: float | None = None,
        hold: Literal["binding", "all"] | None = None,
        local: str | Path | None = None,
        understands: Mapping[str, int] | None = None,
        open_sources: OpenSources | None = None,
    ) -> Self:
        """Follow an environment; returns when a first view is served, whichever feed it comes from.

        What is not given comes from `TRIMTAB_…` variables (`trimtab.settings`). `labels` name the process (node,
        region, bot); `require` names labels that must hold, or nothing can be read. `redis_url` makes changes arrive
        within milliseconds, `directory` lets the next start do without any server; it belongs to this agent alone. A
        view that no primary has confirmed yet is given half a second for that. `hold="all"` keeps the whole view back
        while a binding's model refuses it. `local` is a file of this node's own overrides, which hold as far as
        `override.config` permits them (`overrides` tells). `understands` names for schemas the newest version that the
        bot's code reads: a change that it could not read is refused. `open_sources` replaces the feeds, for tests.

        Raises `SettingError` for what is missing or unusable, `UnavailableError` after `timeout` seconds (default 10)
        with what each feed said, and as themselves `EnvironmentNotFound`, `NotMigrated`, `FeedDenied`, `DirectoryHeld`
        and every `DeniedError`.
        """
        given = settings.read(
            {
                "environment": environment,
                "labels": labels,
                "require": require,
                "trust": trust,
                "database_url": database_url,
                "redis_url": redis_url,
                "directory": directory,
                "timeout": timeout,
                "hold": hold,
                "local": local,
                "understands": understands,
            }
        )
        deadline = time.monotonic() + given.timeout
        agent = cls(sources.plan(given), open_sources or sources.opener(given))
        agent._begin(given, deadline)
        return agent

    # -- reading, beyond agent[path], get, in, pinned, revision, epoch and hash of `Reader` ---------------------------

    @property
    def environment(self) -> str:
        """The environment that is followed."""
        return self._plan.environment

    @property
    def name(self) -> str:
        """This agent's name in the fleet."""
        return self._plan.agent

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels that this agent is read with: its identity, and what configuration gives its bot."""
        held = self.held
        return MappingProxyType(dict(self._standing.labels if held.withheld else held.view.labels))

    def bind(self, path: str, kind: type[T]) -> Binding[T]:
        """A typed, live view of a subtree: a frozen pydantic model, or a scalar type for a leaf.

        The same path and type give the same binding. Raises `PathNotFound`, `ModelRefused` if the model refuses what is
        there now, `UsageError` for a type that can be changed, `RequirementFailed`.
        """
        self._ensure()
        return self._bindings.add(path, kind, lambda: self.held)

    # -- how far to trust it -------------------------------------------------------------------------------------------

    @property
    def status(self) -> Status:
        """How far the freshness of the served view can be trusted."""
        self._ensure()
        return self._standing.status(clock.now())

    @property
    def staleness_seconds(self) -> float:
        """Seconds since the served view was last proven to be the newest; infinite if it never was."""
        self._ensure()
        return self._standing.freshness.staleness(clock.now())

    @property
    def alarms(self) -> Mapping[str, str]:
        """What a person should know now: name → text."""
        self._ensure()
        return MappingProxyType(dict(self._standing.alarms))

    @property
    def refused(self) -> tuple[Refusal, ...]:
        """What models refuse: of the served view, and with `hold="all"` of the one that is held back."""
        return (*self._bindings.refusals(), *self._standing.held)

    @property
    def overrides(self) -> tuple[LocalOverride, ...]:
        """What became of this node's own overrides in the served view; empty without any."""
        return self._standing.overridden

    # -- news ----------------------------------------------------------------------------------------------------------

    def on_change(self, pattern: str, callback: Callable[[ChangeEvent], object]) -> Subscription:
        """Call back, on a thread of its own, for what changes: `risk.**`, `token.*.symbol`. End it with `.cancel()`."""
        self._ensure()
        return self._subscriptions.call(pattern, callback)

    def changes(self, pattern: str) -> Changes:
        """The same for asynchronous code: `async for event in agent.changes("risk.**")`, in any event loop."""
        self._ensure()
        return self._subscriptions.read(pattern)

    def wait_for(self, revision: int, timeout: float = 10.0) -> bool:
        """Whether this agent serves a revision, waiting up to `timeout` seconds for it.

        It serves it once its view has reached it, or a primary has proven that nothing up to it is missing. Raises
        `UnavailableError` once the agent is closed, `RequirementFailed` while nothing may be read.
        """
        self._ensure()
        deadline = time.monotonic() + timeout
        with self._news:
            while True:
                held, proven = self.held, self._standing.freshness.proven
                held.check()
                if held.position.revision >= revision or proven.revision >= revision:
                    return True
                if self._closed:
                    raise UnavailableError(
                        f"Revision {revision} will not be served", "the agent is closed", "Connect again"
                    )
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._news.wait(left)

    def __repr__(self) -> str:
        return (
            f"Agent({self._plan.environment!r}, revision={self.revision}, status={self._standing.status(clock.now())})"
        )
