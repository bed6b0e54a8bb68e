"""Bindings: typed values over a subtree, what is refused, and what happens then."""

from __future__ import annotations

import logging
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tests.unit.test_reader import as_view, held
from trimtab.binding import Binding, Bindings
from trimtab.model import views
from trimtab.model.errors import ModelRefused, PathError, PathNotFound, RequirementFailed, UsageError
from trimtab.model.links import Position
from trimtab.model.reports import Refusal
from trimtab.reader import Reader


class Limits(BaseModel, frozen=True):
    max_leverage: Annotated[float, Field(gt=0, le=10)]
    names: tuple[str, ...] = ()


class Mode(StrEnum):
    PAPER = "paper"
    LIVE = "live"


class Subject:
    """A reader with bindings, swapped together as an agent does it."""

    def __init__(self, **values: Any) -> None:
        self.reader = Reader()
        self.reader.start_reading()
        self.reader.swap(held({path.replace("__", "."): value for path, value in values.items()}))
        self.bindings = Bindings()
        self.values = {path.replace("__", "."): value for path, value in values.items()}

    def bind(self, path: str, kind: type[Any]) -> Binding[Any]:
        return self.bindings.add(path, kind, lambda: self.reader.held)

    def change(self, revision: int, **values: Any) -> None:
        changed = {path.replace("__", "."): value for path, value in values.items()}
        self.values = {path: value for path, value in {**self.values, **changed}.items() if value is not ...}
        new = held(self.values, revision)
        old = self.reader.held
        differences = next(
            step for step in views.compare_steps(as_view(old.view), as_view(new.view)) if step is not None
        )
        following = old.following(new.view, new.position, new.hash, differences)
        self.bindings.serve(following, lambda also: self.reader.swap(following, also))


def test_a_model_over_a_subtree_follows_it() -> None:
    subject = Subject(risk__global__max_leverage=3.0)
    binding = subject.bind("risk.global", Limits)
    assert binding.current == Limits(max_leverage=3.0)
    subject.change(2, risk__global__max_leverage=2.5)
    assert (binding.current.max_leverage, binding.revision, binding.refused) == (2.5, 2, None)


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (3, int, 3),
        (3, float, 3.0),
        (0.1, float, 0.1),
        ("0.10", Decimal, Decimal("0.10")),
        (0.1, Decimal, Decimal("0.1")),
        ("x", str, "x"),
        (True, bool, True),
        (None, type(None), None),
        ("2026-01-05", date, date(2026, 1, 5)),
        ("paper", Mode, Mode.PAPER),
        (["a", "b"], tuple[str, ...], ("a", "b")),
        (5, Annotated[int, Field(ge=5)], 5),
    ],
)
def test_scalar_types(value: object, kind: type[Any], expected: object) -> None:
    found = Subject(a__b=value).bind("a.b", kind).current
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("value", "kind"),
    [("5", int), (5.5, int), (1, bool), ("true", bool), (5, str), ("0.1", float), ("loud", Mode), (None, int)],
)
def test_look_alikes_are_refused(value: object, kind: type[Any]) -> None:
    with pytest.raises(ModelRefused, match=r"refuses a\.b at revision 1"):
        Subject(a__b=value).bind("a.b", kind)


def test_a_model_may_say_that_it_is_lenient() -> None:
    class Lenient(BaseModel):
        model_config = ConfigDict(frozen=True, strict=False)
        number: int

    class Unsaid(BaseModel, frozen=True):
        number: int

    subject = Subject(a__number="5")
    assert subject.bind("a", Lenient).current.number == 5
    with pytest.raises(ModelRefused, match="number: "):
        subject.bind("a", Unsaid)


def test_a_model_that_is_not_frozen_is_refused_with_the_remedy() -> None:
    class Loose(BaseModel):
        number: int

    class Outer(BaseModel, frozen=True):
        inner: Loose | None = None

    subject = Subject(a__number=5)
    with pytest.raises(UsageError, match=r"class Loose\(BaseModel, frozen=True\)"):
        subject.bind("a", Loose)
    with pytest.raises(UsageError, match="Loose cannot be bound"):
        subject.bind("a", Outer)
    for kind in (list, dict[str, int], set):
        with pytest.raises(UsageError, match="tuple or a frozen model"):
            subject.bind("a", kind)


def test_what_cannot_be_bound_says_why() -> None:
    subject = Subject(risk__global__max_leverage=30.0)
    with pytest.raises(ModelRefused, match="max_leverage: Input should be less than or equal to 10"):
        subject.bind("risk.global", Limits)
    with pytest.raises(PathNotFound, match=r"risk\.global"):
        subject.bind("risk.globl", Limits)
    with pytest.raises(PathError):
        subject.bind("risk..x", Limits)
    assert subject.bindings.refusals() == ()


def test_the_same_path_and_type_give_the_same_binding() -> None:
    subject = Subject(a__max_leverage=1.0)
    assert subject.bind("a", Limits) is subject.bind('"a"', Limits)
    assert subject.bind("a.max_leverage", float) is not subject.bind("a.max_leverage", Decimal)


def test_a_refusing_model_keeps_its_last_good_value_and_is_asked_again() -> None:
    subject = Subject(a__max_leverage=1.0, b__c=1)
    binding, other = subject.bind("a", Limits), subject.bind("b.c", int)
    subject.change(2, a__max_leverage=99.0, b__c=2)
    assert (binding.current.max_leverage, other.current) == (1.0, 2)
    assert (binding.revision, other.revision) == (1, 2)
    assert binding.refused == Refusal("a", 2, "max_leverage: Input should be less than or equal to 10")
    assert subject.bindings.refusals() == (binding.refused,)
    subject.change(3, b__c=3)
    assert binding.refused is not None
    assert (binding.refused.revision, binding.revision) == (3, 1)
    subject.change(4, a__max_leverage=4.0)
    assert (binding.current.max_leverage, subject.bindings.refusals(), binding.revision) == (4.0, (), 4)


def test_going_back_to_the_last_good_value_ends_a_refusal() -> None:
    subject = Subject(a__max_leverage=1.0)
    binding = subject.bind("a", Limits)
    subject.change(2, a__max_leverage=-1.0)
    subject.change(3, a__max_leverage=1.0)
    assert (binding.current.max_leverage, binding.refused, binding.revision) == (1.0, None, 3)


def test_a_subtree_that_vanishes_is_refused() -> None:
    subject = Subject(a__max_leverage=1.0, b=1)
    binding = subject.bind("a", Limits)
    subject.change(2, a__max_leverage=...)
    assert binding.current.max_leverage == 1.0
    assert binding.refused == Refusal("a", 2, "nothing resolves there any more")


def test_only_what_changed_is_validated() -> None:
    validated: list[str] = []

    class Counting(BaseModel, frozen=True):
        number: int

        @field_validator("number")
        @classmethod
        def _count(cls, number: int) -> int:
            validated.append(str(number))
            return number

    subject = Subject(a__number=1, b__number=10)
    one, two = subject.bind("a", Counting), subject.bind("b", Counting)
    before = two.current
    subject.change(2, a__number=2)
    assert validated == ["1", "10", "2"]
    assert (one.current.number, two.current is before) == (2, True)


def test_a_refusal_holds_no_raw_text() -> None:
    class Careless(BaseModel, frozen=True):
        token: str

        @field_validator("token")
        @classmethod
        def _check(cls, token: str) -> str:
            if token != "fine":
                raise ValueError(f"the token {token} is wrong")
            return token

    subject = Subject(a__token="fine")
    binding = subject.bind("a", Careless)
    subject.change(2, a__token="hunter2-very-secret")
    assert binding.refused == Refusal("a", 2, "token: Value error, the token … is wrong")


def test_a_validator_that_breaks_is_a_refusal_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(BaseModel, frozen=True):
        number: int

        @model_validator(mode="after")
        def _break(self) -> Broken:
            if self.number > 1:
                raise RuntimeError("a bug")
            return self

    subject = Subject(a__number=1)
    binding = subject.bind("a", Broken)
    with caplog.at_level(logging.ERROR, "trimtab"):
        subject.change(2, a__number=2)
    assert binding.refused == Refusal("a", 2, "its model raised RuntimeError")
    assert "a bug" in caplog.text


def test_judging_changes_nothing_and_serving_uses_the_judgement() -> None:
    calls: list[int] = []

    class Counting(BaseModel, frozen=True):
        number: Annotated[int, Field(lt=10)]

        @field_validator("number")
        @classmethod
        def _count(cls, number: int) -> int:
            calls.append(number)
            return number

    subject = Subject(a__number=1)
    binding = subject.bind("a", Counting)
    bad = held({"a.number": 10}, 2)
    assert [one.path for one in subject.bindings.judge(bad.view, Position(1, 2))] == ["a"]
    assert (binding.current.number, binding.refused) == (1, None)
    good = held({"a.number": 3}, 3)
    assert list(subject.bindings.judge(good.view, Position(1, 3))) == []
    subject.bindings.serve(good, lambda also: subject.reader.swap(good, also))
    assert (binding.current.number, calls) == (3, [1, 3])


@pytest.fixture
def withheld() -> tuple[Subject, Binding[Any]]:
    subject = Subject(a__max_leverage=1.0)
    binding = subject.bind("a", Limits)
    subject.bindings.withhold("mode=paper", lambda also: subject.reader.withhold("mode=paper", also))
    return subject, binding


def test_a_binding_is_not_read_while_the_requirement_fails(withheld: tuple[Subject, Binding[Any]]) -> None:
    subject, binding = withheld
    with pytest.raises(RequirementFailed, match="mode=paper"):
        _ = binding.current
    with pytest.raises(RequirementFailed):
        subject.bind("a.max_leverage", float)
    assert isinstance(binding, Binding)
    subject.change(2, a__max_leverage=2.0)
    assert binding.current.max_leverage == 2.0


def test_a_binding_comes_back_unchanged_when_nothing_changed(withheld: tuple[Subject, Binding[Any]]) -> None:
    subject, binding = withheld
    subject.change(2)
    assert (binding.current.max_leverage, binding.revision) == (1.0, 2)


def test_repr_names_path_and_type() -> None:
    assert repr(Subject(a__max_leverage=1.0).bind("a", Limits)) == "Binding('a', Limits)"
