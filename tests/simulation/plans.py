"""What writers want: random edits over a small vocabulary in which no two layers can contradict each other."""

from __future__ import annotations

from random import Random

from tests.simulation.image import Plan
from tests.simulation.reader import REFUSED_PATH, REFUSED_VALUE
from trimtab.model.changes import StructureEdit
from trimtab.model.items import LeafEdit

LEAVES = (
    REFUSED_PATH,
    "risk.global.max_loss",
    "risk.limits.btc",
    "strategy.mm.size",
    "strategy.mm.pairs",
    "trading.size",
)
OBJECTS = ("risk.limits", "strategy.extra")
HIDDEN = ("risk.global", "strategy.mm", "trading.size", "risk")
LAYERS = ("", "", "", "mode=live", "mode=paper", "region=ny4", "bot=b1", "mode=live,region=ny4", "strategy=mm")
VALUES = (b"1", b"2", b"3", b"2.5", b'"a"', b"true", b"null", b"[1,2]")
ENVIRONMENTS = ("base", "production", "production", "eu", "paper")


class Plans:
    """A source of plans. Every plan has a name of its own, so that no two changes have the same bytes."""

    def __init__(self, rng: Random) -> None:
        self._rng, self._number = rng, 0

    def edit(self, environments: tuple[str, ...], *, urgent: bool = False) -> Plan:
        """One to four edits; now and then one so long that it does not travel inside its announcement."""
        rng = self._rng
        edits = {(edit.layer, edit.path): edit for edit in (self._edit() for _ in range(rng.randint(1, 4)))}
        if rng.random() < 0.1:
            edits["", "trading.note"] = LeafEdit("", "trading.note", "put", b'"%s"' % (b"x" * 700))
        environment = rng.choice([name for name in ENVIRONMENTS if name in environments])
        return Plan(environment, tuple(edits.values()), urgent=urgent, note=self._name())

    def put(self, environment: str, path: str, content: bytes | None, *, layer: str = "", urgent: bool = False) -> Plan:
        """One edit; without content the item is removed."""
        edit = LeafEdit(layer, path, "remove" if content is None else "put", content)
        return Plan(environment, (edit,), urgent=urgent, note=self._name())

    def label(self, environment: str, bot: str, mode: str) -> Plan:
        """A bot's mode."""
        return self.put(environment, f"fleet.bots.{bot}.labels.mode", b'"%s"' % mode.encode())

    def first(self) -> Plan:
        """What a store begins with."""
        edits = [LeafEdit("", path, "put", b"1") for path in LEAVES]
        edits += [LeafEdit("mode=live", path, "put", b"2") for path in LEAVES[:2]]
        edits += [LeafEdit("", f"fleet.bots.b{n}.labels.mode", "put", b'"paper"') for n in (1, 2, 3)]
        return Plan("base", tuple(edits), note=self._name())

    def structure(self, environment: str, parent: str | None) -> Plan:
        """An environment created or re-parented."""
        return Plan(environment, structure=StructureEdit(environment, parent), note=self._name())

    def refused(self, *, urgent: bool = False) -> Plan:
        """The value that a binding's model refuses."""
        return self.put("base", REFUSED_PATH, str(REFUSED_VALUE).encode(), urgent=urgent)

    def _edit(self) -> LeafEdit:
        rng = self._rng
        layer, dice = rng.choice(LAYERS), rng.random()
        if dice < 0.65:
            return LeafEdit(layer, rng.choice(LEAVES), "put", rng.choice(VALUES))
        if dice < 0.75:
            return LeafEdit(layer, rng.choice(OBJECTS), "put", b"{}")
        if dice < 0.85:
            return LeafEdit(layer, rng.choice(HIDDEN), "hide")
        return LeafEdit(layer, rng.choice((*LEAVES, *OBJECTS, *HIDDEN)), "remove")

    def _name(self) -> str:
        self._number += 1
        return f"plan {self._number}"
