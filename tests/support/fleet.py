"""A small fleet on real servers, and the checks that every acceptance test ends with.

stand = Stand(database_url=…, …)     where everything is; makes stores, relays and agents, and closes them
stand.settle(load)                   nothing is lost, and every agent is at the head with exactly the right state
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import psycopg
import redis

from tests.support import ground_truth
from tests.support.asking import ASKS_NOTHING
from tests.support.ground_truth import Truth
from tests.support.line import KEY
from tests.support.load import Load, running
from tests.support.waiting import settles
from trimtab import Agent, Status
from trimtab.model.values import Document, thaw
from trimtab_store.relay import Relay
from trimtab_store.store import Store

MEMBERS: Final[Sequence[tuple[str, Mapping[str, str]]]] = (
    ("production", {"node": "n1", "region": "ny4", "bot": "mm-btc"}),
    ("production", {"node": "n2", "region": "ld4", "bot": "mr-eth"}),
    ("testing", {"node": "n1", "region": "ny4"}),
)
"""The environment and identity of each agent: live, paper, and one without a bot."""
POLL_MS: Final = 250
RELAY_SECONDS: Final = 0.2
SERVING: Final = frozenset({Status.LIVE, Status.DEGRADED})


@dataclass
class Stand:
    """Addresses as each part sees them; a test may put a proxy into any. `truth_url` is always the direct one."""

    directory: Path
    truth_url: str
    writer_url: str
    agent_url: str
    redis_url: str | None
    watch: Callable[[], redis.Redis] | None
    """Makes a client that looks at the server for Redis directly."""
    agents: list[Agent] = field(default_factory=list[Agent])
    closing: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def store(self, *, publishing: bool = True, **options: Any) -> Store:
        """A store of its own connections; documents have to fit their categories, and no rule looks across them."""
        url = self.redis_url if publishing else None
        given: dict[str, Any] = {"rules": [ASKS_NOTHING], **options}
        return self.closing.enter_context(Store.connect(self.writer_url, url, signing_key=KEY, **given))

    def populate(self) -> Store:
        """Make base ← production, testing, with two bots; the store that did it."""
        store = self.store()
        store.create_environment("base", author="test")
        store.create_environment("production", parent="base", author="test")
        store.create_environment("testing", parent="base", author="test")
        with store.edit("base", author="test") as edit:
            edit.set("fleet.bots", {"mm-btc": {"labels": {"mode": "live"}}, "mr-eth": {"labels": {"mode": "paper"}}})
            edit.set("risk.global", {"max_leverage": 3, "position_timeout": 5})
            edit.set("risk.global.max_leverage", 2, {"mode": "live"})
        with psycopg.connect(self.truth_url) as connection:
            connection.execute("UPDATE trimtab.store_head SET poll_after_ms = %s", [POLL_MS])
        return store

    def relay(self, count: int = 1, **options: Any) -> list[Relay]:
        """Relays that run until the stand is closed; one that ends by itself fails the test."""
        assert self.redis_url is not None
        url = self.redis_url
        relays = [Relay(self.writer_url, url, interval=RELAY_SECONDS, **options) for _ in range(count)]
        stop, errors = threading.Event(), list[BaseException]()

        def run(relay: Relay) -> None:
            try:
                relay.run(stop)
            except BaseException as error:  # noqa: BLE001 - handed to the test
                errors.append(error)

        def nothing_went_wrong() -> None:
            assert errors == []

        self.closing.callback(nothing_went_wrong)
        self.closing.enter_context(running([partial(run, relay) for relay in relays], stop))
        return relays

    def agent(self, environment: str, labels: Mapping[str, str], *, kept: str | None = None, **options: Any) -> Agent:
        """One agent; with `kept` it has a directory of that name. It must be served before the final checks."""
        given: dict[str, Any] = {
            "environment": environment,
            "labels": labels,
            "trust": KEY.trust(),
            "database_url": self.agent_url,
            "redis_url": self.redis_url,
            "directory": None if kept is None else self.directory / kept,
            "timeout": 20.0,
            **options,
        }
        agent = self.closing.enter_context(Agent.connect(**given))
        self.agents.append(agent)
        return agent

    def fleet(self) -> list[Agent]:
        """One agent for each of `MEMBERS`, each with a directory."""
        return [
            self.agent(environment, labels, kept=f"agent-{number}")
            for number, (environment, labels) in enumerate(MEMBERS)
        ]

    def settle(self, load: Load | None = None) -> Truth:
        """The final checks, once writing has ended: wait until everything has caught up, then compare it whole."""
        truth = ground_truth.check_store(self.truth_url, KEY.trust(), load or Load())
        if self.watch is not None:
            watch = self.watch

            def published() -> None:
                with contextlib.closing(watch()) as client:
                    ground_truth.check_redis(client, truth)

            settles(published)
        for agent in self.agents:
            settles(partial(check_agent, agent, truth))
        assert ground_truth.read(self.truth_url).head == truth.head, "somebody went on writing"
        return truth

    def close(self) -> None:
        """Close everything that was made here, the newest first."""
        self.closing.close()


def check_agent(agent: Agent, truth: Truth) -> None:
    """The agent serves the head of its line, proven, with exactly the leaves that its labels give."""
    position, digest = truth.lines[agent.environment]
    with agent.pinned() as view:
        assert (view.epoch, view.revision, view.hash) == (position.epoch, position.revision, digest), described(agent)
        labels, expected = truth.resolved(agent.environment, identity_of(agent))
        assert {path: thaw(value) for path, value in view.items() if is_leaf(value)} == expected
        assert dict(view.labels) == labels
    assert agent.wait_for(truth.head.revision, 0), described(agent)
    assert agent.status in SERVING, described(agent)


def described(agent: Agent) -> str:
    """What an agent says about itself, for a failure."""
    return f"{agent!r} at epoch {agent.epoch} for {dict(agent.labels)}: {dict(agent.alarms)}"


def identity_of(agent: Agent) -> dict[str, str]:
    """The labels that the process itself brought."""
    return {name: label for name, label in agent.labels.items() if name in {"node", "region", "bot"}}


def is_leaf(value: object) -> bool:
    """Whether a value of a view is a scalar, an array or an empty object."""
    return not isinstance(value, Document) or not value
