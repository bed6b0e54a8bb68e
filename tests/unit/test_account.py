"""The account of a follower: what it says of itself is put together from what its parts know."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.waiting import eventually
from tests.support.world import world
from trimtab import Status, clock
from trimtab.account import Account
from trimtab.replica.alarms import ALARM_SECONDS
from trimtab.replica.machine import Replica


@pytest.fixture
def known() -> Iterator[tuple[Account, Replica]]:
    with world() as made:
        agent = made.connect()
        assert eventually(lambda: agent.status is Status.LIVE)
        life = agent._life
        assert life is not None
        driver = life._follower
        agent.close()
        yield driver._account, driver._replica


def test_it_has_caught_up_only_when_nothing_is_left_in_the_inbox(known: tuple[Account, Replica]) -> None:
    account, replica = known
    assert [account.standing(replica, busy=busy, following=True).caught_up for busy in (False, True)] == [True, False]


def test_an_alarm_of_the_follower_lasts_until_it_ends_or_is_old(
    known: tuple[Account, Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    account, replica = known

    def told() -> dict[str, str]:
        return dict(account.standing(replica, busy=False, following=True).alarms)

    before = told()
    account.alarm("disk", "it is full")
    assert told() == {**before, "disk": "it is full"}
    account.alarm("disk", "")
    assert told() == before
    account.alarm("disk", "it is full")
    later = clock.now() + ALARM_SECONDS
    monkeypatch.setattr(clock, "now", lambda: later)
    assert "disk" not in told()


def test_a_report_names_its_own_alarms_and_says_when_it_is_the_last(known: tuple[Account, Replica]) -> None:
    account, replica = known
    account.alarm("disk", "it is full")
    report = account.report(replica, closed=True)
    assert report is not None
    assert report.alarms == ("disk: it is full",)
    assert report.closed
    assert replica.line.snapshot is not None
    assert report.revision == replica.line.snapshot.position.revision
