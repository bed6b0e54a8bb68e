"""`trimtab rule`: rules of one's own in CEL, kept in the configuration that they are about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from trimtab.model import paths
from trimtab.model.canonical import Json
from trimtab.model.errors import PathNotFound, UsageError, nearest
from trimtab.model.problems import DocumentsRefused
from trimtab.model.values import thaw
from trimtab_store.cli import connecting, editing, options
from trimtab_store.cli.command import command
from trimtab_store.cli.output import print_json, print_lines, print_table
from trimtab_store.cli.telling import some, tell
from trimtab_store.store import Store
from trimtab_store.validation.builtin import BUILT_IN_RULES
from trimtab_store.validation.cel_faults import faults, texts
from trimtab_store.validation.cel_rules import CelRule, rules_of
from trimtab_store.validation.cel_trial import Standing, Tried, holds_for, trial
from trimtab_store.writer import Validated

rule = typer.Typer(help="Rules of your own: put, list, get, and try them on what stands.", no_args_is_help=True)
CATEGORY = "rule"
Name = Annotated[str, typer.Argument(metavar="NAME", help="The rule; it stands at rule.<NAME>.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything, commit nothing.")]


@dataclass(frozen=True, kw_only=True)
class Wording:
    """What a rule says, beside its expression."""

    documents: Annotated[
        list[str] | None,
        typer.Option("--documents", help="What it is about: bot.*; several times for several.", metavar="PATTERN"),
    ] = None
    message: Annotated[str, typer.Option("--message", help="What is said where it does not hold.", metavar="TEXT")] = ""
    warn: Annotated[bool, typer.Option("--warn", help="Only warn; without it such a change is refused.")] = False
    only_in: Annotated[
        list[str] | None,
        typer.Option("--in", help="Only in this environment; several times for several.", metavar="ENVIRONMENT"),
    ] = None
    mode: Annotated[
        list[str] | None,
        typer.Option("--mode", help="Only for readers in this mode, such as live; several times.", metavar="MODE"),
    ] = None
    read: Annotated[
        list[str] | None,
        typer.Option("--reads", help="Ask again when this changes; what at() names is known.", metavar="PATH"),
    ] = None

    def value(self, cel: str) -> dict[str, Json]:
        """The document of a rule."""
        severity: Literal["warn", "refuse"] = "warn" if self.warn else "refuse"
        found: dict[str, Json] = {
            "documents": list[Json](self.documents or []),
            "cel": cel,
            "severity": severity,
            "message": self.message,
        }
        for field, words in (("environments", self.only_in), ("modes", self.mode), ("reads", self.read)):
            if words:
                found[field] = list[Json](words)
        return found


@command(rule, "put")
def put(
    name: Name,
    cel: Annotated[str, typer.Argument(metavar="CEL", help="What must be true; see docs/rules.md.")],
    wording: Wording,
    given: options.Replacing,
    *,
    dry_run: DryRun = False,
) -> None:
    """Store a rule in the common layer, where environments that inherit obey it too. What stands must obey it already.

    Example: trimtab rule put calm 'doc.max_leverage <= 5' --documents risk.global --message "at most 5" -e base -m calm
    """
    if not wording.documents or not wording.message:
        raise UsageError("A rule needs --documents and --message", "", "Name what it is about, and what to say")
    given.refuse_early(dry_run=dry_run)
    path, value = _path(name), wording.value(cel)
    _refuse_faults(value, path)
    with connecting.store(given.directory) as store:
        notes = _notes(store, given.where, name, value)
    with connecting.writer(given.directory) as writer:
        if dry_run:
            with editing.dry_run(writer, given) as check:
                check.set(path, value)
            _tell_check(check.result, given, notes)
            return
        with editing.edit(writer, given) as edit:
            edit.set(path, value)
        tell(edit.committed, given, {"rule": name, "notes": list[Json](notes)})
        if not given.as_json:
            print_lines(notes)


@command(rule, "list")
def list_rules(given: options.Place) -> None:
    """The rules that an environment stores or inherits, and those that are built in.

    Example: trimtab rule list -e production
    """
    with connecting.store(given.directory) as store:
        stored = _stored(store, given.where)
    built_in = [one.name for one in BUILT_IN_RULES]
    if given.as_json:
        print_json(
            {"rules": [{"name": name, **_fields(value)} for name, value in stored.items()], "built_in": built_in}
        )
        return
    rows = [[name, *map(str, _cells(_fields(value)))] for name, value in stored.items()]
    print_table(["rule", "documents", "severity", "holds for", "cel"], rows)
    print_lines([f"Built in: {', '.join(built_in) or 'none'}."])


@command(rule, "get")
def get(name: Name, given: options.Place) -> None:
    """One rule, as it is stored.

    Example: trimtab rule get live_leverage -e production
    """
    with connecting.store(given.directory) as store:
        value = _named(store, given.where, name)
    if given.as_json:
        print_json({"name": name, **_fields(value)})
    else:
        print_lines(f"{field}: {_text(said)}" for field, said in _fields(value).items())


@command(rule, "test")
def try_rule(
    given: options.Reading,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A stored rule; or give --cel.")] = None,
    cel: Annotated[str | None, typer.Option("--cel", help="Try this expression, stored or not.", metavar="CEL")] = None,
    documents: Annotated[
        list[str] | None, typer.Option("--documents", help="On these documents, with --cel.", metavar="PATTERN")
    ] = None,
) -> None:
    """Ask a rule about everything that stands, as a reader with these labels sees it. Exit 4 if something breaks it.

    Example: trimtab rule test live_leverage -e production --label mode=live
    Example: trimtab rule test --cel 'doc.max_leverage < 9' --documents risk.global -e base
    """
    with connecting.store(given.directory) as store:
        value = _tried(store, given, name, cel, documents)
        found = store.queries.document(given.where, "", given.labels, given.at)
    _refuse_faults(value, _path(name or "tried"))
    (asked,) = rules_of([(name or "tried", value)])
    assert isinstance(asked, CelRule)
    seen = Standing(given.where, found.labels, thaw(found.value))
    tried, elsewhere = trial(asked, seen), holds_for(asked, seen)
    if given.as_json:
        print_json({"holds_for_reader": not elsewhere, "documents": [_told(one) for one in tried]})
    else:
        rows = [[one.document, one.problem.why if one.problem else "holds"] for one in tried]
        print_table(["document", "outcome"], rows)
        print_lines([f"Asks nothing of this reader: {elsewhere}."] if elsewhere else [])
    if any(one.problem for one in tried) and not elsewhere:
        raise typer.Exit(DocumentsRefused.exit_code)


def _tell_check(found: Validated, given: options.Replacing, notes: list[str]) -> None:
    if given.as_json:
        print_json({"paths": list(found.paths), "warnings": list(found.warnings), "notes": list[Json](notes)})
    else:
        said = f"Would change {some(found.paths)}." if found.paths else "Would change nothing."
        print_lines([said, *found.warnings, *notes])


def _notes(store: Store, where: str, name: str, value: dict[str, Json]) -> list[str]:
    """What a rule is about that is not there: it may come yet, or be misspelt."""
    known = store.forest().parents
    said = [
        f"Note: there is no environment {one} yet. {nearest(one, known)}".strip()
        for one in texts(value.get("environments"))
        if one not in known
    ]
    (asked,) = rules_of([(name, value)])
    assert isinstance(asked, CelRule)
    if not any(asked.is_about(one.path) for one in store.registry(where).find() if one.exists):
        said.append(f"Note: {where} holds no document that it is about yet: {', '.join(texts(value['documents']))}.")
    return said


def _tried(
    store: Store, given: options.Reading, name: str | None, cel: str | None, documents: list[str] | None
) -> dict[str, Json]:
    if name is None and (cel is None or not documents):
        raise UsageError("No rule is named", "", "Give NAME, or --cel with --documents")
    value = dict(_fields(_named(store, given.where, name))) if name is not None else dict[str, Json]()
    if cel is not None:
        value["cel"] = cel
    if documents:
        value["documents"] = list[Json](documents)
    return {"message": "it does not hold", **value}


def _refuse_faults(value: dict[str, Json], path: str) -> None:
    found = list(faults(value, path))
    if found:
        raise DocumentsRefused(found, "This rule is refused")


def _path(name: str) -> str:
    return paths.join((CATEGORY, name))


def _stored(store: Store, where: str) -> dict[str, Json]:
    found = thaw(store.queries.document(where, CATEGORY).value)
    return found if isinstance(found, dict) else {}


def _named(store: Store, where: str, name: str) -> Json:
    found = _stored(store, where)
    if name not in found:
        raise PathNotFound(f"There is no rule {name} in {where}", "", nearest(name, found))
    return found[name]


def _fields(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _cells(fields: dict[str, Json]) -> list[str]:
    held = [*texts(fields.get("environments")), *texts(fields.get("modes"))]
    return [
        ", ".join(texts(fields.get("documents"))),
        _text(fields.get("severity", "refuse")),
        ", ".join(held) or "all",
        _text(fields.get("cel")),
    ]


def _text(value: Json) -> str:
    return ", ".join(texts(value))


def _told(one: Tried) -> dict[str, Json]:
    return {"document": one.document, "holds": one.problem is None, "why": one.problem.why if one.problem else ""}
