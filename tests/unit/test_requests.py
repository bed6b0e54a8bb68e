"""Requests: how long a feed is left alone."""

from __future__ import annotations

import pytest

from trimtab.feeds.postgres.patience import Patience
from trimtab.replica.requests import LONGEST_PAUSE_SECONDS, Requests


def poll_in_vain(requests: Requests, now: float, waited: float) -> float:
    """Ask for the head, hear of a failure so much later; returns how long nothing is asked from then on."""
    number = requests.ask("postgres head", "postgres", now)
    requests.failed(number, now + waited)
    return requests.unreachable.until["postgres"] - (now + waited)


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_a_feed_is_left_alone_for_at_least_half_of_the_wait_that_was_in_vain(chance: float) -> None:
    """A server with too much to do gets less to do from everybody whom it keeps waiting, from the first time on."""
    requests = Requests(lambda: chance)
    assert poll_in_vain(requests, 100.0, 2.0) == pytest.approx(2.0 * (0.5 + 0.5 * chance))


def test_a_feed_that_refuses_at_once_is_tried_again_soon_and_then_ever_later() -> None:
    requests = Requests(lambda: 1.0)
    assert [poll_in_vain(requests, now, 0.0) for now in range(0, 80, 10)] == pytest.approx(
        [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    )


def test_no_wait_makes_a_pause_longer_than_the_longest() -> None:
    requests = Requests(lambda: 1.0)
    assert poll_in_vain(requests, 0.0, 60.0) == LONGEST_PAUSE_SECONDS


def test_a_deadline_doubles_when_it_ran_out_up_to_four_times_the_shortest() -> None:
    patience = Patience(2.0)
    found: list[float] = []
    for _ in range(4):
        patience.took(patience.seconds)
        found.append(patience.seconds)
    assert found == [4.0, 8.0, 8.0, 8.0]


def test_a_deadline_goes_by_what_the_last_answer_took() -> None:
    patience = Patience(2.0)
    patience.took(8.0)
    patience.took(1.5)
    assert patience.seconds == 3.0
    patience.took(0.001)
    assert patience.seconds == 2.0
