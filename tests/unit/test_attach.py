"""Attached reading: what a bot sees of a shared directory, and what it refuses."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from tests.support.shared_line import VALUES, SharedLine, hide, put, remove
from trimtab import clock
from trimtab.attached import Attached, attach
from trimtab.model import states, views
from trimtab.model.errors import (
    DirectoryHeld,
    FilesRefused,
    LayerError,
    ModelRefused,
    PathNotFound,
    RequirementFailed,
    UnavailableError,
)
from trimtab.model.reports import Status
from trimtab.model.resolution import ABSENT
from trimtab.model.values import Document
from trimtab.pending import Changed, Reloaded
from trimtab.shared import head, layout
from trimtab_sidecar.shared import Limits, SharedDirectory

MakeLine = Callable[..., SharedLine]


def reader(place: Path, bot: str = "mm", **more: Any) -> Attached:
    return attach(place, {"bot": bot}, timeout=0, **more)


def document(value: object) -> object:
    assert isinstance(value, Document)
    return value.to_dict()


def test_a_leaf_a_subtree_and_an_array(place: Path, line: SharedLine) -> None:
    config = reader(place)
    assert (config["risk.global.max"], config["risk.global.names"]) == (3, ("a",))
    assert document(config["risk"]) == {"global": {"max": 3, "names": ["a"]}}
    assert (config.get("risk.none", 7), "risk.global" in config, "none" in config) == (7, True, False)
    assert (config.revision, config.epoch, config.hash) == (1, 1, line.snapshot.hash.hex())
    with pytest.raises(PathNotFound, match=r"risk\.global\.max\?"):
        config["risk.global.mx"]
    with pytest.raises(TypeError):
        iter(config)  # type: ignore[call-overload]


def test_the_next_read_sees_a_change_and_what_was_read_stays(place: Path, line: SharedLine) -> None:
    config = reader(place)
    assert [config["risk.global.max"], config["risk"], config["token.t1.on"]]
    line.edit(put("risk.global.max", 4), put("risk.global.more", None))
    assert config["risk.global.max"] == 4
    assert dict.__contains__(config.held.cache, "token.t1.on")
    assert document(config["risk"]) == {"global": {"max": 4, "names": ["a"], "more": None}}
    line.edit(remove("risk.global.more"), hide("token", "bot=mm"))
    assert "risk.global.more" not in config
    assert "token.t1.on" not in config
    assert reader(place, "other")["token.t1.on"] is True
    line.edit(remove("token", "bot=mm"))
    assert document(config["token"]) == {"t1": {"on": True}}


def test_a_change_before_the_first_touch_is_seen_by_it(place: Path, line: SharedLine) -> None:
    config = reader(place)
    line.edit(remove("token.t1.on"), put("risk.global.max", 8), put("new.one", 1))
    assert [config.get("token"), config["risk.global.max"], config["new"]] == [None, 8, {"one": 1}]


def test_a_pin_stays_as_it_is_over_changes_and_generations(place: Path, line: SharedLine) -> None:
    config = reader(place)
    with config.pinned() as pin:
        line.edit(put("risk.global.max", 4), remove("token.t1.on"))
        line.resync()
        line.edit(put("risk.global.max", 5))
        assert (config["risk.global.max"], config.revision) == (5, 4)
        assert [pin["risk.global.max"], pin["token.t1"], pin.revision] == [3, {"on": True}, 1]
        assert sorted(pin)[:2] == ["fleet", "fleet.bots"]
        assert dict(pin.labels) == {"bot": "mm", "node": "n1", "mode": "paper"}


def test_labels_come_from_sidecar_process_and_configuration(place: Path, line: SharedLine) -> None:
    config = reader(place)
    assert dict(config.labels) == {"bot": "mm", "node": "n1", "mode": "paper"}
    line.edit(put("risk.global.max", 1, "mode=live"), put("risk.global.max", 2, "node=n1"))
    assert config["risk.global.max"] == 2
    line.edit(put("fleet.bots.mm.labels.mode", "live"))
    assert (config["risk.global.max"], config.labels["mode"]) == (2, "live")
    line.edit(remove("risk.global.max", "node=n1"))
    assert config["risk.global.max"] == 1
    with pytest.raises(LayerError, match="node=n1"):
        attach(place, {"node": "n2"}, timeout=0)
    with pytest.raises(LayerError):
        attach(place, {"mode": "live"}, timeout=0)


def test_a_requirement_that_fails_stops_every_read_until_it_holds_again(place: Path, line: SharedLine) -> None:
    config = reader(place, require={"mode": "paper"})
    binding = config.bind("risk.global.max", int)
    assert (config["risk.global.max"], binding.current) == (3, 3)
    line.edit(put("fleet.bots.mm.labels.mode", "live"), put("risk.global.max", 4))
    for read in (lambda: config["risk.global.max"], config.pinned, lambda: config.get("x"), lambda: binding.current):
        with pytest.raises(RequirementFailed, match="mode=paper"):
            read()
    assert (config.labels["mode"], config.revision) == ("live", 1)
    line.edit(put("fleet.bots.mm.labels.mode", "paper"))
    assert (config["risk.global.max"], binding.current, config.revision) == (4, 4, 3)
    with pytest.raises(RequirementFailed):
        reader(place, require={"mode": "live"})


class Limit(BaseModel, frozen=True):
    max: int


def test_a_binding_follows_and_keeps_what_its_model_accepts(place: Path, line: SharedLine) -> None:
    config = reader(place)
    line.edit(remove("risk.global.names"))
    binding = config.bind("risk.global", Limit)
    assert (binding.current.max, binding.revision) == (3, 2)
    assert config.bind("risk.global", Limit) is binding
    line.edit(put("risk.global.max", 4))
    assert binding.current.max == 4
    line.edit(put("risk.global.max", "no"))
    assert (binding.current.max, config["risk.global.max"], binding.revision) == (4, "no", 3)
    assert [one.path for one in config.refused] == ["risk.global"]
    line.edit(put("risk.global.max", 5))
    assert (binding.current.max, config.refused) == (5, ())
    with pytest.raises(ModelRefused):
        config.bind("risk", Limit)


def test_events_are_latest_per_path_since_the_last_poll(place: Path, line: SharedLine) -> None:
    config = reader(place)
    changes = config.changes("risk.**")
    assert config.poll() == []
    line.edit(put("risk.global.max", 4))
    line.edit(put("risk.global.max", 5), put("token.t1.on", value=False))
    found = {event.path: (event.old, event.new) for event in config.poll() if isinstance(event, Changed)}
    assert found == {"risk.global.max": (3, 5), "token.t1.on": (True, False)}
    assert [event.path for event in changes.poll() if isinstance(event, Changed)] == ["risk.global.max"]
    assert (config.poll(), changes.poll()) == ([], [])
    line.edit(remove("token.t1.on"))
    (event,) = config.poll()
    assert isinstance(event, Changed)
    assert (event.path, event.old, event.new, event.from_revision, event.to_revision) == (
        "token.t1.on", False, ABSENT, 3, 4,
    )  # fmt: skip


def test_a_resync_is_told_with_what_differs(place: Path, line: SharedLine) -> None:
    config = reader(place)
    line.resync(line.state.apply("base", [put("risk.global.max", 9)]))
    first, *rest = config.poll()
    assert isinstance(first, Reloaded)
    assert first.complete
    assert [event.path for event in rest if isinstance(event, Changed)] == ["risk.global.max"]


def test_events_wait_while_generations_pass(place: Path) -> None:
    with SharedLine(place, VALUES, limits=Limits(paths=2)) as line:
        config = reader(place)
        for number in range(20):
            line.edit(put("risk.global.max", number), put(f"new.n{number}", number))
            line.tidy()
            assert config["risk.global.max"] == number
        paths = {event.path for event in config.poll() if isinstance(event, Changed)}
        assert "risk.global.max" in paths


async def test_async_for_gives_events_as_they_come(place: Path, line: SharedLine) -> None:
    config = reader(place)
    changes = config.changes("risk.**")
    seen: list[object] = []

    async def listen() -> None:
        async for event in changes:
            assert isinstance(event, Changed)
            seen.append(event.new)
            if event.new == 6:
                config.close()

    listening = asyncio.create_task(listen())
    for number in (4, 5, 6):
        await asyncio.sleep(0.02)
        line.edit(put("risk.global.max", number))
    await asyncio.wait_for(listening, 10)
    assert seen[-1] == 6


def told(config: Attached) -> str:
    return config.status.value


def test_status_tells_what_the_sidecar_proved_and_whether_it_lives(place: Path, line: SharedLine) -> None:
    config = reader(place)
    assert (config.status, config.staleness_seconds) == (Status.OFFLINE, float("inf"))
    now = clock.now()
    line.attest()
    assert told(config) == "LIVE"
    assert 0 <= config.staleness_seconds < 5
    line.attest(subscribed=False)
    assert told(config) == "DEGRADED"
    line.attest(certified_at=now - 100, alarms={"postgres": "down"})
    assert (told(config), config.alarms["postgres"]) == ("STALE", "down")
    assert config.too_stale == ("fleet",)
    assert config.max_staleness("risk.global") == 300.0
    line.attest(forked=True)
    assert told(config) == "FORKED"
    line.attest(heartbeat=now - 60, certified_at=now)
    assert told(config) == "STALE"
    assert "silent" in config.alarms["sidecar"]


def test_a_certificate_of_a_view_that_is_not_held_here_counts_nothing(place: Path, line: SharedLine) -> None:
    config = reader(place)
    line.attest(served=line.snapshot.position.__class__(1, 9))
    assert (config.status, config.staleness_seconds) == (Status.OFFLINE, float("inf"))


def test_wait_for_a_revision(place: Path, line: SharedLine) -> None:
    config = reader(place)
    assert config.wait_for(1, 0)
    assert not config.wait_for(2, 0.01)
    timer = threading.Timer(0.05, lambda: line.edit(put("risk.global.max", 4)))
    timer.start()
    assert config.wait_for(2, 10)
    timer.join()
    line.attest(proven=line.position.__class__(1, 7))
    assert config.wait_for(7, 0)
    config.close()
    with pytest.raises(UnavailableError):
        config.wait_for(8, 10)


def test_a_closed_reader_reads_on(place: Path, line: SharedLine) -> None:
    with reader(place) as config:
        binding = config.bind("risk.global.max", int)
    line.edit(put("risk.global.max", 4))
    assert [config["risk.global.max"] for _ in range(600)] == [3] * 600
    assert (config["token.t1.on"], binding.current, config.status) == (True, 3, Status.OFFLINE)


def test_a_new_sidecar_takes_over_and_nobody_goes_back(place: Path) -> None:
    with SharedLine(place, VALUES) as first:
        config = reader(place)
        first.edit(put("risk.global.max", 4))
        with pytest.raises(DirectoryHeld):
            SharedDirectory(place).lock("lock")
    with SharedLine(place) as second:
        assert config["risk.global.max"] == 4
        second.state = first.state
        second.resync()  # revision 1 again: behind what is served
        assert (config["risk.global.max"], config.revision) == (4, 2)
        second.resync()
        second.edit(put("risk.global.max", 5))
        assert (config["risk.global.max"], config.revision) == (5, 3)
        second.resync(epoch=2)
        assert (config.revision, config.epoch) == (4, 2)
    assert [path.name for path in place.glob("snapshot-*")] == ["snapshot-4"]


def test_a_directory_that_was_made_anew_is_found(place: Path, tmp_path: Path) -> None:
    with SharedLine(place, VALUES):
        config = reader(place)
        place.rename(tmp_path / "gone")
    with SharedLine(place, {**VALUES, "risk.global.max": 9}) as line:
        line.resync()
        config.poll()  # looks further than a read does
        assert (config["risk.global.max"], config.revision) == (9, 2)


def test_attaching_waits_for_something_to_serve(place: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot be opened"):
        reader(place)
    with SharedLine(place) as line:
        with pytest.raises(UnavailableError, match="Nothing is announced"):
            reader(place)
        line.state = states.build(line.state.lineage, [])
        timer = threading.Timer(0.05, line.resync)
        timer.start()
        assert attach(place, {"bot": "mm"}).revision == 1
        timer.join()


@pytest.mark.usefixtures("line")
def test_what_is_not_the_sidecars_is_refused(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(place)
    with pytest.raises(FilesRefused, match="symbolic link"):
        reader(tmp_path / "link")
    with pytest.raises(FilesRefused, match="environment production, not staging"):
        reader(place, environment="staging")
    assert reader(place, environment="production").environment == "production"
    with pytest.raises(FilesRefused, match="belongs to user"):
        reader(place, owner=os.geteuid() + 1)
    place.chmod(0o770)
    with pytest.raises(FilesRefused, match="others than its owner"):
        reader(place)
    place.chmod(0o750)
    (place / "snapshot-1").chmod(0o660)
    with pytest.raises(FilesRefused, match="others than its owner"):
        reader(place)
    (place / "snapshot-1").chmod(0o640)
    monkeypatch.setattr(layout, "LAYOUT", 2)
    with pytest.raises(FilesRefused, match="layout 1 is not known"):
        reader(place)


@pytest.mark.usefixtures("line")
def test_files_that_are_links_or_pipes_are_refused(place: Path, tmp_path: Path) -> None:
    (place / "snapshot-1").rename(tmp_path / "elsewhere")
    (place / "snapshot-1").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FilesRefused):
        reader(place)
    (place / "snapshot-1").unlink()
    os.mkfifo(place / "snapshot-1", 0o600)
    with pytest.raises(FilesRefused, match="ordinary"):
        reader(place)


def test_a_generation_of_another_environment_is_not_taken(place: Path, line: SharedLine) -> None:
    config = reader(place)
    line.publisher._environment = "staging"
    line.resync(line.state.apply("base", [put("risk.global.max", 9)]))
    assert config["risk.global.max"] == 3
    assert "staging" in config.alarms["shared_memory"]


@pytest.mark.usefixtures("line")
def test_rights_are_for_the_owner_and_the_group(place: Path) -> None:
    assert place.stat().st_mode & 0o777 == 0o750
    rights = {path.name: path.stat().st_mode & 0o777 for path in place.iterdir()}
    assert rights == {"head": 0o640, "snapshot-1": 0o640, "changes-1": 0o640, "lock": 0o600}


def test_all_paths_with_one_hash_are_told_apart(place: Path) -> None:
    def hash_path(_path: bytes) -> int:
        return 7

    with SharedLine(place, {f"a.n{number}": number for number in range(600)}, hash_path=hash_path) as line:
        config = reader(place, hash_path=hash_path)
        assert [config[f"a.n{number}"] for number in range(600)] == list(range(600))
        line.edit(put("a.n5", -5))
        assert (config["a.n5"], config["a.n6"], config.get("a.n600")) == (-5, 6, None)


def test_a_forked_child_reads_on_and_sees_what_comes(place: Path, line: SharedLine) -> None:
    config = reader(place)
    assert config["risk.global.max"] == 3
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()

    def child() -> None:
        theirs.send((config["risk.global.max"], config["token.t1.on"]))
        theirs.recv()
        theirs.send((config["risk.global.max"], [event.path for event in config.poll() if isinstance(event, Changed)]))

    with config._taking:  # held by another thread at the moment of the fork
        process = context.Process(target=child)
        process.start()
    assert ours.recv() == (3, True)
    line.edit(put("risk.global.max", 4))
    ours.send(None)
    assert ours.recv() == (4, ["risk.global.max"])
    process.join()
    assert (process.exitcode, config["risk.global.max"]) == (0, 4)


@pytest.mark.usefixtures("line")
def test_a_spawned_child_attaches_anew(place: Path) -> None:
    config = reader(place)
    again = pickle.loads(pickle.dumps(config))  # noqa: S301 - our own
    assert (again["risk.global.max"], dict(again.labels)) == (3, dict(config.labels))


def integer(value: object) -> int:
    assert isinstance(value, int)
    return value


def test_threads_share_a_reader(place: Path) -> None:
    with SharedLine(place, {f"g.k{key}": 0 for key in range(8)}, limits=Limits(paths=64, frames=50)) as line:
        config = reader(place)
        wrong: list[object] = []
        ends = threading.Event()

        def read() -> None:
            last = 0
            while not ends.is_set():
                with config.pinned() as pin:
                    values = [integer(pin[f"g.k{key}"]) for key in range(8)]
                now = integer(config["g.k3"])
                if len(set(values)) != 1 or now < max(last, *values):
                    wrong.append((values, now, last))
                last = now

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number in range(1, 400):
            line.edit(*(put(f"g.k{key}", number) for key in range(8)))
            line.tidy()
        ends.set()
        for thread in threads:
            thread.join()
        assert (wrong, config.alarms.get("shared_memory")) == ([], None)
        assert config["g.k0"] == 399


def test_many_readers_with_as_many_label_sets_share_one_directory(place: Path) -> None:
    with SharedLine(place, VALUES) as line:
        configs = [reader(place, f"b{number}") for number in range(64)]
        for number in range(64):
            line.edit(put("risk.global.max", number, f"bot=b{number}"))
        for number, config in enumerate(configs):
            assert config["risk.global.max"] == number
            assert config["risk"] == views.build(line.state, config.labels).index["risk"]


def test_a_standing_that_is_torn_leaves_the_one_before(place: Path, line: SharedLine) -> None:
    config = reader(place)
    line.attest(alarms={"a": "1"})
    line.attest(alarms={"b": "2"})
    content = bytearray((place / "head").read_bytes())
    content[head.standing_place(2) + 70] ^= 1
    with (place / "head").open("r+b") as file:
        file.write(content)
    assert dict(config.alarms) == {"a": "1"}


def test_alarms_that_are_too_long_are_cut(place: Path, line: SharedLine) -> None:
    config = reader(place)
    line.attest(alarms={f"alarm{number}": "x" * 1000 for number in range(50)})
    assert 5 < len(config.alarms) < 50


def test_attaching_loads_neither_clients_nor_keys_nor_event_loops() -> None:
    program = (
        "import sys; from trimtab import attach; attach.__name__; "
        "print([name for name in sys.modules if name.partition('.')[0] in "
        "{'redis', 'psycopg', 'cryptography', 'pydantic', 'asyncio', 'sqlalchemy', 'tenacity'}])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_the_function_and_not_a_module_is_what_is_imported() -> None:
    program = "from trimtab import Attached, attach; print(callable(attach), Attached.__name__)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "True Attached"


@pytest.mark.parametrize("stage", ["_touch", "_swap", "_watch"])
def test_whatever_ends_a_taking_too_early_the_next_read_goes_on(
    place: Path, line: SharedLine, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    config = reader(place)
    binding = config.bind("risk.global.max", int)
    assert (config["risk.global.max"], config["token.t1.on"]) == (3, True)
    target: object = config._following if stage == "_touch" else config

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    line.edit(put("risk.global.max", 4))
    with monkeypatch.context() as patch:
        patch.setattr(target, stage, interrupt)
        with pytest.raises(KeyboardInterrupt):
            config["token.t1.on"]
    assert (binding.current, config["risk.global.max"], config["token.t1.on"]) == (4, 4, True)


def test_a_child_of_a_reader_that_was_taking_goes_on(place: Path, line: SharedLine) -> None:
    config = reader(place)
    assert config["risk.global.max"] == 3
    line.edit(put("risk.global.max", 4))
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    with config._taking:
        config._following.advance()  # another thread was here when we forked
        process = context.Process(target=lambda: theirs.send(config["risk.global.max"]))
        process.start()
    assert ours.recv() == 4
    process.join()


def test_generations_that_go_leave_no_descriptor(place: Path, line: SharedLine) -> None:
    config = reader(place)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - of the system
    for number in range(30):
        line.edit(put("risk.global.max", number))
        line.resync()
        assert config["risk.global.max"] == number
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before + 4  # noqa: PTH208 - of the system
