"""A bot in a process of its own: `bot_process.py CONFIGURATION`, JSON {trust, connect: arguments of Agent.connect}.

With `proven_seconds` a revision counts as proven after so long; ten minutes are too long for a test.

It says one JSON line when it is served, and one for each line that it reads:

    state    what it serves: epoch, revision, hash, labels, leaves, status, alarms
    sample   looks every 10 ms, on the main thread, until the next line: [status, staleness, clock] of each
    fork N   forks N times; what the children saw, and whether reading went on in the parent
"""

from __future__ import annotations

import json
import math
import os
import select
import sys
import time
from collections.abc import Mapping
from typing import Any
from unittest import mock

from tests.support.fleet import is_leaf
from trimtab import Agent, clock
from trimtab.model.canonical import Json
from trimtab.model.statements import Trust
from trimtab.model.values import thaw
from trimtab.replica import keeping


def main(text: str) -> None:
    configuration = json.loads(text)
    trust = Trust.from_bytes(configuration["trust"].encode())
    proven = mock.patch.object(keeping, "PROVEN_SECONDS", configuration.get("proven_seconds", keeping.PROVEN_SECONDS))
    with proven, Agent.connect(trust=trust, **configuration["connect"]) as agent:
        say(state(agent))
        for line in sys.stdin:
            verb, _, argument = line.strip().partition(" ")
            if verb == "state":
                say(state(agent))
            elif verb == "sample":
                say(sample(agent))
            else:
                say(fork(agent, int(argument)))


def say(record: Mapping[str, Json]) -> None:
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


def state(agent: Agent) -> dict[str, Json]:
    """Everything that the agent serves, and what it says about it."""
    with agent.pinned() as view:
        return {
            "epoch": view.epoch,
            "revision": view.revision,
            "hash": view.hash,
            "labels": dict(view.labels),
            "leaves": {path: thaw(value) for path, value in view.items() if is_leaf(value)},
            "status": agent.status.value,
            "certified": math.isfinite(agent.staleness_seconds),
            "alarms": dict(agent.alarms),
        }


def sample(agent: Agent) -> dict[str, Json]:
    """What the agent said of itself and when, in order, until another line came in."""
    samples: list[Json] = []
    while not select.select([sys.stdin], [], [], 0.01)[0]:
        at = clock.now()
        samples.append([agent.status.value, agent.staleness_seconds, at])
    sys.stdin.readline()
    return {"samples": samples}


def fork(agent: Agent, count: int) -> dict[str, Json]:
    """Fork one child after the other. Each reads what it inherited, follows by itself now and then, and ends."""
    said: dict[str, Json] = {}
    for number in range(count):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            os.write(writing, json.dumps(_child(agent, follows=number % 25 == 0)).encode())
            os._exit(0)
        os.close(writing)
        with open(reading, encoding="utf-8") as answer:  # noqa: PTH123 - a descriptor
            text = answer.read()
        _, status = os.waitpid(child, 0)
        outcome = f"{os.waitstatus_to_exitcode(status)} {text}"
        counted: Any = said.get(outcome, 0)
        said[outcome] = counted + 1
    return {"children": said, "parent": agent.status.value}


def _child(agent: Agent, *, follows: bool) -> str:
    if agent["risk.global.position_timeout"] != 5:
        return "read something else"
    if not follows:
        return "read"
    if agent.status.value in {"LIVE", "DEGRADED"}:
        return "certified by what the parent heard"
    ends = time.monotonic() + 20
    while agent.status.value not in {"LIVE", "DEGRADED"}:
        if time.monotonic() > ends:
            return f"never certified: {dict(agent.alarms)}"
        time.sleep(0.02)
    return "certified by itself"


if __name__ == "__main__":
    main(sys.argv[1])
