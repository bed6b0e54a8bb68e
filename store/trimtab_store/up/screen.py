"""What `trimtab up` shows while it runs: a table of bots, the last changes, and what to type."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from trimtab.model.canonical import Json, encode
from trimtab_store.cli.output import harmless
from trimtab_store.up.fleet import Bot

KEPT: Final = 6
LABELS: Final = ("mode", "region")
"""The labels that decide what the shown paths read; more would not fit into 80 columns."""
_STYLES: Final = {"LIVE": "green", "DEGRADED": "yellow"}
_END: Final = "Ctrl-C stops everything; the data stay."


class Screen:
    """The state of the display; `tell` and `changed` may be called from any thread."""

    def __init__(self, reads: Mapping[str, str]) -> None:
        """`reads` are the paths that are shown, each with its heading."""
        self._reads = dict(reads)
        self._delays: dict[str, float] = {}
        self.news: deque[str] = deque(maxlen=KEPT)
        self.told = 0

    def tell(self, line: str) -> None:
        """Show a line below the table."""
        self.news.append(f"{time.strftime('%H:%M:%S')}  {harmless(line)}")
        self.told += 1

    def changed(self, bot: Bot, revision: int, what: str, milliseconds: float) -> None:
        """A bot shows a revision for the first time, this long after its commit."""
        self._delays[bot.name] = milliseconds
        self.tell(f"{bot.name} shows revision {revision}, {milliseconds:.1f} ms after its commit ({what})")

    def render(self, bots: Sequence[Bot]) -> RenderableType:
        """The whole picture."""
        news = Text("\n".join(self.news) or "Nothing has changed yet.", style="dim", no_wrap=True, overflow="ellipsis")
        ended = [Text(f"{bot.name} has ended; its log is {bot.log}", style="red") for bot in bots if not bot.running]
        return Group(self.table(bots), *ended, Text(), news, Text(), Text(_END))

    def table(self, bots: Sequence[Bot]) -> Table:
        """What every bot reads, at which revision, and how soon after the commit."""
        table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
        for heading in ("bot", "labels", "status", "revision", *self._reads.values(), "commit to\nvisible"):
            table.add_column(heading, overflow="fold")
        for bot in bots:
            table.add_row(*self._row(bot))
        return table

    def _row(self, bot: Bot) -> list[str | Text]:
        if not bot.running:
            return [bot.name, "", Text("ended", style="red")]
        if not bot.said:
            return [bot.name, "", Text("starting", style="yellow")]
        status = str(bot.said.get("status"))
        delay = self._delays.get(bot.name)
        return [
            bot.name,
            harmless(_pairs(bot.said.get("labels"))),
            Text(status, style=_STYLES.get(status, "red")),
            str(bot.revision),
            *[harmless(encode(bot.reads.get(path)).decode()) for path in self._reads],
            "" if delay is None else f"{delay:.1f} ms",
        ]


def print_hint(commands: Sequence[str], console: Console) -> None:
    """What to type. Printed once and never folded by us, so that it can be copied whole."""
    console.print(f"\nIn a second terminal, in {Path.cwd()}, type for example:\n", soft_wrap=True)
    for command in commands:
        console.print(Text(command, style="bold"), soft_wrap=True)
    console.print()


@contextlib.contextmanager
def showing(screen: Screen, bots: Sequence[Bot], console: Console) -> Generator[Callable[[], None]]:
    """Keep the picture on a terminal up to date: call what is given again and again. Elsewhere, lines as news come."""
    if not console.is_terminal:
        console.print(screen.render(bots))
        yield _Lines(screen, console).refresh
        return
    with Live(screen.render(bots), console=console, auto_refresh=False) as live:

        def refresh() -> None:
            live.update(screen.render(bots), refresh=True)

        yield refresh
        refresh()


class _Lines:
    """News as lines, for a file or a pipe."""

    def __init__(self, screen: Screen, console: Console) -> None:
        self._screen, self._console = screen, console
        self._printed = screen.told

    def refresh(self) -> None:
        """Print what is new."""
        new = min(self._screen.told - self._printed, len(self._screen.news))
        self._printed = self._screen.told
        for line in list(self._screen.news)[len(self._screen.news) - new :]:
            self._console.print(line)


def _pairs(labels: Json) -> str:
    found = labels if isinstance(labels, Mapping) else {}
    return " ".join(f"{name}={found[name]}" for name in LABELS if name in found)
