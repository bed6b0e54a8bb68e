"""A node's own overrides behind its sidecar: the same for attached bots, HTTP, files and the fleet, and told by all."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.shared_line import VALUES, SharedLine, drain, put
from tests.support.sidecar import IDENTITY, client, running, told, until
from tests.support.world import World, world
from trimtab.attached import Attached, attach
from trimtab.categories import RiskLimits
from trimtab.model.errors import SettingError
from trimtab.model.reports import Report
from trimtab.model.values import freeze
from trimtab.pending import Changed
from trimtab_sidecar import settings
from trimtab_sidecar.overrides import file as override_file
from trimtab_sidecar.running import Sidecar
from trimtab_sidecar.shared import SharedDirectory

LEVERAGE, FLOOR = "risk.global.max_leverage", "risk.global.min_liquidity"
PERMITTED = {"permitted": True, "overridable": ["risk.**"], "protected": ["risk.**"]}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(override_file, "LOOK_SECONDS", 0.01)
    with world() as found:
        found.commit({"override.config": PERMITTED, LEVERAGE: 5.0, FLOOR: 1000})
        found.commit({LEVERAGE: 1.0}, layer="bot=canary")
        yield found


def wish(folder: Path, **fields: object) -> Path:
    """Write the file as an operator should: whole, in one step."""
    file, draft = folder / "local.json", folder / "local.new"
    draft.write_text(json.dumps({"risk": {"global": fields}} if fields else {}))
    draft.replace(file)
    return file


@contextlib.asynccontextmanager
async def current(made: World, folder: Path, local: Path | None, **own: Any) -> AsyncGenerator[Sidecar]:
    """A sidecar that has caught up."""
    async with running(made, folder / "s", local=local, **own) as sidecar:
        await until(lambda: sidecar.node.position.revision == made.revision)
        yield sidecar


@contextlib.asynccontextmanager
async def node(made: World, folder: Path, **fields: object) -> AsyncGenerator[tuple[Sidecar, Attached, Attached]]:
    """A sidecar with overrides and two bots: one like all, and one that is tighter already."""
    local = wish(folder, **fields) if fields else folder / "local.json"
    async with current(made, folder, local) as sidecar:
        bots = [await asyncio.to_thread(attach, folder / "s", {"bot": name}) for name in ("mm", "canary")]
        with bots[0], bots[1]:
            await until(lambda: all(bot.revision == made.revision for bot in bots))
            for bot in bots:
                bot.poll()
            yield sidecar, bots[0], bots[1]


async def test_bots_read_what_their_node_sets_for_itself_and_each_is_judged_for_itself(
    made: World, short_directory: Path
) -> None:
    async with node(made, short_directory, max_leverage=3.0) as (sidecar, mm, canary):
        assert (mm[LEVERAGE], canary[LEVERAGE], mm.revision, canary.revision) == (
            3.0,
            1.0,
            made.revision,
            made.revision,
        )
        assert mm["risk.global"] == freeze({"max_correlation": 0.7, "max_leverage": 3.0, "min_liquidity": 1000})
        assert mm.bind("risk.global", RiskLimits).current.max_leverage == 3.0
        assert mm.hash != sidecar.node.held.hash.hex()
        said = f"{LEVERAGE} is not overridden for bot=canary: override.config protects this path"
        await until(lambda: said in mm.alarms.get("override", ""))

        def reported() -> list[Report]:
            return [one for one in made.reports() if any("bot=canary" in each.why for each in one.overrides)]

        await until(reported)
        report = reported()[-1]
        assert [(one.path, one.value) for one in report.overrides] == [(LEVERAGE, "3.0")]
        assert report.hash == sidecar.node.held.hash.hex()  # the fleet compares the store's
        assert any("bot=canary" in alarm for alarm in report.alarms)


async def test_another_file_is_one_publication_at_the_same_revision(made: World, short_directory: Path) -> None:
    async with node(made, short_directory, max_leverage=3.0) as (sidecar, mm, canary):
        files = sorted(one.name for one in (short_directory / "s").glob("snapshot-*"))
        frames = mm._following._at.frames
        with mm.pinned() as view:
            wish(short_directory, max_leverage=2.0, min_liquidity=2000)
            await until(lambda: mm[LEVERAGE] == 2.0)
            assert (view[LEVERAGE], view[FLOOR]) == (3.0, 1000)
        assert (mm[FLOOR], canary[LEVERAGE], canary[FLOOR], mm.revision) == (2000, 1.0, 2000, made.revision)
        assert mm._following._at.frames == frames + 1
        assert sorted(one.name for one in (short_directory / "s").glob("snapshot-*")) == files
        now = {"from_revision": made.revision, "to_revision": made.revision}
        assert sorted(mm.poll(), key=str) == [
            Changed(path=LEVERAGE, old=3.0, new=2.0, **now),
            Changed(path=FLOOR, old=1000, new=2000, **now),
        ]
        assert canary.poll() == [Changed(path=FLOOR, old=1000, new=2000, **now)]
        late = await asyncio.to_thread(attach, short_directory / "s", {"bot": "mm"})
        with late:
            assert (late[LEVERAGE], late.hash) == (2.0, mm.hash)
        wish(short_directory)
        await until(lambda: mm[LEVERAGE] == 5.0)
        await until(lambda: mm.hash == sidecar.node.held.hash.hex())
        await until(lambda: "override" not in mm.alarms)


async def test_a_revision_that_changes_what_is_permitted_changes_what_holds(made: World, short_directory: Path) -> None:
    async with node(made, short_directory, max_leverage=3.0, min_liquidity=10) as (sidecar, mm, canary):
        assert (mm[LEVERAGE], mm[FLOOR]) == (3.0, 1000)  # the floor would be looser
        frames = mm._following._at.frames
        made.commit({"override.config.permitted": False})
        await until(lambda: mm.revision == made.revision)
        assert (mm[LEVERAGE], canary[LEVERAGE]) == (5.0, 1.0)
        assert {one.path for one in mm.poll() if isinstance(one, Changed)} == {LEVERAGE, "override.config.permitted"}
        await until(lambda: "does not permit" in mm.alarms.get("override", ""))
        made.commit({"override.config.permitted": True, LEVERAGE: 2.5})
        await until(lambda: mm.revision == made.revision)
        assert mm[LEVERAGE] == 2.5  # configuration is tighter than the node now
        assert sidecar.node.overlaid.held == 0
        assert mm._following._at.frames == frames + 2


async def test_a_file_that_cannot_be_used_leaves_what_was_read_and_is_an_alarm(
    made: World, short_directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "trimtab_sidecar")
    async with node(made, short_directory, max_leverage=3.0) as (_, mm, _):
        (short_directory / "local.json").write_text("{")
        await until(lambda: "cannot be used" in mm.alarms.get("override_file", ""))
        assert mm[LEVERAGE] == 3.0
        made.commit({LEVERAGE: 6.0})
        await until(lambda: mm.revision == made.revision)
        assert mm[LEVERAGE] == 3.0
        (short_directory / "local.json").unlink()
        await until(lambda: "No such file" in mm.alarms.get("override_file", ""))
        assert mm[LEVERAGE] == 3.0
        wish(short_directory, max_leverage=2.0)
        await until(lambda: mm[LEVERAGE] == 2.0)
        await until(lambda: "override_file" not in mm.alarms)
        assert told(caplog, "alarm", "override_file")
        await until(lambda: told(caplog, "alarm_over", "override_file"))
    with pytest.raises(SettingError, match="local overrides"):
        async with running(made, short_directory / "s", local=short_directory / "missing.json"):
            raise AssertionError("it must not start")


async def test_what_a_commit_would_be_refused_for_is_refused(made: World, short_directory: Path) -> None:
    made.commit({"override.config.protected": []})
    async with node(made, short_directory, max_leverage=-3.0, min_liquidity=2000) as (_, mm, canary):
        assert (mm[LEVERAGE], canary[LEVERAGE], mm[FLOOR]) == (5.0, 1.0, 2000)
        await until(lambda: f"{LEVERAGE} (is -3.0)" in mm.alarms.get("override", ""))


async def test_http_answers_and_rendered_files_agree_with_what_bots_read(made: World, short_directory: Path) -> None:
    template, target = short_directory / "t.j2", short_directory / "bot.json"
    template.write_text("{{ config.risk.global.max_leverage }}")
    render = [{"template": template, "target": target, "labels": {"bot": "mm"}}]
    local = wish(short_directory, max_leverage=3.0)
    async with current(made, short_directory, local, render=render) as sidecar, client(sidecar) as ask:
        url = f"/v1/values/{LEVERAGE}?label=bot=mm"
        async with ask.get(url) as answer:
            tag, variant = answer.headers["ETag"], answer.headers["Trimtab-Overrides"]
            assert (await answer.json(), answer.headers["Trimtab-Revision"]) == (3.0, str(made.revision))
        await until(lambda: target.exists() and target.read_text() == "3.0")
        async with ask.get("/v1/status") as answer:
            [one] = (await answer.json())["overrides"]
            assert (one["path"], one["value"], "bot=canary" in one["why"]) == (LEVERAGE, "3.0", True)
        async with ask.get("/metrics") as answer:
            lines = (await answer.text()).splitlines()
            assert {"trimtab_local_overrides 1.0", 'trimtab_alarm{alarm="override"} 1.0'} <= set(lines)
        async with ask.get(url, headers={"If-None-Match": tag}) as answer:
            assert answer.status == 304
        wish(short_directory, max_leverage=2.0)
        await until(lambda: target.read_text() == "2.0")
        async with ask.get(url, headers={"If-None-Match": tag}) as answer:
            assert (answer.status, await answer.json()) == (200, 2.0)
            assert (answer.headers["ETag"] != tag, answer.headers["Trimtab-Overrides"] != variant) == (True, True)
        async with ask.get("/v1/view?label=bot=mm") as answer:
            assert (await answer.json())["risk"]["global"]["max_leverage"] == 2.0
        wish(short_directory)
        await until(lambda: target.read_text() == "5.0")
        async with ask.get(url) as answer:
            assert "Trimtab-Overrides" not in answer.headers


async def event(answer: aiohttp.ClientResponse) -> tuple[str, str]:
    """The kind and id of the next event of a stream."""
    kind = name = ""
    while True:
        line = (await answer.content.readline()).decode().strip()
        if not line and kind:
            return kind, name
        kind = line.removeprefix("event: ") if line.startswith("event: ") else kind
        name = line.removeprefix("id: ") if line.startswith("id: ") else name


async def test_a_stream_says_to_read_again_where_the_overrides_are_others_and_ids_tell_them_apart(
    made: World, short_directory: Path
) -> None:
    local = wish(short_directory, max_leverage=3.0)
    async with current(made, short_directory, local) as sidecar, client(sidecar) as ask:
        async with ask.get("/v1/changes") as stream:
            kind, first = await event(stream)
            assert (kind, first) == ("start", f"1-{made.revision}-{sidecar.node.overlaid.variant}")
            wish(short_directory, max_leverage=2.0)
            kind, second = await event(stream)
            assert (kind, second) == ("reload", f"1-{made.revision}-{sidecar.node.overlaid.variant}")
            made.commit({LEVERAGE: 4.0})
            assert (await event(stream))[0] == "reload"  # before it no state is known any more
            made.commit({LEVERAGE: 1.5})
            assert await event(stream) == ("change", f"1-{made.revision}")
        wish(short_directory)
        await until(lambda: sidecar.node.overlaid.told == ())
        for old in (first, second):
            async with ask.get("/v1/changes", headers={"Last-Event-ID": old}) as stream:
                assert (await event(stream))[0] == "reload"
    local = wish(short_directory, max_leverage=1.0)
    async with current(made, short_directory, local) as sidecar, client(sidecar) as ask:
        async with ask.get("/v1/changes", headers={"Last-Event-ID": f"1-{made.revision}"}) as stream:
            assert (await event(stream))[0] == "reload"  # nothing was overridden when it was told
        async with ask.get(f"/v1/changes?after=1-{made.revision}") as stream:
            made.commit({LEVERAGE: 1.2})
            await until(lambda: sidecar.node.position.revision == made.revision)
            made.commit({LEVERAGE: 0.5})
            assert (await event(stream))[0] == "change"


async def test_a_sidecar_that_begins_again_with_other_overrides_is_followed(made: World, short_directory: Path) -> None:
    async with node(made, short_directory, max_leverage=3.0) as (_, mm, _):
        first = mm.hash
        held = await asyncio.to_thread(attach, short_directory / "s", {"bot": "mm"})
        assert held[LEVERAGE] == 3.0
    async with node(made, short_directory, max_leverage=2.0) as (_, mm, _):
        await until(lambda: held[LEVERAGE] == 2.0)
        assert (held.revision, held.hash == mm.hash, held.hash == first) == (made.revision, True, False)
    held.close()


def test_the_file_is_named_by_flag_variable_or_settings_as_an_agent_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_file = tmp_path / "sidecar.toml"
    settings_file.write_text('environment = "production"\ntrust = "t.json"\nlocal = "one.toml"\n')
    given: dict[str, Any] = {"file": settings_file, "shared": str(tmp_path)}
    assert settings.read(given).follow.local == Path("one.toml")
    monkeypatch.setenv("TRIMTAB_LOCAL", "two.toml")
    assert settings.read(given).follow.local == Path("two.toml")
    assert settings.read({**given, "local": "three.toml"}).follow.local == Path("three.toml")


def test_a_state_that_could_not_be_shared_is_not_shared_later_in_place_of_what_holds_again(
    short_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = False
    create = SharedDirectory.create

    def creating(self: SharedDirectory, name: str, size: int = 0) -> int:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return create(self, name, size)

    monkeypatch.setattr(SharedDirectory, "create", creating)
    with SharedLine(short_directory, VALUES) as line, attach(short_directory) as bot:
        first = line.snapshot
        other = replace(first, hash=b"o" * 32, state=first.state.apply("base", [put("risk.global.max", 2)]))
        full = True
        drain(line.publisher.publish(other))  # no change leads there: it needs a file
        assert (bot["risk.global.max"], "No space" in line.publisher.alarms["shared_memory"]) == (3, True)
        drain(line.publisher.publish(first))
        full = False
        line.tidy()
        assert (bot["risk.global.max"], bot.hash, dict(line.publisher.alarms)) == (3, first.hash.hex(), {})
        drain(line.publisher.publish(other))
        assert (bot["risk.global.max"], bot.hash, bot.revision) == (2, other.hash.hex(), 1)


async def test_without_a_file_nothing_is_another(made: World, short_directory: Path) -> None:
    async with current(made, short_directory, None) as sidecar, client(sidecar) as ask:
        bot = await asyncio.to_thread(attach, short_directory / "s", {"bot": "mm"})
        with bot:
            assert (bot[LEVERAGE], bot.hash) == (5.0, sidecar.node.held.hash.hex())
        async with ask.get("/v1/status") as answer:
            assert (await answer.json())["overrides"] == []
            assert (dict(sidecar.node.identity), "Trimtab-Overrides" in answer.headers) == (IDENTITY, False)
