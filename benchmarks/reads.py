"""What one read costs, beside a dict, other maps and other ways to write the same interface."""

from __future__ import annotations

import sys
from types import MappingProxyType

import immutables
from pydantic import BaseModel

from benchmarks import fixtures, timing, typed
from benchmarks.report import Section, to_json
from trimtab import Agent

ITEMS = 10_000


class Document(BaseModel, frozen=True):
    field_0: float
    field_1: str


class Holder:
    """The least that a holder of a model can be: one attribute of a slotted object."""

    __slots__ = ("current",)

    def __init__(self, current: Document) -> None:
        self.current = current


class PythonReader:
    """What `agent[path]` would cost as a Python method."""

    def __init__(self, values: dict[str, object]) -> None:
        self._values = values

    def __getitem__(self, path: str) -> object:
        return self._values[path]


def by_path(agent: Agent, rounds: int) -> Section:
    asked = fixtures.some_path(ITEMS)
    with agent.pinned() as pinned:
        plain: dict[str, object] = dict(pinned.items())
        path = next(key for key in plain if key == asked)
        if not agent[path] == agent[asked] == plain[path] == pinned[path] == 2.5:
            raise AssertionError("they do not read the same")
        found = timing.interleave(
            {
                "dict": timing.reading_loop(plain, path),
                "agent[path]": timing.reading_loop(agent, path),
                "pinned view": timing.reading_loop(pinned, path),
                "dict, path built by the bot": timing.reading_loop(plain, asked),
                "agent[path], path built by the bot": timing.reading_loop(agent, asked),
                "MappingProxyType": timing.reading_loop(MappingProxyType(plain), path),
                "immutables.Map": timing.reading_loop(immutables.Map(plain), path),
                "a Python method over a dict": timing.reading_loop(PythonReader(plain), path),
            },
            rounds,
        )
    limits = {"agent[path]": 2.0, "pinned view": 1.5}
    return Section("Read by path, in process, 10,000 items", timing.rows(found, "dict", limits))


def bound(agent: Agent, rounds: int) -> Section:
    binding = agent.bind(fixtures.some_path(ITEMS).rpartition(".")[0], Document)
    model = Document(field_0=2.5, field_1="BTC-USD")
    found = timing.interleave(
        {
            "bare frozen model": timing.field_loop(model),
            "binding.current": timing.current_field_loop(binding),
            "any slotted object that holds it": timing.current_field_loop(Holder(model)),
        },
        rounds,
    )
    rows = timing.rows(found, "bare frozen model", {"binding.current": 3.0})
    return Section("Read of a bound field, in process", rows)


def main() -> int:
    rounds = 1_000 if fixtures.quick() else 20_000
    with fixtures.agent(ITEMS, typed.DOCUMENTS) as agent:
        sections = [by_path(agent, rounds), bound(agent, rounds), typed.section(agent, "in process", rounds)]
    sys.stdout.write(to_json(sections))
    return 0


if __name__ == "__main__":
    sys.exit(main())
