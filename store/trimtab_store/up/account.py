"""The account of an unattended run: what every bot ended with, how long changes took, and what was lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

from trimtab.model.canonical import Json
from trimtab.model.errors import UnavailableError
from trimtab_store.embedded.places import write_private
from trimtab_store.up import figures
from trimtab_store.up.cluster import Cluster
from trimtab_store.up.demo import Run, Tell
from trimtab_store.up.fleet import ENVIRONMENT, SHOWN, Bot


def account(cluster: Cluster, bots: Sequence[Bot], run: Run, tell: Tell) -> dict[str, Json]:
    """The result, once the bots have ended and their journals are complete."""
    up: list[float] = []
    down: list[float] = []
    for bot in bots:
        delays = figures.delays(run.commits, figures.sightings(bot.journal))
        for commit in run.commits:
            if commit.revision in delays:
                (down if run.outage.covers(commit.at) else up).append(delays[commit.revision])
    described: list[Json] = [_describe(bot) for bot in bots]
    return {
        "bots": described,
        "changes": len(run.commits),
        "lost": judge(cluster, bots, tell),
        "propagation_ms": {"redis_up": figures.summary(up), "redis_down": figures.summary(down)},
        "relay_restarts": run.relay_restarts,
        "revision": run.revision,
    }


def judge(cluster: Cluster, bots: Sequence[Bot], tell: Tell) -> int:
    """Ask a process of its own what was lost; what it found wrong is told."""
    question = cluster.directory.path / "judge.json"
    asked = {
        "database_url": cluster.owner_url,
        "environment": ENVIRONMENT,
        "journals": {bot.name: str(bot.journal) for bot in bots},
        "identities": {bot.name: dict(bot.identity) for bot in bots},
    }
    write_private(question, json.dumps(asked).encode())
    command = [sys.executable, "-m", "trimtab_store.up.judge", str(question)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)  # noqa: S603 - our module
    question.unlink()
    if done.returncode != 0:
        raise UnavailableError("The judge of the demonstration failed", done.stderr.strip()[-2000:])
    verdict = json.loads(done.stdout)
    for name, found in verdict["bots"].items():
        if found["differing"] or found["out_of_order"]:
            few = ", ".join(found["differing"][:5])
            tell(f"{name} lost: {len(found['differing'])} values ({few}), {found['out_of_order']} out of order")
    return int(verdict["lost"])


def _describe(bot: Bot) -> dict[str, Json]:
    return {
        "name": bot.name,
        "labels": bot.said.get("labels"),
        "revision": bot.revision,
        "reads": {SHOWN: bot.reads.get(SHOWN)},
    }
