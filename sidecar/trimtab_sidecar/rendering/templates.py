"""Templates: sandboxed Jinja in which an unknown name is an error.

    {"max_leverage": {{ config.risk.global.max_leverage }}, "limits": {{ config.risk.exchange_limits | tojson }},
     "pairs": {{ value("strategy.mm.symbols", ["BTC-USD"]) | tojson }}, "revision": {{ revision }}}

What goes wrong is told by line and kind, and by a name only where the template itself holds it: never by a value.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeAlias

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateSyntaxError, UndefinedError
from jinja2 import Template as JinjaTemplate
from jinja2.sandbox import ImmutableSandboxedEnvironment

from trimtab.model import canonical
from trimtab.model.errors import PathNotFound, TrimtabError, ValidationError
from trimtab.model.links import Position
from trimtab.model.resolution import Absent
from trimtab.model.views import View
from trimtab_sidecar.rendering import tree
from trimtab_sidecar.rendering.tree import Seen, Tree

MAX_BYTES: Final = 16 * 1024 * 1024
MAX_USED: Final = 256
"""Files of one template that are looked at for changes."""
_REQUIRED: Final = object()
Stamp: TypeAlias = tuple[int, int, int]
_NAMED: Final = re.compile(r"'([^']*)'")


class Template:
    """One template file. It may include files beside it, and nothing else."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._loader = _Loader(path)
        self._environment = ImmutableSandboxedEnvironment(
            loader=self._loader,
            undefined=StrictUndefined,
            autoescape=False,
            keep_trailing_newline=True,
        )
        self._environment.filters["tojson"] = _to_json
        self._environment.filters["items"] = _items
        self._known: tuple[str, JinjaTemplate] | None = None

    def changed(self) -> bool:
        """Whether it, or a file that it has included, is another one than was rendered last. Runs on any thread."""
        return any(_stamp(path) != stamp for path, stamp in self._loader.used.items())

    def render(self, environment: str, position: Position, view: View) -> bytes:
        """The whole file. Raises `ValidationError`; whatever a template does, nothing else. Runs on any thread."""
        self._loader.begin()
        source = self._source()
        try:
            text = self._compiled(source).render(
                config=Tree(view.index.branches),
                value=_lookup(view),
                environment=environment,
                epoch=position.epoch,
                revision=position.revision,
                labels=dict(view.labels),
            )
        except TemplateSyntaxError as error:
            raise self._refused(f"line {error.lineno}: {error.message}") from None
        except Exception as error:  # noqa: BLE001 - a template can raise anything; its text may hold values
            raise self._refused(_said(error, source if isinstance(error, UndefinedError) else "")) from None
        content = text.encode()
        if len(content) > MAX_BYTES:
            raise self._refused(f"it makes more than {MAX_BYTES} bytes")
        return content

    def _source(self) -> str:
        try:
            return self.path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise self._refused(getattr(error, "strerror", None) or type(error).__name__) from None

    def _compiled(self, source: str) -> JinjaTemplate:
        """Compiling costs more than rendering, and templates seldom change."""
        if self._known is None or self._known[0] != source:
            self._known = (source, self._environment.from_string(source))
        return self._known[1]

    def _refused(self, why: str) -> ValidationError:
        return ValidationError(f"The template {self.path} cannot be rendered", why, "Correct it, or the configuration")


class _Loader(FileSystemLoader):
    """Notes which files were used, and which of their contents: what stands there before one is read."""

    def __init__(self, path: Path) -> None:
        super().__init__(path.parent)
        self._path = path
        self.used: dict[Path, Stamp | None] = {}

    def begin(self) -> None:
        """A rendering begins; what it includes, and is in Jinja's memory already, is looked at again by Jinja."""
        if len(self.used) > MAX_USED:  # names that are made up as a template goes along
            self.used.clear()
        self.used.update({path: _stamp(path) for path in (*self.used, self._path)})

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        """See `jinja2.BaseLoader.get_source`."""
        path = self._path.parent / template
        self.used[path] = _stamp(path)
        return super().get_source(environment, template)


def _stamp(path: Path) -> Stamp | None:
    """What tells one content of a file from the next; None where there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _lookup(view: View) -> Callable[..., Any]:
    def value(path: str, default: object = _REQUIRED) -> Any:
        found = tree.at(view, path)
        if not isinstance(found, Absent):
            return found
        if default is _REQUIRED:
            raise PathNotFound(f"Nothing is set at {path}")
        return default

    return value


def _to_json(value: object) -> str:
    """Canonical JSON, instead of Jinja's for web pages."""
    return canonical.encode(tree.plain(value)).decode()


def _items(value: Any) -> Iterable[tuple[str, Seen]]:
    """Name and value of each child, sorted."""
    return [(name, value[name]) for name in sorted(value)]


def _said(error: Exception, source: str) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<template>"]
    where = f"line {lines[-1]}: " if lines else ""
    if isinstance(error, TrimtabError):
        return f"{where}{error.code}"
    names = [name for name in _NAMED.findall(str(error)) if source and re.search(rf"\b{re.escape(name)}\b", source)]
    about = f" of {names[-1]!r}" if names else ""
    return f"{where}{type(error).__name__}{about}"
