"""Recovery: from what the disk kept to a verified state, through the same chain as everything else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trimtab.model.errors import SignatureRefused
from trimtab.model.snapshots import Snapshot
from trimtab.model.statements import Trust
from trimtab.replica.line import Line, Verdict

MESSAGES_A_STEP = 4
"""A message that was verified before costs about 30 µs to read and apply."""


def recover(
    environment: str, trust: Trust, statement: bytes, body: bytes, messages: Iterable[bytes]
) -> Iterator[Snapshot | None]:
    """Rebuild the state that a snapshot and the messages after it lead to: yields None between steps, then the state.

    The messages were found authentic when they were read (`trimtab.feeds.disk.generations`); they are applied up to
    the first that does not follow. Raises `SignatureRefused` unless at least the snapshot can be trusted.
    """
    line = Line(environment, trust)
    reason = "it holds nothing"
    for judgement in line.offer_snapshot(statement, body):
        if judgement is not None:
            reason = judgement.reason
        yield None
    if line.snapshot is None:
        raise SignatureRefused("What the disk kept is refused", reason, "It is fetched again from the servers")
    for count, message in enumerate(messages, 1):
        for judgement in line.offer_steps(message, verified=True):
            if judgement is None:
                yield None
            elif judgement.verdict is not Verdict.APPLIED:
                yield line.snapshot
                return
        if count % MESSAGES_A_STEP == 0:
            yield None
    yield line.snapshot
