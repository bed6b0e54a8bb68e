"""Instances of templates: ours beside Jinja2 with YAML, and a deep copy with pydantic, in the same run.

    python -m benchmarks --only templates

Every alternative makes the same documents from the same parameters, which is checked before anything is timed. Ours
checks the parameters too (types, bounds, conditions); the others do only what their name says.
"""

from __future__ import annotations

import copy
import re
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import jinja2
import yaml

from benchmarks.report import Row, Section, percentile, to_json
from benchmarks.timing import Batch, interleave
from trimtab import categories
from trimtab.categories import MODELS
from trimtab.model.documents import KNOWN
from trimtab_store.files.yaml_core import load_yaml
from trimtab_store.files.yaml_writer import dump_yaml
from trimtab_store.templates import Template, Templates, built_in, definition

QUICK: Final = "--quick" in sys.argv
ROUNDS: Final = 20 if QUICK else 200
INSTANCES: Final = 50
"""Of one batch."""
MAX_MICROSECONDS: Final = 1_000.0
MIN_PER_SECOND: Final = 1_000.0
CASES: Final[Mapping[str, dict[str, Any]]] = {
    "bot_scalper_live": {"id": "scalper-1", "position_size": 0.03, "stop_loss_pct": 0.8},
    "strategy_market_maker": {"id": "mm-1", "size": 1500, "max_risk": 1600},
    "risk_moderate": {"max_position_size": 2000, "daily_loss_limit": 700},
    "data_binance": {"interval": "5m", "lookback_bars": 500},
}
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_ALONE: Final = re.compile(r'"<([a-z][a-z0-9_]*)>"')
_INSIDE: Final = re.compile(r"<([a-z][a-z0-9_]*)>")


def main() -> int:
    sections = [case(name, given) for name, given in CASES.items()] + [reading()]
    sys.stdout.write(to_json(sections))
    return 0


def case(name: str, given: dict[str, Any]) -> Section:
    template = Templates()[name]
    made = {
        "ours, parameters and documents checked": lambda: template.instance(given, check=categories.check).documents,
        "ours, parameters checked": lambda: template.instance(given).documents,
        "Jinja2, then YAML (libyaml)": jinja(template, given),
        "Jinja2, then YAML (libyaml), then pydantic": validated(jinja(template, given)),
        "copy.deepcopy, then pydantic": validated(copying(template, given)),
        "copy.deepcopy alone": copying(template, given),
    }
    expected = template.instance(given).documents
    for what, make in made.items():
        if make() != expected:
            raise RuntimeError(f"{what} makes other documents of {name}")
    found = interleave({what: batch(make) for what, make in made.items()}, ROUNDS)
    return Section(f"One instance of {name}, {len(expected)} document(s)", rows(found))


def rows(found: Mapping[str, list[float]]) -> list[Row]:
    ours, *_ = found
    standard = statistics.median(found[ours])
    listed = [
        Row(
            what=what,
            unit="µs",
            median=statistics.median(values),
            p99=percentile(values, 0.99),
            ratio=statistics.median(values) / standard,
            against="ours",
            limit=MAX_MICROSECONDS if what == ours else None,
            judged=percentile(values, 0.99) if what == ours else None,
        )
        for what, values in found.items()
    ]
    rate = 1e6 / standard
    listed.append(Row(what="ours, in a second", unit="", median=rate, limit=MIN_PER_SECOND, judged=rate, at_least=True))
    return listed


def reading() -> Section:
    """What it costs to read the definitions: once for each process that asks for them."""
    texts = {name: file.read_bytes() for name, file in built_in.files().items()}
    found: list[float] = []
    for _ in range(3 if QUICK else 10):
        begins = time.perf_counter()
        for name, text in texts.items():
            definition.read(load_yaml(text, name=name), name)
        found.append((time.perf_counter() - begins) * 1e3)
    all_of_them = Row(what=f"all {len(texts)}", unit="ms", median=statistics.median(found), p99=max(found))
    one = Row(what="one", unit="ms", median=statistics.median(found) / len(texts))
    return Section("Reading and checking definitions", [all_of_them, one])


def batch(make: Callable[[], object]) -> Batch:
    """Microseconds for one instance."""

    def run() -> float:
        begins = time.perf_counter_ns()
        for _ in range(INSTANCES):
            make()
        return (time.perf_counter_ns() - begins) / INSTANCES / 1e3

    return run


def jinja(template: Template, given: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """The same template as people write it for Jinja2: YAML with holes."""
    documents: Any = template.definition["documents"]
    text = _INSIDE.sub(r"{{ \1 }}", _ALONE.sub(r"{{ \1 | tojson }}", _without_optional(template, dump_yaml(documents))))
    compiled = jinja2.Environment(autoescape=False, undefined=jinja2.StrictUndefined).from_string(text)  # noqa: S701 - YAML, not HTML
    values = {**template.defaults, **given}
    return lambda: yaml.load(compiled.render(values), Loader=_LOADER)  # noqa: S506 - a safe loader


def _without_optional(template: Template, text: str) -> str:
    """The lines without those of optional parameters, which nobody gives here; keys with places in plain style."""
    lines = [line for line in text.splitlines() if not any(f'"<{name}>"' in line for name in template.optional)]
    plain = [re.sub(r'^"([a-z_.]*<[a-z]+>[a-z_.]*)":', r"\1:", line) for line in lines]
    return "\n".join(plain) + "\n"


def copying(template: Template, given: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """A made instance as the master copy: what copying costs at least, since nothing is changed in the copy."""
    master = dict(template.instance(given).documents)
    return lambda: copy.deepcopy(master)


def validated(make: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    def run() -> dict[str, Any]:
        made = make()
        for path, value in made.items():
            kind = KNOWN.type_of(path)
            if kind is not None:
                MODELS[kind].model_validate(value)
        return made

    return run


if __name__ == "__main__":
    sys.exit(main())
