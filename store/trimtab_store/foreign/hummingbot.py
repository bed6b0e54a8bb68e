"""Hummingbot: many YAML files for one bot, each of a kind that its fields give away.

    client        conf/conf_client.yml
    strategy      conf/strategies/*.yml        of the first generation, with or without a template_version
    script        conf/scripts/*.yml           script_file_name
    controller    conf/controllers/*.yml       controller_name
    connector     conf/connectors/*.yml        the keys of one exchange
    fees, logs    conf/conf_fee_overrides.yml, conf/hummingbot_logs.yml

What has a template_version hummingbot reads by YAML 1.2, everything else by YAML 1.1.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from trimtab.model import paths
from trimtab_store.files.yaml_core import load_yaml
from trimtab_store.foreign import yaml_older
from trimtab_store.foreign.homes import Home, has, is_id

if TYPE_CHECKING:
    from trimtab.model.canonical import Json

Segments: TypeAlias = "tuple[str, ...]"
Kind: TypeAlias = Literal["client", "strategy", "script", "controller", "connector", "fees", "logs", "other"]

_VERSION: Final = "template_version"
_NAMES: Final[dict[str, str]] = {
    "strategy": "strategy",
    "script": "script_file_name",
    "controller": "controller_name",
}
"""Where each kind says what runs."""
_EXCHANGES: Final = ("connector_name", "exchange", "derivative", "connector")
_OF_THE_FILE: Final = frozenset({_VERSION, "id", "controller_type", "controllers_config"})
"""What is about the file and not about trading."""
_CLIENT: Final = frozenset({"instance_id", "kill_switch_mode", "autofill_import", "mqtt_bridge", "rate_oracle_source"})
_PUBLIC: Final = frozenset({"connector", "domain", "mode"})
_IDENTITY: Final = re.compile(r"(^|_)(uid|memo|user_id|account_id|account_name|sub_id|\w*address|public_key)$")


def read(text: bytes, name: str) -> Json:
    """The value of a file, as the reader that hummingbot uses for it understands it; raises `FileRefused`."""
    found = load_yaml(text, name=name)
    if isinstance(found, dict) and _VERSION in found:
        return found
    return yaml_older.load(text, name=name)


def kind(content: dict[str, Json]) -> Kind:
    """Which of its files it is."""
    for one, field in (("controller", "controller_name"), ("script", "script_file_name"), ("strategy", "strategy")):
        if field in content:
            return one  # type: ignore[return-value]  # each is one of them
    if "handlers" in content and "formatters" in content:
        return "logs"
    if _VERSION in content:
        return "fees"
    if _CLIENT & content.keys():
        return "client"
    flat = not any(isinstance(one, dict) for one in content.values())
    return "connector" if isinstance(content.get("connector"), str) and flat else "other"


def is_secret(content: dict[str, Json], place: Segments) -> bool:
    """Whether hummingbot keeps a secret there, beside what names give away: who somebody is at an exchange."""
    if len(place) != 1 or kind(content) != "connector" or place[0] in _PUBLIC:
        return False
    name = place[0]
    return name.endswith(("_key", "_secret", "_phrase")) or bool(_IDENTITY.search(name))


def homes(content: dict[str, Json], bot: str, strategy: str) -> list[Home]:
    """What goes where; nothing is proposed that the file does not hold."""
    overlay, which = f"bot={bot}", kind(content)
    if which in _NAMES:
        return _strategy(content, _NAMES[which], paths.join(("strategy", strategy or _usual(content, bot))))
    if which == "connector":
        return _credentials(content, overlay)
    places = [
        (("log_level",), "logging.level"),
        (("telegram_mode", "telegram_token"), "notifications.telegram_token"),
        (("telegram_mode", "telegram_chat_id"), "notifications.telegram_chat_id"),
    ]
    return [Home(at=one, path=path, layer=overlay) for one, path in places if which == "client" and has(content, one)]


def _usual(content: dict[str, Json], bot: str) -> str:
    """A bot runs one strategy or script, and any number of controllers."""
    own = content.get("id")
    return f"{bot}-{own}" if kind(content) == "controller" and is_id(own) else bot


def _strategy(content: dict[str, Json], name: str, place: str) -> list[Home]:
    found: list[Home] = []
    if isinstance(content[name], str):
        found.append(Home(at=(name,), path=f"{place}.name"))
    exchange = next((one for one in _EXCHANGES if is_id(content.get(one))), "")
    if exchange:
        found.append(Home(at=(exchange,), path=f"{place}.exchange"))
    others = tuple(sorted(content.keys() - _OF_THE_FILE - {name, exchange}))
    if others:
        found.append(Home(at=(), path=f"{place}.parameters", keys=others))
    return found


def _credentials(content: dict[str, Json], overlay: str) -> list[Home]:
    exchange = content["connector"]
    if not is_id(exchange):
        return []
    place = paths.join(("exchange", exchange, "credentials"))
    return [
        Home(at=(one,), path=paths.child(place, one), layer=overlay)
        for one, value in content.items()
        if one not in _PUBLIC and isinstance(value, str) and value
    ]
