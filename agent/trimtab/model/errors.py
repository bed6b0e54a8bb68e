"""Every error that Trimtab raises on purpose.

    TrimtabError                       exit 1   something of ours failed
    ├── UsageError                     exit 2   the call itself is wrong
    │   ├── PathError                           a path outside the grammar or its limits
    │   ├── LayerError                          a selector, dimension or label outside the grammar
    │   └── SettingError                        a flag, variable or file that configures us
    ├── NotFoundError                  exit 3   (also a KeyError)
    │   ├── PathNotFound                        nothing resolves at this path
    │   ├── EnvironmentNotFound
    │   └── RevisionNotFound
    ├── ValidationError                exit 4   refused by a rule, nothing changed
    │   ├── ValueRefused                        JSON outside the limits
    │   ├── LayerConflict                       a scalar and a subtree at one path
    │   ├── StructureRefused                    environments or dimensions that cannot be
    │   ├── HookRefused                         a validation hook said no
    │   ├── DocumentsRefused                    documents that break rules (trimtab.model.problems)
    │   └── ModelRefused                        a binding's model refused a value
    ├── ConflictError                  exit 5   somebody else was first
    │   ├── ExpectationFailed                   `expect` no longer holds
    │   ├── IdempotencyMismatch                 the same key with other edits
    │   ├── Contention                          the head kept moving
    │   └── DirectoryHeld                       another process holds this directory
    ├── UnavailableError               exit 6   a server or file that we need is not there
    │   ├── FeedUnavailable                     one feed cannot answer
    │   │   └── FeedDenied         exit 7       its server refuses us: a wrong password, a missing right
    │   ├── PersistFailed                       the agent's directory could not be written
    │   ├── NotMigrated                         no schema yet, or one newer than the code
    │   └── OutcomeUnknown                      COMMIT was sent, its answer never came
    ├── DeniedError                    exit 7   not allowed
    │   ├── SignatureRefused                    not signed by a key that we trust
    │   ├── RequirementFailed                   `require=` no longer holds
    │   └── FilesRefused                        a foreign, corrupt or unsafe file
    └── NotServedEverywhere            exit 8   committed, but stragglers remain

Exit 9 (awaiting approval) is kept for proposals.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from trimtab.model.canonical import Json


class TrimtabError(Exception):
    """What was refused, why, and what to do.

    `what` and `why` are sentences without a full stop at the end; `remedy` is the next step for a person. `code` is
    stable: programs may match it.
    """

    code: ClassVar[str] = "internal"
    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, why: str = "", remedy: str = "") -> None:
        self.what, self.why, self.remedy = what, why, remedy
        super().__init__(what)

    def __str__(self) -> str:
        said = f"{self.what}: {self.why}" if self.why else self.what
        return " ".join(_sentence(part) for part in (said, self.remedy) if part)

    def to_dict(self) -> dict[str, Json]:
        """The error for programs: code, what, why and remedy; some errors have more to say."""
        return {"code": self.code, "what": self.what, "why": self.why, "remedy": self.remedy}


class UsageError(TrimtabError):
    """The call itself is wrong."""

    code = "usage"
    exit_code = 2


class PathError(UsageError):
    """A path outside the grammar or its limits."""

    code = "path"


class LayerError(UsageError):
    """A selector, dimension or label outside the grammar."""

    code = "layer"


class SettingError(UsageError):
    """A flag, variable or file that configures us cannot be used."""

    code = "setting"


class NotFoundError(TrimtabError, KeyError):
    """What was asked for is not there."""

    code = "not_found"
    exit_code = 3


class PathNotFound(NotFoundError):
    """Nothing resolves at a path."""

    code = "path_not_found"


class EnvironmentNotFound(NotFoundError):
    """No environment has this name."""

    code = "environment_not_found"


class RevisionNotFound(NotFoundError):
    """No revision has this number."""

    code = "revision_not_found"


class ValidationError(TrimtabError):
    """Refused by a rule; nothing changed."""

    code = "refused"
    exit_code = 4


class ValueRefused(ValidationError):
    """JSON outside the limits."""

    code = "value"


class LayerConflict(ValidationError):
    """A scalar and a subtree at one path, in two layers that one reader can see."""

    code = "layer_conflict"


class StructureRefused(ValidationError):
    """Environments or dimensions that cannot be."""

    code = "structure"


class HookRefused(ValidationError):
    """A validation hook said no."""

    code = "hook"


class ModelRefused(ValidationError):
    """A binding's model refused a value."""

    code = "model"


class ConflictError(TrimtabError):
    """Somebody else was first."""

    code = "conflict"
    exit_code = 5


class ExpectationFailed(ConflictError):
    """What an edit was based on has changed since."""

    code = "expectation"


class IdempotencyMismatch(ConflictError):
    """An idempotency key was used before, with other edits."""

    code = "idempotency"


class Contention(ConflictError):
    """The head kept moving."""

    code = "contention"


class DirectoryHeld(ConflictError):
    """Another process holds this directory."""

    code = "directory_held"


class UnavailableError(TrimtabError):
    """A server or file that we need is not there."""

    code = "unavailable"
    exit_code = 6


class FeedUnavailable(UnavailableError):
    """One feed cannot answer."""

    code = "feed"


class FeedDenied(FeedUnavailable):
    """A feed's server refuses us: a wrong password, a missing right."""

    code = "feed_denied"
    exit_code = 7


class PersistFailed(UnavailableError):
    """The agent's directory could not be written; what is in memory goes on."""

    code = "persist"


class NotMigrated(UnavailableError):
    """The database has no schema yet, or one newer than the code."""

    code = "not_migrated"


class OutcomeUnknown(UnavailableError):
    """COMMIT was sent and its answer never came."""

    code = "outcome_unknown"


class DeniedError(TrimtabError):
    """Not allowed."""

    code = "denied"
    exit_code = 7


class SignatureRefused(DeniedError):
    """Not signed by a key that we trust."""

    code = "signature"


class RequirementFailed(DeniedError):
    """What a process asserted with `require=` does not hold."""

    code = "requirement"


class FilesRefused(DeniedError):
    """A foreign, corrupt or unsafe file."""

    code = "files"


class NotServedEverywhere(TrimtabError):
    """Committed, but stragglers remain."""

    code = "not_served_everywhere"
    exit_code = 8


def _sentence(text: str) -> str:
    return text if text.endswith(("?", "!", ".")) else f"{text}."


def nearest(name: str, known: Iterable[str]) -> str:
    """A remedy that names the known word closest to `name`, or the empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"Did you mean {close[0]}?" if close else ""
