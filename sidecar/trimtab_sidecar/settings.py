"""Settings of a sidecar: flags win over variables, variables over the file.

What it follows, and as whom, is what any agent is told (`trimtab.settings`), under the same names and variables; an
address that stands in a file (`TRIMTAB_REDIS_URL_FILE`) is one of these variables, and `local` names what the node
overrides for all its bots. Its own settings:

    shared      TRIMTAB_SHARED_DIRECTORY  the directory that it shares with the bots, on tmpfs
    group       TRIMTAB_SHARED_GROUP      the group that the bots belong to
    http        TRIMTAB_HTTP              where it answers, beside or instead of the socket in the shared directory
    render      TRIMTAB_RENDER            TEMPLATE:FILE, several separated by commas
    log_level   TRIMTAB_LOG_LEVEL         debug, info, warning or error
    file        TRIMTAB_SIDECAR_FILE      a TOML file with any of all these names; `keep` is an agent's directory
"""

from __future__ import annotations

import os
import shlex
import signal
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from trimtab import settings as agent_settings
from trimtab import variables
from trimtab.model import layers
from trimtab.model.errors import SettingError
from trimtab.settings import Settings

SOCKET: Final = "http.sock"
_FOLLOWED: Final = {
    "environment": "TRIMTAB_ENVIRONMENT",
    "trust": "TRIMTAB_TRUST",
    "database_url": "TRIMTAB_DATABASE_URL",
    "redis_url": "TRIMTAB_REDIS_URL",
    "keep": "TRIMTAB_AGENT_DIRECTORY",
    "labels": "TRIMTAB_LABELS",
    "local": "TRIMTAB_LOCAL",
}
_OWN: Final = {
    "shared": "TRIMTAB_SHARED_DIRECTORY",
    "group": "TRIMTAB_SHARED_GROUP",
    "http": "TRIMTAB_HTTP",
    "render": "TRIMTAB_RENDER",
    "log_level": "TRIMTAB_LOG_LEVEL",
}
_FILE: Final = "TRIMTAB_SIDECAR_FILE"
_HOOKS: Final = {"render_check": "check", "render_then": "then", "render_signal": "signal"}


class Render(BaseModel):
    """One file to render. `labels` are those of the bot that reads it, beside the sidecar's own."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    template: Path
    target: Path
    labels: Annotated[dict[str, str], Field(default_factory=dict)]
    check: str = ""
    then: str = ""
    signal: str = ""
    mode: int | None = None

    @field_validator("labels", mode="before")
    @classmethod
    def _read_labels(cls, given: object) -> object:
        return dict(layers.parse(given).labels) if isinstance(given, str) else given

    @field_validator("check", "then")
    @classmethod
    def _readable_command(cls, given: str) -> str:
        if given and not shlex.split(given):
            raise ValueError("it names no command")
        return given

    @field_validator("signal")
    @classmethod
    def _known_signal(cls, given: str) -> str:
        name, colon, pid_file = given.partition(":")
        if given and (f"SIG{name}" not in signal.Signals.__members__ or not colon or not pid_file):
            raise ValueError("it is written NAME:PIDFILE, such as HUP:/run/bot.pid")
        return given


class Own(BaseModel):
    """What only a sidecar is told."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    shared: Path
    group: str | None = None
    http: tuple[str, ...] = ()
    render: tuple[Render, ...] = ()
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("http", mode="before")
    @classmethod
    def _several(cls, given: object) -> object:
        return [one.strip() for one in given.split(",") if one.strip()] if isinstance(given, str) else given

    @field_validator("render", mode="before")
    @classmethod
    def _read_renders(cls, given: object) -> object:
        if isinstance(given, str):
            return [_render(one) for one in given.split(",")]
        return [_render(one) for one in cast("list[object]", given)] if isinstance(given, list) else given

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it answers: the socket in the shared directory unless another one is named, and all that is."""
        if any(one.startswith("unix:") for one in self.http):
            return self.http
        return (f"unix:{self.shared.absolute() / SOCKET}", *self.http)


@dataclass(frozen=True, slots=True)
class SidecarSettings:
    """What a sidecar follows, and what it is told besides."""

    follow: Settings
    own: Own


def read(flags: Mapping[str, Any]) -> SidecarSettings:
    """Settings from flags (only those that were given), variables and the file; raises `SettingError`."""
    file = flags.get("file") or (Path(os.environ[_FILE]) if os.environ.get(_FILE) else None)
    stored = {} if file is None else _stored(file)
    followed: dict[str, Any] = {}
    for name, variable in _FOLLOWED.items():
        argument = "directory" if name == "keep" else name
        if name in flags:
            followed[argument] = flags[name]
        elif name in stored and not variables.is_given(variable):
            followed[argument] = stored[name]
    own: dict[str, Any] = {}
    for name, variable in _OWN.items():
        found = flags.get(name, os.environ.get(variable) or stored.get(name))
        if found is not None:
            own[name] = found
    hooks = {name: flags[flag] for flag, name in _HOOKS.items() if flag in flags}
    return SidecarSettings(agent_settings.read(followed), _own(own, hooks))


def _own(given: Mapping[str, Any], hooks: Mapping[str, str]) -> Own:
    try:
        own = Own.model_validate(given)
        if hooks:
            renders = [Render.model_validate({**one.model_dump(), **hooks}) for one in own.render]
            own = own.model_copy(update={"render": tuple(renders)})
    except ValidationError as error:
        raise _refused(error) from None  # what was given may be a password
    if hooks and not own.render:
        raise SettingError("--render-check, --render-then and --render-signal go with --render", "", "Add --render")
    return own


def _stored(file: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(file.read_text())
    except OSError as error:
        raise SettingError(f"The file {file} cannot be read", error.strerror or "", "Correct --file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"The file {file} is not TOML", str(error), "Correct it") from error
    for name in content:
        if name not in _FOLLOWED and name not in _OWN:
            known = ", ".join(sorted({*_FOLLOWED, *_OWN}))
            raise SettingError(f"{name} in {file} is refused", "no setting has this name", f"There are: {known}")
    return content


def _render(given: object) -> object:
    if not isinstance(given, str):
        return given
    template, colon, target = given.partition(":")
    if not colon or not template or not target:
        raise ValueError("it is written TEMPLATE:FILE")
    return {"template": template, "target": target}


def _refused(error: ValidationError) -> SettingError:
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    name = ".".join(str(one) for one in first["loc"]) or "setting"
    top = str(first["loc"][0]) if first["loc"] else ""
    variable = _OWN.get(top, "")
    if first["type"] == "missing" and top == "shared":
        why = "the bots of this node find the sidecar by it"
        return SettingError("No shared directory is named", why, f"Add --shared DIR, or set {variable}")
    remedy = f"Correct --{top.replace('_', '-')} or {variable}" if variable else "Correct it"
    return SettingError(f"{name} is refused", first["msg"].removeprefix("Value error, "), remedy)
