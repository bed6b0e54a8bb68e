"""The result of an unattended run, for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from trimtab.model.canonical import Json, encode
from trimtab_store.up.fleet import SHOWN


def print_result(result: Mapping[str, Json], console: Console) -> None:
    """Who reads what in the end, how long changes took, what was lost."""
    bots = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("bot", "labels", "revision", SHOWN):
        bots.add_column(heading)
    for bot in _objects(result["bots"]):
        labels, reads = _object(bot["labels"]), _object(bot["reads"])
        pairs = " ".join(f"{name}={label}" for name, label in sorted(labels.items()))
        bots.add_row(str(bot["name"]), pairs, str(bot["revision"]), encode(reads[SHOWN]).decode())
    figures = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("commit to visible, ms", "p50", "p99", "max"):
        figures.add_column(heading, justify="left" if heading[0] == "c" else "right")
    for name, found in _object(result["propagation_ms"]).items():
        figures.add_row(name.replace("_", " "), *[str(figure) for figure in _object(found).values()])
    console.print(bots, "", figures, "", sep="\n")
    if result["relay_restarts"]:
        console.print(f"The relay ended by itself and was started again: {result['relay_restarts']}")
    console.print(f"{result['changes']} changes, {result['lost']} lost")


def _object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _objects(value: Json) -> Sequence[Mapping[str, Json]]:
    return [_object(one) for one in value] if isinstance(value, list) else []
