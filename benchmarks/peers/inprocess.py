"""Readers of libraries that hold all in the process: a dict, pydantic, pydantic-settings, dynaconf, OmegaConf."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from benchmarks.peers import content
from benchmarks.peers.reading import Place, Reading

_TRIES = 20


class Holder:
    """One reference that is swapped; `o` stands for it in an expression."""

    def __init__(self, held: Any) -> None:
        self.held = held


def plain(place: Place) -> Reading:
    """The base of every ratio: a flat dict."""
    key = content.path(place["items"])
    values = _flat(json.loads(Path(place["file"]).read_text()))
    holder = Holder(values)

    def change(sort: str, value: float, file: str) -> None:
        if sort == "one key":
            holder.held[key] = value
        else:
            holder.held = _flat(json.loads(Path(file).read_text()))

    return Reading(read=lambda: holder.held[key], expression="o[k]", names={"o": values, "k": key}, change=change)


def _flat(nested: dict[str, Any]) -> dict[str, Any]:
    return {f"desk.{name}.{field}": value for name, fields in nested["desk"].items() for field, value in fields.items()}


def _models(base: Any) -> Any:
    """A model with a field for each document, as a user has whose configuration is typed."""
    pydantic: Any = importlib.import_module("pydantic")
    frozen = pydantic.ConfigDict(frozen=True)
    fields: dict[str, Any] = {"field_0": (float, ...), "field_1": (str, ...), "field_2": (bool, ...),
                              "field_3": (int, ...), "field_4": (tuple[str, ...], ...)}  # fmt: skip
    document = pydantic.create_model("Document", __config__=frozen, **fields)
    of_documents: Any = dict  # what it holds is made here, and no type that a checker knows
    read = pydantic.create_model(
        "Read", __config__=frozen, **{base: (document, ...), "others": (of_documents[str, document], ...)}
    )
    return pydantic.create_model("Configuration", __config__=frozen, desk=(read, ...))


def _typed(file: str, name: str) -> dict[str, Any]:
    documents = json.loads(Path(file).read_text())["desk"]
    return {"desk": {name: documents.pop(name), "others": documents}}


def model(place: Place) -> Reading:
    """A frozen pydantic model: the document that is read is a field, the others are in a dict."""
    name = content.document(place["items"])
    kind = _models(name)
    holder = Holder(kind.model_validate(_typed(place["file"], name)))

    def change(_sort: str, _value: float, file: str) -> None:
        holder.held = kind.model_validate(_typed(file, name))

    return Reading(
        read=lambda: getattr(holder.held.desk, name).field_0,
        expression=f"o.held.desk.{name}.field_0",
        names={"o": holder},
        change=change,
    )


def pydantic_settings(place: Place) -> Reading:
    """Settings that read a JSON file."""
    pydantic: Any = importlib.import_module("pydantic")
    library: Any = importlib.import_module("pydantic_settings")
    name = content.document(place["items"])
    inner = _models(name).model_fields["desk"].annotation
    file = [place["file"]]

    class Source(library.JsonConfigSettingsSource):  # type: ignore[misc]  # the library is not typed here
        """The file, with the document that is read beside the others, as the model has them."""

        def _read_file(self, file_path: Path) -> dict[str, Any]:
            return _typed(str(file_path), name)

    def sources(_kind: Any, settings_cls: Any, *_others: Any, **_named: Any) -> tuple[Any, ...]:
        return (Source(settings_cls, json_file=file[0]),)

    kind: Any = pydantic.create_model("Settings", __base__=library.BaseSettings, desk=(inner, ...))
    kind.settings_customise_sources = classmethod(sources)
    holder = Holder(kind())

    def change(_sort: str, _value: float, changed: str) -> None:
        file[0] = changed
        holder.held = kind()

    return Reading(
        read=lambda: getattr(holder.held.desk, name).field_0,
        expression=f"o.held.desk.{name}.field_0",
        names={"o": holder},
        change=change,
    )


def dynaconf(place: Place) -> Reading:
    """Dynaconf over a JSON file, read by attributes, as its documentation reads."""
    library: Any = importlib.import_module("dynaconf")
    name = content.document(place["items"])
    settings: Any = library.Dynaconf(settings_files=[place["file"]], environments=False)

    def read() -> object:
        return getattr(settings.desk, name).field_0

    def change(sort: str, value: float, file: str) -> None:
        for _ in range(_TRIES):  # beside a thread that reads, what is set may be lost
            if sort == "one key":
                settings.set(content.path(place["items"]), value)
            else:
                settings.load_file(path=file)
            if read() == value:
                return

    return Reading(
        read=read,
        expression=f"o.desk.{name}.field_0",
        names={"o": settings},
        change=change,
    )


def omegaconf(place: Place) -> Reading:
    """OmegaConf, made of the parsed file, read by attributes."""
    library: Any = importlib.import_module("omegaconf").OmegaConf
    name = content.document(place["items"])
    holder = Holder(library.create(json.loads(Path(place["file"]).read_text())))

    def change(sort: str, value: float, file: str) -> None:
        if sort == "one key":
            library.update(holder.held, content.path(place["items"]), value)
        else:
            holder.held = library.create(json.loads(Path(file).read_text()))

    return Reading(
        read=lambda: getattr(holder.held.desk, name).field_0,
        expression=f"o.desk.{name}.field_0",
        names={"o": holder.held},
        change=change,
    )
