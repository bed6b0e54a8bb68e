"""Labels: from the identity that a process claims to the labels that it is read with.

Attribute labels (mode, strategy, any other) come from configuration, `fleet.bots.<bot>.labels`, a flat object that is
resolved with the identity labels only. So moving a bot from paper to live is one audited change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trimtab.model import canonical, layers, paths, resolution, trees
from trimtab.model.errors import LayerError, TrimtabError, ValueRefused
from trimtab.model.states import State
from trimtab.model.trees import HIDDEN
from trimtab.model.values import Document

_PREFIX: Final = ("fleet", "bots")
_DEPTH: Final = 5  # fleet.bots.<bot>.labels.<dimension>


def labels_path(bot: str) -> str:
    """Where the attribute labels of a bot sit."""
    return paths.join((*_PREFIX, bot, "labels"))


def effective(state: State, identity: Mapping[str, str]) -> dict[str, str]:
    """The labels that a process is read with: its identity and the attributes that configuration gives its bot."""
    bot = identity.get("bot")
    if bot is None:
        return dict(identity)
    return with_attributes(identity, resolution.resolve_at(state, identity, labels_path(bot)))


def with_attributes(identity: Mapping[str, str], attributes: object) -> dict[str, str]:
    """An identity with the attributes that resolve for it, `ABSENT` where there are none.

    What could not have passed `check_edit` is left out rather than trusted.
    """
    if not isinstance(attributes, Document):
        return dict(identity)
    found = {
        dimension: label
        for dimension, label in attributes.items()
        if dimension not in layers.IDENTITY_DIMENSIONS and isinstance(label, str) and _is_label(dimension, label)
    }
    return {**found, **identity}


def declared_bots(state: State) -> list[str]:
    """The bots that `fleet.bots` names in any layer, sorted."""
    found: set[str] = set()
    for tree in state.trees.values():
        branch = trees.descend(tree, _PREFIX)
        found.update([] if branch is None else trees.segments_of([branch]))
    return sorted(found)


def is_label_path(path: str) -> bool:
    """Whether a path lies in, or above, some bot's labels, so that changing it may change labels."""
    segments = paths.parse(path)
    return segments[:2] == _PREFIX[: len(segments)] and (len(segments) < _DEPTH - 1 or segments[3] == "labels")


def check_edit(layer: str, path: str, content: bytes | None) -> None:
    """Refuse an item in `fleet.bots.<bot>.labels`, or a tombstone above, that could not decide labels.

    Raises `LayerError` for an identity dimension or for a selector on an attribute label around it, `ValueRefused` for
    a label that is not a string in a flat object.
    """
    if content is None or not is_label_path(path):
        return
    segments = paths.parse(path)
    if len(segments) < _DEPTH - 1 and content != HIDDEN:
        return
    _check_around(layer, path)
    if content == HIDDEN or (len(segments) == _DEPTH - 1 and content == b"{}"):
        return
    if len(segments) != _DEPTH or not content.startswith(b'"'):
        raise ValueRefused(
            f"The value at {path} is refused", "labels are a flat object of strings", "Write dimension: label"
        )
    if segments[4] in layers.IDENTITY_DIMENSIONS:
        raise LayerError(
            f"{path} is refused", f"{segments[4]} is an identity label, which the process brings", "Remove it"
        )
    layers.check_label(segments[4], canonical.trusted(content))


def _check_around(layer: str, path: str) -> None:
    around = [dimension for dimension in layers.parse(layer).dimensions if dimension not in layers.IDENTITY_DIMENSIONS]
    if around:
        raise LayerError(
            f"{path} is refused in the layer {layer}",
            f"labels are resolved before {around[0]} is known",
            "Use the common layer, or a selector on node, region or bot",
        )


def _is_label(dimension: str, label: str) -> bool:
    try:
        layers.check_label(dimension, label)
    except TrimtabError:
        return False
    return True
