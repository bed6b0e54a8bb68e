"""Rendered files: what a template may do, when a file is replaced, and what is said of what fails."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from jinja2 import Environment

from tests.support.sidecar import running, until
from tests.support.world import World, world
from trimtab.model import views
from trimtab.model.errors import LayerError, SettingError, ValidationError
from trimtab.model.links import Position
from trimtab.model.views import View
from trimtab_sidecar.rendering import commands, renders, templates
from trimtab_sidecar.rendering.templates import Template
from trimtab_sidecar.running import Sidecar

SECRET = "s3cr3t-value"


@pytest.fixture
def made() -> Iterator[World]:
    with world() as found:
        found.commit(
            {
                "fleet.bots.mm.labels.mode": "live",
                "risk.limits": {"items": 1, "get": {"deep": None}, "a.b": [1, {"x": 2}]},
                "empty": {},
                "secret": SECRET,
            }
        )
        found.commit({"risk.global.max_leverage": 2.0}, layer="mode=live")
        found.sign()  # so that a sidecar begins with this
        yield found


@pytest.fixture
def view(made: World) -> View:
    return views.build(made.state, {"bot": "mm", "mode": "live"})


@pytest.fixture
def rendered(view: View, tmp_path: Path) -> Callable[[str], str]:
    def render(source: str) -> str:
        (tmp_path / "t.j2").write_text(source)
        return Template(tmp_path / "t.j2").render("production", Position(1, 3), view).decode()

    return render


# -- templates ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ config.risk.global.max_leverage }}\n", "2.0\n"),
        ("{{ config.risk.limits.items }} {{ config.risk.limits.get.deep }}", "1 None"),
        ('{{ config.risk.limits["a.b"][1].x }} {{ value(\'risk.limits."a.b"\')[0] }}', "2 1"),
        ("{{ value('no.such', 7) }} {{ value('secret') | length }}", "7 12"),
        ("{% for name, one in config.risk | items %}{{ name }} {% endfor %}", "global limits "),
        ("{% for name in config.risk %}{{ name }} {% endfor %}{{ config.risk | length }}", "global limits 2"),
        ("{{ 'limits' in config.risk }} {{ 'nothing' in config.risk }} {{ config.empty | length }}", "True False 0"),
        ("{{ config.no is defined }} {{ config.no | default(3) }} {{ config.a.b is defined }}", None),
        ("{{ config.risk.global | tojson }}", '{"max_correlation":0.7,"max_leverage":2.0}'),
        ("{{ {'x': config.empty, 'y': [config.risk.global]} | tojson }}",
         '{"x":{},"y":[{"max_correlation":0.7,"max_leverage":2.0}]}'),
        ("{{ '<&>' | tojson }}{{ '<&>' }}", '"<&>"<&>'),
        ("{{ environment }} {{ epoch }}-{{ revision }} {{ labels.mode }}", "production 1-3 live"),
    ],
)  # fmt: skip
def test_a_template_reads_the_view(rendered: Callable[[str], str], source: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(ValidationError, match="UndefinedError of 'a'"):
            rendered(source)
    else:
        assert rendered(source) == expected


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("\n{{ config.risk.max_lev }}", "line 2: UndefinedError of 'max_lev'"),
        ("{{ value('no.such') }}", "line 1: path_not_found"),
        ("{{ value('..') }}", "line 1: path"),
        ("{{ config.secret + 1 }}", "line 1: TypeError"),
        ("{{ config[config.secret] }}", "line 1: UndefinedError"),
        ("{{ config.secret.nothing }}", "line 1: UndefinedError of 'nothing'"),
        ("{% include 'missing.j2' %}", "TemplateNotFound"),
        ("{% include '../../../../etc/passwd' %}", "TemplateNotFound"),
        ("{% if %}", "line 1: Expected an expression"),
        ("{{ ().__class__.__bases__[0].__subclasses__() }}", "SecurityError"),
        ("{{ config.__class__ }}", "SecurityError"),
        ("{{ config._branches }}", "SecurityError"),
        ("{{ labels.update({'a': 1}) }}", "SecurityError"),
        ("{% for i in range(10000000) %}x{% endfor %}", "OverflowError"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
    ],
)
def test_what_a_template_may_not_do_is_said_without_a_value(
    rendered: Callable[[str], str], source: str, said: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        rendered(source)
    assert said in refused.value.why
    assert SECRET not in str(refused.value)


def test_an_output_without_end_is_refused(rendered: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "MAX_BYTES", 10)
    with pytest.raises(ValidationError, match="more than 10 bytes"):
        rendered("x" * 11)


def test_a_template_that_is_not_there_is_refused(view: View, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="No such file"):
        Template(tmp_path / "none.j2").render("production", Position(1, 1), view)


Change = Callable[[Path], object]


def written_in_place(path: Path) -> None:
    """Another content that is longer, in the same file, at the same time as far as the file says."""
    before = path.stat()
    path.write_text("twice")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def written_as_long(path: Path) -> None:
    """Another content of the same length, in the same file, at another time."""
    before = path.stat()
    path.write_text("two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


def replaced_as_long(path: Path) -> None:
    """Another file of the same length with the same time, as an archive or a volume unpacks it."""
    before = path.stat()
    other = path.with_name("other")
    other.write_text("two")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("name", ["t.j2", "part.j2"])
@pytest.mark.parametrize("change", [written_in_place, written_as_long, replaced_as_long, Path.unlink])
def test_a_template_is_another_one_if_anything_tells_it_from_what_was_rendered(
    view: View, tmp_path: Path, name: str, change: Change
) -> None:
    (tmp_path / "t.j2").write_text("one" if name == "t.j2" else "{% include 'part.j2' %}")
    (tmp_path / "part.j2").write_text("one")
    template = Template(tmp_path / "t.j2")
    assert template.render("production", Position(1, 1), view) == b"one"
    assert not template.changed()
    change(tmp_path / name)
    assert template.changed()


def test_a_file_that_a_template_asked_for_in_vain_is_looked_for(view: View, tmp_path: Path) -> None:
    (tmp_path / "t.j2").write_text("{% include 'part.j2' %}")
    template = Template(tmp_path / "t.j2")
    with pytest.raises(ValidationError, match="TemplateNotFound"):
        template.render("production", Position(1, 1), view)
    assert not template.changed()
    (tmp_path / "part.j2").write_text("one")
    assert template.changed()
    assert template.render("production", Position(1, 1), view) == b"one"


@pytest.mark.parametrize("name", ["t.j2", "part.j2"])
def test_what_is_written_while_a_template_is_being_rendered_is_rendered_next(
    view: View, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.j2").write_text("one {% include 'part.j2' %}")
    (tmp_path / "part.j2").write_text("one")
    template = Template(tmp_path / "t.j2")
    read, late = (template._source, template._loader.get_source), {"t.j2": "{% include 'part.j2' %}", "part.j2": "two"}

    def source() -> str:
        found = read[0]()
        if name == "t.j2":
            (tmp_path / name).write_text(late[name])
        return found

    def included(environment: Environment, wanted: str) -> tuple[str, str, Callable[[], bool]]:
        found = read[1](environment, wanted)
        if name == "part.j2":
            (tmp_path / name).write_text(late[name])
        return found

    with monkeypatch.context() as patched:
        patched.setattr(template, "_source", source)
        patched.setattr(template._loader, "get_source", included)
        assert template.render("production", Position(1, 1), view) == b"one one"
    assert template.changed()
    assert template.render("production", Position(1, 1), view) == (b"one" if name == "t.j2" else b"one two")
    assert not template.changed()


# -- files -------------------------------------------------------------------------------------------------------------


class Rendering:
    """A sidecar that renders one file."""

    def __init__(self, made: World, folder: Path) -> None:
        self.world, self.folder = made, folder
        self.template, self.target = folder / "bot.json.j2", folder / "out" / "bot.json"
        self.target.parent.mkdir()
        self.template.write_text('{"leverage": {{ config.risk.global.max_leverage }}}\n')
        self.stack = AsyncExitStack()
        self.sidecar: Sidecar

    async def start(self, **fields: object) -> None:
        render = {"template": self.template, "target": self.target, "labels": {"bot": "mm"}, **fields}
        self.sidecar = await self.stack.enter_async_context(running(self.world, self.folder / "s", render=[render]))

    async def commit(self, leverage: float) -> None:
        revision = self.world.commit({"risk.global.max_leverage": leverage}, layer="mode=live")
        await until(lambda: self.sidecar.node.position.revision == revision)

    def count(self, outcome: str) -> float:
        found = self.sidecar.metrics.registry.get_sample_value("trimtab_renders_total", {"outcome": outcome})
        return found or 0.0

    @property
    def alarm(self) -> str:
        return self.sidecar.node.known_alarms.get(f"render {self.target}", "")

    @property
    def leverage(self) -> float:
        return float(json.loads(self.target.read_text())["leverage"])


@pytest.fixture
async def rendering(made: World, short_directory: Path) -> AsyncIterator[Rendering]:
    found = Rendering(made, short_directory)
    async with found.stack:
        yield found


async def test_a_file_is_written_and_follows_the_configuration(rendering: Rendering) -> None:
    await rendering.start()
    await until(rendering.target.exists)
    assert (rendering.leverage, rendering.target.stat().st_mode & 0o777) == (2.0, 0o600)
    rendering.target.chmod(0o640)
    await rendering.commit(1.5)
    await until(lambda: rendering.leverage == 1.5)
    assert rendering.target.stat().st_mode & 0o777 == 0o640
    assert os.listdir(rendering.target.parent) == ["bot.json"]  # noqa: PTH208


async def test_a_file_that_would_be_the_same_is_left_alone(rendering: Rendering) -> None:
    await rendering.start(then=f"touch {rendering.folder}/told")
    await until((rendering.folder / "told").exists)
    before = rendering.target.stat()
    (rendering.folder / "told").unlink()
    rendering.world.commit({"risk.global.max_correlation": 0.1})
    await until(lambda: rendering.count("same") >= 1)
    after = rendering.target.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert not (rendering.folder / "told").exists()


async def test_a_failed_render_keeps_the_old_file_and_is_reported_until_it_works(rendering: Rendering) -> None:
    await rendering.start()
    await until(rendering.target.exists)
    rendering.template.write_text("{{ config.risk.nothing }}")
    await rendering.commit(1.0)
    await until(lambda: "UndefinedError of 'nothing'" in rendering.alarm)
    assert rendering.leverage == 2.0
    await until(lambda: any("of 'nothing'" in alarm for one in rendering.world.reports() for alarm in one.alarms))
    rendering.template.write_text('{"leverage": {{ config.risk.global.max_leverage }}}\n')
    await rendering.commit(0.5)
    await until(lambda: rendering.leverage == 0.5)
    await until(lambda: not rendering.alarm)


async def test_a_template_that_changes_is_rendered_without_a_new_revision(
    rendering: Rendering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renders, "LOOK_SECONDS", 0.02)
    await rendering.start(then=f"touch {rendering.folder}/told")
    await until((rendering.folder / "told").exists)
    rendering.template.write_text("{% include 'part.j2' %} {{ revision }}")
    await until(lambda: "TemplateNotFound" in rendering.alarm)
    assert rendering.leverage == 2.0
    part = rendering.folder / "part.j2"
    part.write_text("one")
    await until(lambda: rendering.target.read_text() == f"one {rendering.world.revision}")
    part.write_text("another")
    await until(lambda: rendering.target.read_text() == f"another {rendering.world.revision}")
    await until(lambda: not rendering.alarm)
    swapped = rendering.folder / "new.j2"  # as an editor, or Kubernetes, replaces a file
    swapped.write_text("replaced")
    swapped.replace(rendering.template)
    await until(lambda: rendering.target.read_text() == "replaced")
    same = rendering.count("same")
    rendering.template.write_text("replaced")
    await until(lambda: rendering.count("same") > same)
    part.unlink()  # which is included no more
    await until(lambda: rendering.count("same") > same + 1)
    same = rendering.count("same")
    await asyncio.sleep(0.2)
    assert rendering.count("same") == same, "without a change nothing is rendered"


async def test_a_check_that_says_no_keeps_the_old_file(rendering: Rendering) -> None:
    check = rendering.folder / "check.py"
    check.write_text(
        "import json, os, pathlib, sys\n"
        "assert not [name for name in os.environ if name.startswith('TRIMTAB_')]\n"
        "sys.exit(json.loads(pathlib.Path(sys.argv[1]).read_text())['leverage'] > 5)\n"
    )
    os.environ["TRIMTAB_TEST_OF_RENDER"] = "a password"
    try:
        await rendering.start(check=f"{sys.executable} {check} {{}}", then=f"touch {rendering.folder}/told")
        await until((rendering.folder / "told").exists)
        (rendering.folder / "told").unlink()
        await rendering.commit(9.0)
        await until(lambda: "The check refuses" in rendering.alarm)
        assert (rendering.leverage, os.listdir(rendering.target.parent)) == (2.0, ["bot.json"])  # noqa: PTH208
        await rendering.commit(4.0)
        await until(lambda: rendering.leverage == 4.0)
        await until((rendering.folder / "told").exists)
    finally:
        del os.environ["TRIMTAB_TEST_OF_RENDER"]


async def test_a_signal_is_sent_once_the_file_is_there_and_owed_until_then(
    rendering: Rendering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renders, "AGAIN_SECONDS", 0.05)
    pid_file = rendering.folder / "bot.pid"
    await rendering.start(signal=f"TERM:{pid_file}")
    await until(lambda: "bot.pid: No such file" in rendering.alarm)
    assert rendering.leverage == 2.0
    for nobody in ("1", "0", "-1", "x", ""):
        pid_file.write_text(nobody)
        await until(lambda: "it names no process" in rendering.alarm)
    bot = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(60)")
    pid_file.write_text(f"{bot.pid}\n")
    async with asyncio.timeout(10):
        assert await bot.wait() == -signal.SIGTERM
    await until(lambda: not rendering.alarm)
    assert rendering.count("written") + rendering.count("same") >= 1


async def test_a_command_that_hangs_is_killed_and_tried_again(
    rendering: Rendering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "SECONDS", 0.2)
    monkeypatch.setattr(renders, "AGAIN_SECONDS", 0.05)
    pids = rendering.folder / "pids"
    await rendering.start(then=f"sh -c 'echo $$ >> {pids}; exec sleep 60'")
    await until(lambda: pids.exists() and len(pids.read_text().split()) >= 2)
    await until(lambda: "no answer within 0.2 s" in rendering.alarm)
    first = int(pids.read_text().split()[0])
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


async def test_a_directory_that_is_not_there_is_an_alarm_and_tried_again(
    rendering: Rendering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renders, "AGAIN_SECONDS", 0.05)
    rendering.target.parent.rmdir()
    await rendering.start()
    await until(lambda: "No such file or directory" in rendering.alarm)
    rendering.target.parent.mkdir()
    await until(lambda: not rendering.alarm)
    assert rendering.leverage == 2.0


async def test_readers_find_the_old_file_or_the_new_one_whole(rendering: Rendering) -> None:
    rendering.template.write_text("{% for _ in range(5000) %}{{ config.risk.global.max_leverage }},{% endfor %}")
    await rendering.start()
    await until(rendering.target.exists)
    stop, seen = asyncio.Event(), set[str]()

    def read() -> None:
        while not stop.is_set():
            values = set(rendering.target.read_text().split(",")) - {""}
            assert len(values) == 1, values
            seen.update(values)

    reader = asyncio.create_task(asyncio.to_thread(read))
    try:
        for number in range(8):
            await rendering.commit(float(number))
            await until(lambda number=number: rendering.target.read_text().startswith(f"{number}.0,"))  # type: ignore[misc]
    finally:
        stop.set()
        await reader
    assert len(seen) > 1


@pytest.mark.parametrize(
    ("second", "error"),
    [({}, SettingError), ({"target": "other", "labels": {"mode": "live"}}, LayerError)],
)
async def test_what_cannot_be_rendered_keeps_a_sidecar_from_starting(
    made: World, short_directory: Path, second: dict[str, object], error: type[Exception]
) -> None:
    one = {"template": "a.j2", "target": "out"}
    with pytest.raises(error):
        async with running(made, short_directory / "s", render=[one, {**one, **second}]):
            raise AssertionError("it must not start")
