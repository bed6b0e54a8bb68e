"""The agent's directory fails in every way: what a bot reads never depends on it."""

from __future__ import annotations

import contextlib
import errno
import json
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from tests.acceptance.bots import bot, check_bot
from tests.support.files_fake import Disk, FakeFiles, Judge, Verdict
from tests.support.fleet import MEMBERS, Stand, check_agent
from tests.support.full_disk import fill, own_mount
from tests.support.ground_truth import Truth
from tests.support.line import KEY
from tests.support.load import load
from tests.support.waiting import settles
from trimtab import Agent, Status
from trimtab.feeds.disk import DiskFeed
from trimtab.feeds.postgres import PostgresFeed
from trimtab.model.errors import UnavailableError
from trimtab.model.links import Position
from trimtab.standing import Plan, Sources

MOST_OPERATIONS: Final = 54
"""As many as one life of these agents needs, mostly; a slow machine takes more turns at the same steps."""
AGENTS_AT_ONCE: Final = 18


def only(number: int) -> Judge:
    """Fails one operation."""
    return lambda count, _kind: "fail" if count == number else ""


def from_then_on(number: int) -> Judge:
    """Fails an operation and all after it."""
    return lambda count, _kind: "fail" if count >= number else ""


@contextlib.contextmanager
def over(stand: Stand, files: FakeFiles, database_url: str | None = None, timeout: float = 20.0) -> Generator[Agent]:
    """An agent whose directory is a fake."""
    environment, labels = MEMBERS[0]

    def open_sources(plan: Plan, keep: bool) -> Sources:  # noqa: FBT001 - the shape of OpenSources
        postgres = PostgresFeed(database_url or stand.agent_url, plan.environment, agent=plan.agent)
        if not keep:
            return Sources(postgres=postgres)
        try:
            disk = DiskFeed.open(stand.directory / "nowhere", plan.environment, plan.trust, files)
        except UnavailableError as error:
            return Sources(postgres=postgres, lacking=str(error))
        return Sources(postgres=postgres, disk=disk)

    with Agent.connect(
        environment=environment,
        labels=labels,
        trust=KEY.trust(),
        database_url=stand.agent_url,
        timeout=timeout,
        open_sources=open_sources,
    ) as agent:
        yield agent


@pytest.mark.parametrize("judge", [only, from_then_on])
@pytest.mark.parametrize("first", range(1, MOST_OPERATIONS, AGENTS_AT_ONCE))
def test_every_operation_fails_in_turn_and_no_reader_notices(
    bare_stand: Stand, first: int, judge: Callable[[int], Judge]
) -> None:
    stand = bare_stand
    store = stand.populate()
    truth = stand.settle()
    failing = [FakeFiles(Disk(), judge(number)) for number in range(first, first + AGENTS_AT_ONCE)]
    with contextlib.ExitStack() as stack:
        agents = [stack.enter_context(over(stand, files)) for files in failing]
        for _ in range(2):
            with load([store], writers=2) as writes:
                writes.wait_for(6)
            truth = stand.settle(writes)
            for agent in agents:
                settles(partial(check_agent, agent, truth))
        settles(lambda: _kept_or_alarmed(agents, failing, truth.lines["production"][0]))
    assert [files.open_handles for files in failing] == [0 for _ in failing]
    assert not any(files.disk.held for files in failing)
    if first + AGENTS_AT_ONCE > MOST_OPERATIONS:
        _check_only_repeats_were_left_out(failing[-1].operations)
    with ThreadPoolExecutor(AGENTS_AT_ONCE) as pool:
        list(pool.map(partial(_check_next_start, stand, truth), failing))


def _check_only_repeats_were_left_out(operations: list[str]) -> None:
    """What came after those that failed in turn is steps of which each had its turn, in the same order."""
    met, late = operations[:MOST_OPERATIONS], operations[MOST_OPERATIONS - 1 :]
    assert set(pairwise(late)) <= set(pairwise(met)), f"an operation was left out: {late}"


def _kept_or_alarmed(agents: list[Agent], failing: list[FakeFiles], newest: Position) -> None:
    """Who could write has the newest state on its disk; who cannot says so."""
    for agent, files in zip(agents, failing, strict=True):
        if files.judge(len(files.operations), "") == "fail":
            assert {"disk", "persist"} & set(agent.alarms), (agent, files.operations)
        else:
            assert agent.revision == newest.revision


def _check_next_start(stand: Stand, truth: Truth, files: FakeFiles) -> None:
    """With nothing reachable the next start serves a state of the line, or says that there is none."""
    nowhere = f"postgresql://nobody@/none?host={stand.directory}"
    links = [json.loads(message.partition(b"\n")[0]) for message in truth.messages["production"]]
    try:
        with over(stand, FakeFiles(files.disk.lose_process()), nowhere, timeout=1.0) as agent:
            assert agent.status is Status.OFFLINE
            assert (agent.revision, agent.hash) in {(link["revision"], link["hash"]) for link in links}
    except UnavailableError as error:
        assert "disk" in error.why  # noqa: PT017 - either outcome is right


def test_a_directory_that_no_write_reaches_is_only_an_alarm(bare_stand: Stand) -> None:
    store = bare_stand.populate()

    def judge(_count: int, kind: str) -> Verdict:
        return "fail" if kind in {"create", "write", "sync", "rename"} else ""

    with over(bare_stand, FakeFiles(Disk(), judge, errno.EIO)) as agent:
        with load([store]) as writes:
            writes.wait_for(20)
        truth = bare_stand.settle(writes)
        settles(lambda: check_agent(agent, truth))
        assert {"disk", "persist"} & set(agent.alarms)


def test_a_really_full_disk_is_only_an_alarm_and_is_used_again_when_there_is_room(one_stand: Stand) -> None:
    stand = one_stand
    head = own_mount()
    store = stand.populate()
    stand.relay()
    stand.fleet()
    directory = stand.directory / "small"
    directory.mkdir(mode=0o700)
    script = 'mount -t tmpfs -o size=1m,mode=700 tmpfs "$0" && exec "$@"'
    with bot(stand, "small/agent", head=(*head, "sh", "-c", script, str(directory))) as one:
        one.hear()
        ballast = Path(f"/proc/{one.process.pid}/root{directory}/ballast")  # as the bot sees it
        fill(ballast)
        with load([store], writers=2) as writes:
            writes.wait_for(60)
        with store.edit("base", author="test") as edit:
            edit.set("load.large", "x" * 60_000)  # whatever room its last page had
        settles(lambda: _says(one.ask("state")["alarms"], "No space left"))
        truth = stand.settle(writes)
        settles(lambda: check_bot(one.ask("state"), truth))
        ballast.unlink()
        with load([store], writers=2) as later:
            later.wait_for(10)
        settles(lambda: _says(one.ask("state")["alarms"], ""))
        truth = stand.settle(later)
        settles(lambda: check_bot(one.ask("state"), truth))


def _says(alarms: dict[str, str], text: str) -> None:
    persist = alarms.get("persist", "") + alarms.get("disk", "")
    assert text in persist if text else not persist, alarms
