"""Recovery: from what the disk kept to a verified state, through the same chain as everything else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trimtab.model.errors import SignatureRefused
from trimtab.model.snapshots import Snapshot
from trimtab.model.statements import Trust
from trimtab.replica.line import Line, Verdict

MESSAGES_A_STEP = 4
"""A message costs about 0.1 ms to verify and apply."""


def recover(
    environment: str, trust: Trust, statement: bytes, body: bytes, messages: Iterable[bytes]
) -> Iterator[Snapshot | None]:
    """Rebuild the state that a snapshot and the messages after it lead to: yields None between steps, then the state.

    Messages are applied up to the first that does not follow. Raises `SignatureRefused` unless at least the snapshot
    can be trusted.
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
        if line.offer(message).verdict is not Verdict.APPLIED:
            break
        if count % MESSAGES_A_STEP == 0:
            yield None
    yield line.snapshot
