"""Planning a tree of a thousand files: read, resolved, validated and compared with the store; beside bare parsers."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from benchmarks import fixtures, servers
from benchmarks.report import Row, Section, percentile, summarise, to_json
from trimtab.model.canonical import Json
from trimtab_store.editing import Request
from trimtab_store.files import dump_yaml, read_tree
from trimtab_store.sources import applying
from trimtab_store.sources.planning import Wanted
from trimtab_store.store import Store

FILES = 1_000
LIMIT_SECONDS = 5.0
PEER_SECONDS = 30.0
WORDS = Request(environment="", author="bench", reason="measured")
PEERS = Path(__file__).parents[1] / ".cache" / "peers" / "bin" / "python"
OMEGACONF = """
import sys, time
from pathlib import Path
from omegaconf import OmegaConf
files = sorted(Path(sys.argv[1]).iterdir())
begins = time.perf_counter()
merged = OmegaConf.unsafe_merge(*[OmegaConf.load(file) for file in files])
found = OmegaConf.to_container(merged, resolve=True)
print(time.perf_counter() - begins, len(found["bot"]))
"""
DYNACONF = """
import sys, time
from pathlib import Path
from dynaconf import Dynaconf
files = sorted(map(str, Path(sys.argv[1]).iterdir()))
begins = time.perf_counter()
found = Dynaconf(settings_files=files, merge_enabled=True).as_dict()
print(time.perf_counter() - begins, len(found["BOT"]))
"""


def document(number: int) -> dict[str, Any]:
    """A bot as `bot.<id>` wants it: 31 fields."""
    return {
        "bot_id": f"b{number:04}",
        "version": "1.0.0",
        "description": f"bot {number} of the benchmark",
        "broker": {"type": "binance_paper", "initial_balance": 10_000 + number, "commission": 0.001},
        "symbol": "BTCUSDT",
        "timeframe": "5m",
        "strategy": {
            "type": "rsi_bollinger",
            "entry_logic": {
                "name": "rsi_bollinger_entry",
                "params": {
                    "rsi_period": 14,
                    "rsi_oversold": 30,
                    "bollinger_period": 20,
                    "bollinger_deviations": 2.0,
                    "cooldown_bars": 3,
                },
            },
            "exit_logic": {
                "name": "atr_exit",
                "params": {"atr_period": 14, "atr_multiplier": 2.0, "trailing_multiplier": 3.0},
            },
        },
        "risk_management": {
            "position_size": 0.05,
            "max_open_trades": 2,
            "stop_loss_pct": 2.0,
            "take_profit_pct": 4.0,
            "max_daily_trades": 20,
            "max_daily_loss": 100,
            "max_drawdown_pct": 20.0,
        },
        "notifications": {"telegram_enabled": False, "trade_notifications": True, "performance_reports": "daily"},
        "logging": {"save_trades": True, "save_equity_curve": True, "log_file": f"logs/b{number:04}.log"},
    }


def write(directory: Path, count: int) -> None:
    """Half of the files YAML, half JSON, a document in each."""
    (directory / "base").mkdir()
    for number in range(count):
        content: Json = {"bot": {f"b{number:04}": document(number)}}
        kind, text = ("yaml", dump_yaml(content)) if number % 2 else ("json", json.dumps(content, indent=2))
        (directory / "base" / f"b{number:04}.{kind}").write_text(text)


def bare(directory: Path) -> None:
    """PyYAML's C loader and the JSON of the standard library: no check, no place in an error, no merge."""
    for file in sorted((directory / "base").iterdir()):
        if file.suffix == ".json":
            json.loads(file.read_bytes())
        else:
            yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader)


def plan(store: Store, directory: Path) -> int:
    tree = read_tree(directory, variables={}, known=store.forest())
    found = store.plan_files(tree, Wanted(words=WORDS))
    return sum(len(one.differences) for one in found.environments)


def seconds(work: Callable[[], object], rounds: int) -> Iterator[float]:
    for _ in range(rounds):
        begins = time.perf_counter()
        work()
        yield time.perf_counter() - begins


def peer(what: str, script: str, directory: Path) -> Row:
    """Seconds that a library of the peers' environment takes for the same files, in a process of its own."""
    if not PEERS.exists():
        return Row(what=what, unit="s", median=0.0, note="not run: make bench-peers installs it")
    call = [str(PEERS), "-c", script, str(directory / "base")]
    try:
        done = subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True, timeout=PEER_SECONDS)
    except subprocess.TimeoutExpired:
        return Row(what=what, unit="s", median=PEER_SECONDS, note="given up after so long")
    took, count = done.stdout.split()
    if int(count) != len(list((directory / "base").iterdir())):
        raise RuntimeError(f"it read {count} documents")
    return Row(what=what, unit="s", median=float(took), note="no validation, no store")


def measured(directory: Path, rounds: int) -> list[Row]:
    rows: list[Row] = []
    with servers.stand(redis=False) as stand, stand.store() as store:
        store.create_environment("base", author="bench", reason="measured")
        for what in ("into an empty environment", "after which nothing differs"):
            values = list(seconds(lambda: plan(store, directory), rounds))
            judged = percentile(values, 0.5)
            rows.append(summarise(f"plan {what}", "s", values, judged=judged, limit=LIMIT_SECONDS))
            if len(rows) == 1:
                tree = read_tree(directory, variables={}, known=store.forest())
                applying.apply(store, store.plan_files(tree, Wanted(words=WORDS)), lambda _: None)
        if plan(store, directory):
            raise RuntimeError("something differs after the files were applied")
    rows.append(summarise("of it: reading the files", "s", list(seconds(lambda: read_tree(directory), rounds))))
    rows.append(summarise("yaml (C) and json alone", "s", list(seconds(lambda: bare(directory), rounds))))
    return rows


def main() -> int:
    count, rounds = (100, 2) if fixtures.quick() else (FILES, 3)
    with tempfile.TemporaryDirectory(prefix="tt-plan-") as place:
        directory = Path(place)
        write(directory, count)
        rows = measured(directory, rounds)
        rows.append(peer("OmegaConf: load and merge", OMEGACONF, directory))
        rows.append(peer("dynaconf: load and merge", DYNACONF, directory))
    sys.stdout.write(to_json([Section(f"A tree of {count:,} files, half YAML, half JSON, 31 fields in each", rows)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
