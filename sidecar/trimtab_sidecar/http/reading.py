"""Reading: one value, a subtree, or a whole view, as canonical JSON under an ETag."""

from __future__ import annotations

from aiohttp import hdrs, web

from trimtab.model import canonical, layers, paths, resolution
from trimtab.model.errors import PathNotFound
from trimtab.model.values import thaw
from trimtab.model.views import View
from trimtab_sidecar.http import answers, asking
from trimtab_sidecar.http.bodies import Bodies
from trimtab_sidecar.http.health import not_ready
from trimtab_sidecar.node import Node


class Reading:
    """Answers with what the readers of some labels see at the served revision."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._bodies = Bodies()

    async def value(self, request: web.Request) -> web.Response:
        """`/v1/values/PATH`: a leaf or a subtree."""
        view, headers = self._asked(request)
        path = paths.canonical(request.match_info["path"])
        branches = resolution.branches_at(view.index.branches, paths.parse(path))
        first = next(resolution.leaves(branches, path), None)
        if first is None:
            view.index[path]  # raises `PathNotFound`, with the nearest name
            raise PathNotFound(f"Nothing is set at {path}")
        if self._is_known(request, headers):
            return web.Response(status=304, headers=headers)
        found, content = first
        if found != path:
            content = await self._whole(view, path)
        return web.Response(body=content, headers=headers, content_type=answers.JSON)

    async def view(self, request: web.Request) -> web.Response:
        """`/v1/view`: everything."""
        view, headers = self._asked(request)
        if self._is_known(request, headers):
            return web.Response(status=304, headers=headers)
        return web.Response(body=await self._whole(view, ""), headers=headers, content_type=answers.JSON)

    def _asked(self, request: web.Request) -> tuple[View, dict[str, str]]:
        """The view of the labels that a request speaks for, and the headers that name it."""
        asking.parameters(request)
        identity = asking.identity(request, self._node.identity)
        if not self._node.has_data:
            raise not_ready(self._node)
        view = self._node.view(identity)
        named = asking.tag(self._node.position, view.labels, self._node.overlaid.variant)
        # of this revision, also where a newer one is served by the time that the body is ready
        served = {**answers.of_position(self._node.position), **answers.of_overrides(self._node)}
        return view, {**served, hdrs.ETAG: f'"{named}"', "Trimtab-Labels": layers.of(view.labels).text}

    def _is_known(self, request: web.Request, headers: dict[str, str]) -> bool:
        return asking.knows(request, headers[hdrs.ETAG].strip('"'))

    async def _whole(self, view: View, path: str) -> bytes:
        def encode() -> bytes:
            value = resolution.resolve(resolution.branches_at(view.index.branches, paths.parse(path) if path else ()))
            return canonical.encode(thaw(value) if not isinstance(value, resolution.Absent) else {})

        labels = f"{self._node.overlaid.variant} {layers.of(view.labels).text}"
        return await self._bodies.of(self._node.position, (labels, path), encode)
