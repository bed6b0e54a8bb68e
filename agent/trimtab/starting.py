"""Starting: how long `connect` waits for a first view, and what it says when there is none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from trimtab.model.errors import (
    DeniedError,
    EnvironmentNotFound,
    FeedDenied,
    NotMigrated,
    SignatureRefused,
    TrimtabError,
    UnavailableError,
)
from trimtab.model.links import START
from trimtab.reader import Held
from trimtab.settings import Settings
from trimtab.standing import Standing

CONFIRM_SECONDS: Final = 0.5
"""How long a first view waits for the servers' word on it: without that nobody knows how old it is."""
_MARGIN: Final = 0.05
"""The share of the timeout that is kept for closing after a failure."""
_TELLING: Final = (EnvironmentNotFound, NotMigrated, FeedDenied, DeniedError)

Look = Callable[[], tuple[Held, Standing]]


def first_view(look: Look, news: threading.Condition, given: Settings, deadline: float) -> None:
    """Wait for a first view; raises what `Agent.connect` says."""
    started = time.monotonic()
    deadline -= given.timeout * _MARGIN
    with news:
        while True:
            held, standing = look()
            now = time.monotonic()
            all_tried = _tried(standing, given)
            if standing.caught_up or all_tried or now >= deadline:
                held.check()
                if held.position > START:
                    return
                _raise_what_tells(standing)
            if held.position > START and not held.withheld and now - started >= CONFIRM_SECONDS:
                return
            if now >= deadline:
                raise _nothing(standing, given)
            news.wait(max(0.0, min(deadline - now, CONFIRM_SECONDS / 10)))


def _tried(standing: Standing, given: Settings) -> bool:
    return standing.tried >= ({"postgres"} if given.redis_url is None else {"postgres", "redis"}) and (
        "postgres" in standing.problems
    )


def _raise_what_tells(standing: Standing) -> None:
    """A problem that waiting does not solve is told at once, when no other feed can help."""
    problem = standing.problems.get("postgres")
    if isinstance(problem, _TELLING):
        raise problem


def _nothing(standing: Standing, given: Settings) -> TrimtabError:
    refused = standing.alarms.get("refused")
    if refused:
        return SignatureRefused(
            f"No configuration of {given.environment!r} can be trusted", refused, "Check the trust file"
        )
    said = [f"{source}: {problem}" for source, problem in sorted(standing.problems.items())]
    waiting = [source for source in ("postgres", "redis") if source not in standing.tried]
    said += [f"{source}: no answer yet" for source in waiting if source == "postgres" or given.redis_url is not None]
    said.append("disk: no state kept" if given.directory is not None else "disk: no directory given")
    return UnavailableError(
        f"No configuration of {given.environment!r} could be read within {given.timeout:g} s",
        " | ".join(one.rstrip(".") for one in said),
        "Start the servers, or correct their addresses",
    )
