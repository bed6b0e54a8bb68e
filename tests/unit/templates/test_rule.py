"""Stored templates that contradict themselves are refused, whoever changes which part of them."""

from __future__ import annotations

from tests.support.templates import small
from tests.unit.validation.asking import ask, said
from trimtab_store.templates.rule import TemplateRule
from trimtab_store.validation.builtin import BUILT_IN_RULES

RULE = TemplateRule()


def test_it_holds_in_every_store() -> None:
    assert [one.name for one in BUILT_IN_RULES if isinstance(one, TemplateRule)] == ["template"]


def test_a_sound_template_is_let_through_and_so_is_its_removal() -> None:
    tree = {"template": {"small": small()}}
    assert ask(RULE, {}, tree) == []
    assert ask(RULE, tree, {}) == []


def test_a_changed_part_that_no_longer_fits_is_refused() -> None:
    changed = small(defaults={**small()["defaults"], "stop_loss": 0.6})
    assert said(ask(RULE, {"template": {"small": small()}}, {"template": {"small": changed}})) == [
        "refuse template.small.defaults: stop_loss: it must be at most 0.5",
        "refuse template.small.validation_rules: stop_loss <= take_profit does not hold for the defaults",
    ]


def test_a_template_that_is_stored_under_another_name_is_refused() -> None:
    assert said(ask(RULE, {}, {"template": {"large": small()}})) == [
        "refuse template.large.name: it is stored as large and calls itself small"
    ]


def test_what_has_no_shape_is_left_to_the_model() -> None:
    assert ask(RULE, {}, {"template": {"small": small(required="all")}}) == []


def test_other_documents_do_not_concern_it() -> None:
    assert not RULE.watches("strategy.small")
    assert RULE.watches("template.small")
