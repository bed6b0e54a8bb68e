"""Plans for programs and people: what is secret is masked, and every value says where it comes from."""

from __future__ import annotations

import re
from typing import Final

from trimtab.model import canonical, paths
from trimtab.model.canonical import Json
from trimtab.model.problems import MASK
from trimtab.model.trees import HIDDEN
from trimtab_store.masking import Secrets
from trimtab_store.sources.planning import EnvironmentPlan, TreePlan
from trimtab_store.sources.target import Origin
from trimtab_store.writer import Difference

# Words in the name of a variable or a field that no category knows.
_SECRET: Final = re.compile(r"key|secret|token|passw|credential|private|passphrase|mnemonic", re.IGNORECASE)


def to_dict(plan: TreePlan) -> dict[str, Json]:
    """A plan for programs."""
    return {
        "changes": plan.changes,
        "environments": [environment_to_dict(one) for one in plan.environments],
        "notes": list(plan.notes),
    }


def environment_to_dict(plan: EnvironmentPlan) -> dict[str, Json]:
    """The plan of one environment for programs."""
    return {
        "environment": plan.name,
        "creates": plan.creates,
        "differences": [row(one, plan.origin(one), plan.secrets) for one in plan.differences],
        "left": plan.left,
        "warnings": list(plan.warnings),
    }


def row(one: Difference, origin: Origin | None, secrets: Secrets) -> dict[str, Json]:
    """One item that would change, old → new; `source` is the file or variable that the new value comes from."""
    masked = is_secret(one.path, origin, secrets)
    return {
        "environment": one.environment,
        "layer": one.layer or "common",
        "path": one.path,
        "old": _content(one.old, masked=masked),
        "new": _content(one.new, masked=masked),
        "source": origin.source if origin else "",
    }


def is_secret(path: str, origin: Origin | None, secrets: Secrets) -> bool:
    """Whether a value is never shown: a secret field, or one that variables with a secret's name were made of."""
    if secrets.hold(path):
        return True
    if origin is None or not origin.variables:
        return False
    return any(_SECRET.search(name) for name in (paths.last(path), *origin.variables))


def _content(content: bytes | None, *, masked: bool) -> Json:
    if content is None:
        return {"absent": True}
    if content == HIDDEN:
        return {"hidden": True}
    return MASK if masked else canonical.trusted(content)
