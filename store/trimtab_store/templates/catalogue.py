"""The library of templates: the built-in ones, and those that an environment stores or inherits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Final

from trimtab import categories
from trimtab.model import paths
from trimtab.model.canonical import Json
from trimtab.model.errors import NotFoundError, UsageError, nearest
from trimtab.model.problems import DocumentsRefused, Problem
from trimtab.model.values import Document, thaw
from trimtab_store.queries import Queries
from trimtab_store.templates import built_in, definition
from trimtab_store.templates.definition import CATEGORY
from trimtab_store.templates.template import ID, Instance, Template

STORED: Final = "stored"
"""The origin of a template of which nothing else is known."""


class TemplateNotFound(NotFoundError):
    """No template has this name."""

    code: ClassVar[str] = "template_not_found"


class Templates:
    """Finds templates by name, category and tag, and makes instances of them.

    `stored` are the documents `template.<name>` of one environment by name; one of them hides the built-in template of
    its name. One that is broken is in `broken`, and is refused only when it is asked for. `origins` says where each of
    them comes from.
    """

    def __init__(self, stored: Mapping[str, Json] | None = None, origins: Mapping[str, str] | None = None) -> None:
        self._stored: dict[str, Template] = {}
        self.broken: dict[str, tuple[Problem, ...]] = {}
        for name, found in (stored or {}).items():
            try:
                self._stored[name] = definition.read(found, name, origin=(origins or {}).get(name, STORED))
            except DocumentsRefused as error:
                self.broken[name] = error.problems

    @classmethod
    def of(cls, queries: Queries, environment: str) -> Templates:
        """The built-in templates and those that an environment's common layer holds or inherits."""
        found = queries.document(environment, CATEGORY).value
        stored = thaw(found) if isinstance(found, Document) else {}
        holders: dict[str, dict[str, None]] = {}
        for item in queries.items(environment, CATEGORY):
            if not item.layer and len(segments := paths.parse(item.path)) > 1:
                holders.setdefault(segments[1], {})[item.environment] = None
        return cls(stored if isinstance(stored, dict) else {}, {name: ", ".join(one) for name, one in holders.items()})

    @property
    def names(self) -> tuple[str, ...]:
        """Every name, sorted."""
        return tuple(sorted({*built_in.files(), *self._stored, *self.broken}))

    def __iter__(self) -> Iterator[Template]:
        """Every template that is not broken, by name."""
        return (self[name] for name in self.names if name not in self.broken)

    def __getitem__(self, name: str) -> Template:
        """The template of a name; raises `TemplateNotFound`, or `DocumentsRefused` for a broken one."""
        if name in self._stored:
            return self._stored[name]
        if name in self.broken:
            raise DocumentsRefused(self.broken[name], f"The template {name} is refused")
        if name in built_in.files():
            return built_in.template(name)
        remedy = nearest(name, self.names) or "See `trimtab template list`"
        raise TemplateNotFound(f"There is no template {name[:80]!r}", "", remedy)

    def find(self, *, category: str | None = None, tags: tuple[str, ...] = ()) -> tuple[Template, ...]:
        """The templates of a category that have all of some tags, by name."""
        return tuple(
            one for one in self if (category is None or one.category == category) and set(tags) <= set(one.tags)
        )

    def new(self, name: str, id: str | None = None, given: Mapping[str, object] | None = None) -> Instance:  # noqa: A002 - the word for it
        """An instance, checked as far as a document can be without its surroundings.

        `id` names what is made, for templates that take one. Raises `TemplateNotFound`, and `DocumentsRefused` with
        everything that is wrong. Makes nothing but values: put the instance into a block of edits to store it.
        """
        words = dict(given or {})
        if id is not None:
            words[ID] = id
        return self[name].instance(words, check=categories.check)


def check_name(name: str) -> None:
    """Raise `UsageError` for a name that a built-in template has."""
    if name in built_in.files():
        raise UsageError(f"{name} is a built-in template", "one of your own would hide it", "Give it another name")


def path_of(name: str) -> str:
    """Where a template of the user's own is stored."""
    return paths.join((CATEGORY, name))
