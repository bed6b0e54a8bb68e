"""Run benchmarks, each in a fresh process, and show them in one table.

    python -m benchmarks [--only NAME …] [--quick] [--json FILE]

A figure is compared only inside its own run: the machine may be shared and noisy. `--quick` takes fewer samples, to see
that everything runs. The JSON keeps what earlier runs with `--only` found of the others, each with its time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.report import Section, show

NAMES = (
    "reads",
    "attached",
    "validation",
    "gaps",
    "collector",
    "boot",
    "scale",
    "commits",
    "propagation",
    "propagation_without_redis",
    "reach",
    "templates",
    "planning",
)
RESULTS = Path(__file__).with_name("results")
FAILED = "it failed with code"


def main() -> int:
    chosen = arguments()
    results: dict[str, Any] = json.loads(chosen.json.read_text()) if chosen.only and chosen.json.exists() else {}
    about = f"{platform.platform()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"
    print(f"{about}, {time.strftime('%Y-%m-%d %H:%M')}\n", flush=True)
    failed = False
    for name in chosen.only or NAMES:
        print(f"running {name} …", file=sys.stderr, flush=True)
        load = os.getloadavg()[0]
        sections = run(name, quick=chosen.quick)
        failed = failed or any(section.skipped.startswith(FAILED) for section in sections)
        results[name] = {
            "machine": about,
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "load_before": load,
            "quick": chosen.quick,
            "sections": [section.to_dict() for section in sections],
        }
        print("\n".join(map(show, sections)), flush=True)
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(json.dumps(results, indent=1) + "\n")
    print(f"JSON: {chosen.json}")
    return 1 if failed else 0


def run(name: str, *, quick: bool) -> list[Section]:
    """One benchmark in a process of its own."""
    command = [sys.executable, "-m", f"benchmarks.{name}", *(["--quick"] if quick else [])]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
    if done.returncode != 0:
        return [Section(name, skipped=f"{FAILED} {done.returncode}")]
    return [Section.from_dict(found) for found in json.loads(done.stdout)]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=NAMES, help="run only this one (several times for several)")
    parser.add_argument("--quick", action="store_true", help="fewer samples")
    parser.add_argument("--json", type=Path, default=RESULTS / "latest.json", help="where to write the rows")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
