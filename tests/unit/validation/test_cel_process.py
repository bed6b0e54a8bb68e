"""The process that evaluates rules: bounded, replaced, never left behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from trimtab.model.errors import UnavailableError
from trimtab_store.validation import cel_process
from trimtab_store.validation.cel_process import Evaluator, Exceeded

WITHIN = 8.0
"""Seconds that no question may come near."""
HUNDRED = f"[{','.join(['1'] * 200)}]"
ENDLESS = f"{HUNDRED}.all(a, {HUNDRED}.all(b, {HUNDRED}.all(c, {HUNDRED}.all(d, true))))"


@pytest.fixture
def evaluator() -> Iterator[Evaluator]:
    made = Evaluator()
    yield made
    pid = made.pid
    made.stop()
    assert pid is None or not runs(pid)


def question(cel: str, **variables: Any) -> dict[str, Any]:
    return {"do": "judge", "cel": cel, "variables": variables, "at": {}}


def runs(pid: int) -> bool:
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def gone(pid: int) -> bool:
    deadline = time.monotonic() + WITHIN
    while runs(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not runs(pid)


def test_nothing_runs_before_the_first_question(evaluator: Evaluator) -> None:
    assert evaluator.pid is None
    assert evaluator.ask(question("a < 2", a=1))["value"] is True
    first = evaluator.pid
    assert evaluator.ask(question("a < 2", a=3))["value"] is False
    assert evaluator.pid == first


@pytest.mark.parametrize(
    ("cel", "variables"),
    [
        (ENDLESS, {}),
        ("l.all(a, l.all(b, l.all(c, a + b + c >= 0)))", {"l": list(range(1000))}),
        ("l.map(a, l.map(b, l.map(c, 'x' + a))).size() > 0", {"l": ["y"] * 400}),
    ],
)
def test_an_expression_that_takes_too_long_is_stopped(
    evaluator: Evaluator, cel: str, variables: dict[str, Any]
) -> None:
    began = time.monotonic()
    with pytest.raises(Exceeded, match=r"processor time|memory"):
        evaluator.ask(question(cel, **variables))
    assert time.monotonic() - began < WITHIN
    assert evaluator.ask(question("true"))["value"] is True


def test_an_expression_that_takes_too_much_memory_is_stopped(evaluator: Evaluator) -> None:
    more = "+".join(["s"] * 40)
    with pytest.raises(Exceeded, match="more than 64 MiB of memory"):
        evaluator.ask(question(f"({more}) == ''", s="x" * 4_000_000))
    assert evaluator.ask(question("true"))["value"] is True


def test_a_process_that_may_be_full_of_other_questions_is_replaced_before_anybody_is_blamed(
    evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    run = cel_process._Process

    def counted() -> cel_process._Process:
        made = run()
        started.append(made.pid)
        return made

    monkeypatch.setattr(cel_process, "_Process", counted)
    assert evaluator.ask(question("true"))["value"] is True
    with pytest.raises(Exceeded, match="memory"):
        evaluator.ask(question("+".join(["s"] * 60) + " == ''", s="x" * 4_000_000))
    assert len(started) == 2


@pytest.mark.parametrize("when", ["before", "while asked"])
def test_a_process_that_somebody_kills_is_replaced(evaluator: Evaluator, when: str) -> None:
    evaluator.ask(question("true"))
    first = evaluator.pid
    assert first is not None
    if when == "before":
        os.kill(first, signal.SIGKILL)
        assert gone(first)
        found = evaluator.ask(question("1 < 2"))
    else:
        os.kill(first, signal.SIGSTOP)  # so that the question is certainly waiting when it ends
        later = threading.Timer(0.2, os.kill, (first, signal.SIGKILL))
        later.start()
        found = evaluator.ask(question("1 < 2"))
        later.join()
    assert found["value"] is True
    assert evaluator.pid not in {None, first}


def test_without_a_process_rules_are_unavailable_and_not_passed_over(
    evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cel_process, "_PROGRAM", Path("/nowhere/at/all.py"))
    with pytest.raises(UnavailableError, match="ends without an answer"):
        evaluator.ask(question("true"))
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(UnavailableError, match="does not start"):
        evaluator.ask(question("true"))


def test_ctrl_c_reaches_the_one_who_asks_and_no_answer_is_mixed_up(
    evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluator.ask(question("true"))
    first = evaluator.pid
    assert first is not None
    assert os.getsid(first) == first  # a session of its own: a terminal's Ctrl-C does not reach it

    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(select, "poll", interrupted)
        with pytest.raises(KeyboardInterrupt):
            evaluator.ask(question("1 == 1"))
    assert gone(first)
    assert evaluator.ask(question("1 == 2"))["value"] is False


def test_threads_ask_in_turn(evaluator: Evaluator) -> None:
    wrong: list[int] = []

    def ask(number: int) -> None:
        said = [evaluator.ask(question("a == b", a=number, b=number + step % 2))["value"] for step in range(50)]
        if said != [True, False] * 25:
            wrong.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_forked_child_starts_its_own_and_leaves_ours_alone(evaluator: Evaluator) -> None:
    evaluator.ask(question("true"))
    ours = evaluator.pid
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            assert evaluator.pid is None
            assert evaluator.ask(question("1 < 2"))["value"] is True
            os.write(write, str(evaluator.pid).encode())
            code = 0
        finally:
            os._exit(code)  # as abruptly as can be
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    theirs = int(os.read(read, 100))
    os.close(read)
    os.close(write)
    assert theirs != ours
    assert gone(theirs)
    assert evaluator.ask(question("2 < 1"))["value"] is False
    assert evaluator.pid == ours


ASKING = """
import os, signal, sys
from trimtab_store.validation.cel_process import EVALUATOR
EVALUATOR.ask({"do": "compile", "cel": "true"})
print(EVALUATOR.pid, flush=True)
how = sys.argv[1]
if how == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if how == "at once":
    os._exit(3)
if how == "error":
    raise SystemExit("over")
"""


@pytest.mark.parametrize("how", ["in order", "error", "at once", "killed"])
def test_nothing_is_left_however_the_one_who_asks_ends(how: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ASKING, how], capture_output=True, text=True, check=False
    )
    assert gone(int(done.stdout))
    assert ("over" in done.stderr) == (how == "error")
    assert "Warning" not in done.stderr


def test_the_process_knows_no_secret_of_ours(evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_DATABASE_URL", "postgresql://writer:s3cret@db/trimtab")
    evaluator.ask(question("true"))
    assert "s3cret" not in Path(f"/proc/{evaluator.pid}/environ").read_text()


def test_more_than_a_pipe_holds_is_sent(evaluator: Evaluator) -> None:
    assert evaluator.ask(question("s.endsWith('é') && size(s) > 2000000", s="é" * 2_000_000))["value"] is True
