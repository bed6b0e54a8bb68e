"""Logs: one JSON object a line on standard error, by structlog, whoever speaks; passwords are struck out of all of it.

Values of the configuration are never logged: no call here is given one, and what libraries say of requests stays out.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, TextIO, cast
from urllib.parse import unquote, urlsplit

import structlog
from structlog.typing import EventDict, Processor

STRUCK: Final = "***"
_KEYWORD: Final = re.compile(r"password\s*=\s*('(?:[^'\\]|\\.)*'|\S+)")

LOGGER: Final = cast(
    "structlog.stdlib.BoundLogger",
    structlog.wrap_logger(
        logging.getLogger("trimtab_sidecar"),
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    ),
)
"""The sidecar's own logger: an event's name, then what belongs to it as keywords."""


def configure(stream: TextIO, level: str, addresses: Iterable[str]) -> logging.Handler:
    """Send everything that this process logs to a stream. Passwords in `addresses` never appear in it."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(addresses))
    root = logging.getLogger()
    for other in list(root.handlers):
        root.removeHandler(other)
    root.addHandler(handler)
    root.setLevel(level.upper())
    return handler


def formatter(addresses: Iterable[str]) -> logging.Formatter:
    """What turns a record into its line."""
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    return structlog.stdlib.ProcessorFormatter(
        processors=[
            *shared,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            Striking(secrets_of(addresses)),
            structlog.processors.JSONRenderer(),
        ],
    )


def secrets_of(addresses: Iterable[str]) -> list[str]:
    """The passwords in addresses, as written and as meant; the longest first."""
    found: set[str] = set()
    for address in addresses:
        written = urlsplit(address).password if "://" in address else None
        if written:
            found |= {written, unquote(written)}
        found |= {match.strip("'") for match in _KEYWORD.findall(address)}
    return sorted(found - {""}, key=len, reverse=True)


class Striking:
    """A processor that strikes secrets out of every text of an event, at any depth."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(secrets)

    def __call__(self, _logger: Any, _method: str, event: EventDict) -> Mapping[str, Any]:
        """The event without them."""
        return {name: self._strike(value) for name, value in event.items()}

    def _strike(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {self._strike(name): self._strike(one) for name, one in value.items()}  # pyright: ignore[reportUnknownVariableType] - of anything
        if isinstance(value, list | tuple | set | frozenset):
            return [self._strike(one) for one in cast("Iterable[Any]", value)]
        if value is None or isinstance(value, bool | int | float):
            return value
        text = str(value)
        for secret in self._secrets:
            text = text.replace(secret, STRUCK)
        return text
