"""Every example of every --help, typed as it stands against the example fleet."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.integration.conftest import FLEET
from tests.support.console import Console
from tests.support.foreign_files import FREQTRADE, HUMMINGBOT
from tests.support.servers import Database
from tests.unit.test_cli_help import EXAMPLES

OWN_TESTS = ("trimtab up", "trimtab sidecar")
COMMANDS = [example for _, example in EXAMPLES if not example.startswith(OWN_TESTS)]
BEFORE = {
    "trimtab import": ["trimtab export -e production --output production.yaml"],
    "trimtab validate production.yaml": ["trimtab export -e production --output production.yaml"],
    "trimtab unset": ["trimtab set risk.global.max_leverage 2 -e production --layer mode=live -m x"],
    "trimtab env inherit": ["trimtab env create paper-eu --parent production"],
    "trimtab keys create signing-key-2.json": ["trimtab keys create signing-key.json"],
    "trimtab keys list": ["trimtab keys create signing-key.json"],
    "trimtab template put opening.yaml": ["trimtab template show strategy -e base --output opening.yaml"],
    "trimtab relay probe": ["trimtab relay --seconds 0 --heartbeat relay.alive"],
    "trimtab restore": ["trimtab backup trimtab-2026-01-05.backup"],
}
"""What an example takes for granted."""
ALSO = {"trimtab get": ["--as-of", "2100-01-01T00:00:00Z"], "trimtab watch": ["--seconds", "0"]}
ALSO["trimtab apply"] = ["--seconds", "0"]
"""What makes an example end, or see what was only just committed."""
FILES = {
    "trimtab schema put": ("momentum.json", '{"type": "object", "properties": {"window": {"type": "integer"}}}'),
    "trimtab import freqtrade": ("config.json", FREQTRADE["full"]),
    "trimtab import hummingbot": ("conf_pure_mm_1.yml", HUMMINGBOT["strategy with a template"]),
}
"""Files of other programs that an example names."""


def starting(example: str, found: dict[str, list[str]]) -> list[str]:
    return [word for beginning, words in found.items() if example.startswith(beginning) for word in words]


@pytest.mark.parametrize("example", COMMANDS)
def test_an_example_works(console: Console, example: str, empty_database: Database) -> None:
    for name, text in [given for beginning, given in FILES.items() if example.startswith(beginning)]:
        Path(name).write_text(text)
    if example.startswith(("trimtab plan", "trimtab apply", "trimtab validate config")):
        Path("config").symlink_to(FLEET)
    for command in starting(example, BEFORE):
        assert console(*shlex.split(command)[1:]).code == 0
    if example.startswith("trimtab restore"):
        console.variables(DATABASE_URL=empty_database.url, OWNER_URL=empty_database.url)
        assert console("migrate").code == 0
    said = console(*shlex.split(example)[1:], *starting(example, ALSO))
    assert said.code == 0, said
