"""The same as `propagation` while Redis is down: agents find a change at their next question to Postgres."""

from __future__ import annotations

import sys

from benchmarks import fixtures, propagation, servers
from benchmarks.report import Section, percentile, summarise, to_json

AGENTS, PROCESSES = 100, 10
LIMIT_SECONDS = 1.0
TITLE = "From COMMIT acknowledged to the first read, Redis down"


def main() -> int:
    count = 60 if fixtures.quick() else 400
    with servers.stand(redis=False) as stand:
        with stand.store() as store:
            stand.fill(store, "production", propagation.ITEMS, {"bench": {"value": 0}})
        taken = propagation.measure("without redis", stand.to_json(), AGENTS, PROCESSES, 1, count)
    seconds = [each / 1000 for each in taken]
    judged = percentile(seconds, 0.99)
    row = summarise(f"{AGENTS} agents in {PROCESSES} processes", "s", seconds, judged=judged, limit=LIMIT_SECONDS,
                    note="p99, at the poll interval that a store starts with")  # fmt: skip
    why = "it takes a transaction-mode pooler before Postgres (as deployments of that size have), and none is installed"
    sections = [
        Section(TITLE, [row]),
        Section(f"{TITLE}, 1,000 agents on 20 Postgres connections", skipped=why),
    ]
    sys.stdout.write(to_json(sections))
    return 0


if __name__ == "__main__":
    sys.exit(main())
