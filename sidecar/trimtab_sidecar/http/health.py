"""Health: the loop runs; there are validated data; and all that is true about what is served."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from aiohttp import web

from trimtab.model.canonical import Json
from trimtab.model.errors import UnavailableError
from trimtab_sidecar.http import answers
from trimtab_sidecar.node import Node
from trimtab_sidecar.shared.publisher import ALARM

AGAIN: Final = "Try again soon"


class Health:
    """Answers about the sidecar itself. Nothing here asks Redis or Postgres."""

    def __init__(self, node: Node, agent: str, attached: Callable[[], list[Json]]) -> None:
        """`attached` names the bots that read through this sidecar."""
        self._node = node
        self._agent = agent
        self._attached = attached

    async def healthz(self, _request: web.Request) -> web.Response:
        """Whether the loop runs: whoever reads this knows."""
        return answers.json({"alive": True})

    async def readyz(self, _request: web.Request) -> web.Response:
        """Whether validated data are served, however old, and bots that attach find them."""
        if not self._node.ready:
            raise not_ready(self._node)
        return answers.json({"ready": True})

    async def status(self, _request: web.Request) -> web.Response:
        """What is true now."""
        node = self._node
        staleness = node.staleness_seconds
        labels: Json = dict(node.identity)
        alarms: Json = dict(node.known_alarms)
        return answers.json(
            {
                "agent": self._agent,
                "environment": node.environment,
                "labels": labels,
                "epoch": node.position.epoch,
                "revision": node.position.revision,
                "hash": node.held.hash.hex(),
                "status": node.status.value,
                "feed": node.feed,
                "staleness_seconds": staleness if math.isfinite(staleness) else None,
                "alarms": alarms,
                "overrides": [{"path": one.path, "value": one.shown, "why": one.why} for one in node.overlaid.told],
                "attached": self._attached(),
            }
        )


def not_ready(node: Node) -> UnavailableError:
    """The error of whoever asks before there are data."""
    if node.has_data:
        shared = node.known_alarms.get(ALARM, "it is being written").rstrip(".")
        return UnavailableError(f"The configuration of {node.environment} is not in shared memory yet", shared, AGAIN)
    said = [f"{name}: {problem}" for name, problem in sorted(node.standing.problems.items())]
    why = " | ".join(one.rstrip(".") for one in said) or "no feed has answered yet"
    return UnavailableError(f"No validated configuration of {node.environment} is here yet", why, AGAIN)
