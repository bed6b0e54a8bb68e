"""Settings: how an agent is told what to follow, by arguments or by `TRIMTAB_…` variables; arguments win.

    TRIMTAB_ENVIRONMENT       the environment; there is no default
    TRIMTAB_TRUST             the file with the writers' public keys
    TRIMTAB_DATABASE_URL      postgresql://…
    TRIMTAB_REDIS_URL         redis://…, optional; both addresses may stand in files: TRIMTAB_REDIS_URL_FILE=/run/…
    TRIMTAB_AGENT_DIRECTORY   what this one agent keeps for its next start, optional
    TRIMTAB_LABELS            identity labels: node=a,bot=mm-btc
    TRIMTAB_REQUIRE           labels that must hold: mode=paper
    TRIMTAB_TIMEOUT           seconds that `connect` may take
    TRIMTAB_HOLD              binding or all
    TRIMTAB_LOCAL             a file of local overrides, JSON or TOML, optional
    TRIMTAB_UNDERSTANDS       the newest versions of schemas that this code reads: strategy_params=2,signals=1

`TRIMTAB_DIRECTORY` is something else: the data directory of `trimtab up` with servers, keys and journals in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from trimtab import variables
from trimtab.model import layers
from trimtab.model.errors import SettingError
from trimtab.model.statements import Trust

_PREFIX: Final = "TRIMTAB_"
_ADDRESSES: Final = ("database_url", "redis_url")


class Settings(BaseSettings):
    """What one agent follows, and as whom. Addresses may hold passwords and stay out of `repr`."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True
    )

    environment: Annotated[str, Field(min_length=1)]
    trust: Trust | Path
    database_url: SecretStr | None = None
    redis_url: SecretStr | None = None
    directory: Annotated[Path | None, Field(validation_alias=f"{_PREFIX}AGENT_DIRECTORY")] = None
    labels: Annotated[dict[str, str], NoDecode] = Field(default_factory=dict)
    require: Annotated[dict[str, str], NoDecode] = Field(default_factory=dict)
    timeout: Annotated[float, Field(gt=0, le=3600)] = 10.0
    hold: Literal["binding", "all"] = "binding"
    local: Path | None = None
    understands: Annotated[dict[str, Annotated[int, Field(ge=1)]], NoDecode] = Field(default_factory=dict)

    @field_validator("labels", "require", mode="before")
    @classmethod
    def _read_labels(cls, given: object) -> object:
        return dict(layers.parse(given).labels) if isinstance(given, str) else given

    @field_validator("understands", mode="before")
    @classmethod
    def _read_versions(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        return {name.strip(): version for name, _, version in (one.partition("=") for one in given.split(",") if one)}

    @field_validator("directory", "database_url", "redis_url", "local", mode="before")
    @classmethod
    def _empty_is_none(cls, given: object) -> object:
        return None if given == "" else given

    @property
    def trusted(self) -> Trust:
        """The keys that are trusted; raises `SettingError` or `FilesRefused` for a file that does not tell."""
        if isinstance(self.trust, Trust):
            return self.trust
        try:
            content = self.trust.read_bytes()
        except OSError as error:
            raise SettingError(
                f"The trust file {self.trust} cannot be read",
                error.strerror or type(error).__name__,
                "Copy trust.json from the writer's machine; `trimtab up` keeps it in its data directory",
            ) from error
        return Trust.from_bytes(content)


def read(arguments: Mapping[str, Any]) -> Settings:
    """Settings from arguments (None means not given) and variables; raises `SettingError` or `LayerError`."""
    given = {name: value for name, value in arguments.items() if value is not None}
    if "directory" in given:
        given[f"{_PREFIX}AGENT_DIRECTORY"] = given.pop("directory")
    for name in _ADDRESSES:
        if name not in given and (address := variables.secret(f"{_PREFIX}{name.upper()}")) is not None:
            given[name] = address
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise _refused(error) from None  # what was given may be a password
    layers.check_identity(settings.labels)
    for dimension, label in settings.require.items():
        layers.check_label(dimension, label)
    return settings


def _refused(error: ValidationError) -> SettingError:
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    name = str(first["loc"][0]) if first["loc"] else "setting"
    name = name.removeprefix(_PREFIX).lower()
    variable = _PREFIX + {"directory": "AGENT_DIRECTORY"}.get(name, name.upper())
    argument = "directory" if name == "agent_directory" else name
    if first["type"] == "missing":
        nearby = " (it is never production by default)" if argument == "environment" else ""
        why = f"an agent cannot be without it{nearby}"
        return SettingError(f"{argument} is not given", why, f"Pass {argument}=… or set {variable}")
    return SettingError(f"{argument} is refused", first["msg"], f"Correct {argument}=… or {variable}")
