"""The template that a sidecar renders a bot's file with: self-contained, for one file or for a bot's only one."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from trimtab_store.foreign.projects import Project

_BOT: Final = "{%- set bot = labels.bot -%}"
_FILE: Final = "{%- set file = none -%}"
_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ._-/+:@")


def template(project: Project, file: str = "") -> str:
    """The text of the template; without a file it renders the only file of the bot that the labels name.

    The bot is `labels.bot`: give the sidecar `labels = "bot=…"` for the target, so that it also sees its overlays.
    """
    text = files("trimtab_store.foreign.rendering").joinpath(project.template).read_text(encoding="utf-8")
    return text.replace(_FILE, f"{{%- set file = {_quoted(file)} -%}}") if file else text


def _quoted(text: str) -> str:
    """A string as Jinja reads it."""
    return '"' + "".join(c if c in _PLAIN else f"\\U{ord(c):08x}" for c in text) + '"'
