"""Projects: what is known of the files of each bot program."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

from trimtab.model.errors import UsageError, nearest
from trimtab_store.foreign import freqtrade, hummingbot
from trimtab_store.foreign.homes import Home

if TYPE_CHECKING:
    from trimtab.model.canonical import Json

Segments: TypeAlias = "tuple[str, ...]"
Content: TypeAlias = "dict[str, Json]"


@dataclass(frozen=True, slots=True)
class Project:
    """One bot program.

    `read` makes the value of a file of its bytes. `homes` proposes what goes where, given the content, the bot, and the
    strategy that its parameters go to (empty for the usual one); a proposal that a category refuses is not followed.
    `is_secret` knows the secrets that no name gives away. `template` is a file in `rendering/`.
    """

    name: str
    read: Callable[[bytes, str], Json]
    homes: Callable[[Content, str, str], list[Home]]
    is_secret: Callable[[Content, Segments], bool]
    template: str


PROJECTS: Final[Mapping[str, Project]] = MappingProxyType(
    {
        "freqtrade": Project("freqtrade", freqtrade.read, freqtrade.homes, freqtrade.is_secret, "freqtrade.json.j2"),
        "hummingbot": Project(
            "hummingbot", hummingbot.read, hummingbot.homes, hummingbot.is_secret, "hummingbot.yml.j2"
        ),
    }
)


def project(name: str) -> Project:
    """The project of that name; raises `UsageError`."""
    found = PROJECTS.get(name)
    if found is None:
        raise UsageError(
            f"Nothing is known of {name[:40]!r}", "", nearest(name, PROJECTS) or f"Known are {', '.join(PROJECTS)}"
        )
    return found
