"""Finding templates: built-in ones and those of an environment, broken ones among them."""

from __future__ import annotations

import pytest

from tests.support.templates import small
from trimtab.model.errors import UsageError
from trimtab.model.problems import DocumentsRefused
from trimtab_store.templates import TemplateNotFound, Templates
from trimtab_store.templates.catalogue import check_name, path_of


def test_a_template_of_an_environment_stands_beside_the_built_in_ones() -> None:
    library = Templates({"small": small()}, {"small": "base"})
    assert {"small", "mev_strict"} < set(library.names)
    assert (library["small"].origin, library["mev_strict"].origin) == ("base", "built in")
    assert "strategy.x" in library.new("small", "x", {"exchange": "binance"}).documents


def test_a_broken_template_is_told_of_and_hides_no_other() -> None:
    library = Templates({"small": small(documents={"bot..x": 1}), "fine": small(name="fine"), "odd": 5})
    assert set(library.broken) == {"small", "odd"}
    assert "fine" in [one.name for one in library]
    for name in ("small", "odd"):
        with pytest.raises(DocumentsRefused, match=f"The template {name} is refused"):
            library[name]


def test_a_template_of_an_environment_hides_the_built_in_one_of_its_name_but_none_is_put_so() -> None:
    library = Templates({"mev_strict": small(name="mev_strict")})
    assert library["mev_strict"].origin == "stored"
    with pytest.raises(UsageError, match="is a built-in template"):
        check_name("mev_strict")
    check_name("mev_strict_2")


def test_an_unknown_one_is_refused_with_the_nearest() -> None:
    with pytest.raises(TemplateNotFound, match=r"Did you mean strategy_grid\?"):
        Templates()["strategy_gird"]


def test_templates_are_found_by_category_and_all_of_some_tags() -> None:
    library = Templates({"small": small(tags=["mine"])})
    assert [one.name for one in library.find(tags=("mine",))] == ["small"]
    found = library.find(category="data", tags=("crypto", "bars"))
    assert [one.name for one in found] == ["data_alpha_vantage", "data_binance", "data_coingecko"]
    assert library.find(category="data", tags=("mine",)) == ()


def test_a_template_is_stored_under_its_name() -> None:
    assert path_of("small-2") == "template.small-2"
