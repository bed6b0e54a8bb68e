"""What a refusal says: every problem, to people and to programs."""

from __future__ import annotations

from trimtab.model.problems import DocumentsRefused, Problem


def test_the_error_carries_every_problem_for_programs() -> None:
    problems = [
        Problem(path="a.b", rule="range", why="it is too large", value="9", severity="warn"),
        Problem(path="a.c", rule="type", why="it is no number", environment="base", labels={"mode": "live"}, others=2),
    ]
    told = DocumentsRefused(problems).to_dict()
    assert (told["code"], told["what"]) == ("document", "This change is refused")
    assert told["problems"] == [problems[1].to_dict(), problems[0].to_dict()]


def test_what_only_warns_is_told_last_and_as_a_warning() -> None:
    warning = Problem(path="a.b", rule="range", why="it is too large", severity="warn")
    refusal = Problem(path="a.c", rule="type", why="it is no number")
    assert str(DocumentsRefused([warning, refusal])) == (
        "This change is refused: a.c: it is no number; also, a warning only: a.b: it is too large. "
        "Change what is named here."
    )
