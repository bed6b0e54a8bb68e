"""Replays one seed: `python -m tests.simulation --seed 17 --trace`."""

from __future__ import annotations

import argparse
import sys
import traceback

from tests.simulation.course import follow
from tests.simulation.world import Parts, World


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Replay one simulated run")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--trace", action="store_true", help="print everything that happened")
    arguments = parser.parse_args()
    world = World(arguments.seed, Parts())
    failed = False
    try:
        follow(world)
    except Exception:  # noqa: BLE001 - whatever it is, it is shown after the trace that led to it
        failed = True
        error = traceback.format_exc()
    else:
        error = ""
    if arguments.trace:
        sys.stdout.write("\n".join(world.trace.lines()) + "\n")
    digest = world.trace.digest()[:16]
    sys.stdout.write(f"seed {world.seed}: {world.events} events, faults {dict(world.fired)}, trace {digest}\n{error}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
