"""Our two readers: an agent in the process, and one that is attached to shared memory."""

from __future__ import annotations

from benchmarks.peers import content
from benchmarks.peers.reading import Place, Reading

SECONDS = 60.0


def agent(place: Place) -> Reading:
    """An agent that follows real servers."""
    from trimtab import Agent  # noqa: PLC0415 - the import is measured, and only here

    key = content.path(place["items"])
    made = Agent.connect(
        environment=place["environment"],
        labels={"bot": "mm-btc"},
        trust=place["trust"],
        database_url=place["database_url"],
        redis_url=place["redis_url"],
        timeout=SECONDS,
    )
    return Reading(
        read=lambda: made[key],
        expression="o[k]",
        names={"o": made, "k": key},
        wait=lambda revision: made.wait_for(revision, SECONDS),
        close=made.close,
    )


def attached(place: Place) -> Reading:
    """Attached to a directory that another process publishes in."""
    from trimtab import attach  # noqa: PLC0415 - the import is measured, and only here

    key = content.path(place["items"])
    made = attach(place["shared"], {"bot": "mm-btc"})
    return Reading(
        read=lambda: made[key],
        expression="o[k]",
        names={"o": made, "k": key},
        wait=lambda revision: made.wait_for(revision, SECONDS),
        close=made.close,
    )
