from __future__ import annotations

from pathlib import Path

import pytest

from trimtab import override
from trimtab.model.errors import SettingError
from trimtab.model.overriding import MAX_OVERRIDES
from trimtab.model.views import empty


def paths_of(file: Path) -> dict[str, object]:
    _, told = override.read(file).over(empty({}))
    return {one.path: one.value for one in told}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("local.json", '{"risk": {"global": {"max_leverage": 1.5}}, "bot": {"x.y": {"symbols": ["A"]}}}'),
        ("local.toml", 'risk.global.max_leverage = 1.5\n[bot."x.y"]\nsymbols = ["A"]\n'),
    ],
)
def test_a_file_of_overrides_is_json_or_toml(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert paths_of(tmp_path / name) == {"risk.global.max_leverage": 1.5, 'bot."x.y".symbols': ("A",)}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("missing.json", None),
        ("local.json", b"[1]"),
        ("local.json", b'{"a": 1, "a": 2}'),
        ("local.json", b"risk: 1"),
        ("local.json", b"\xff\xfe{\x00}\x00"),
        ("local.json", b" " * (override.MAX_BYTES + 1)),
        ("local.toml", b"a = [1"),
        ("local.toml", b"\xff"),
        ("local.toml", b"risk.at = 2026-01-05\n"),
        ("local.toml", b"risk.x = inf\n"),
        ("local.json", b'{"a": {' + b",".join(b'"x%d": 1' % n for n in range(MAX_OVERRIDES + 1)) + b"}}"),
    ],
)
def test_any_other_file_is_refused_naming_it(tmp_path: Path, name: str, content: bytes | None) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingError, match="local overrides") as caught:
        override.read(file)
    assert str(file) in caught.value.what
    assert caught.value.why
    assert "TOML" in caught.value.remedy
