"""Following a shared directory: from one content to the next, never backwards, never half.

What cannot be read leaves everything as it is: it is told as trouble, and tried again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from trimtab.attach_files import Bell, Directory, Generation, Head
from trimtab.model.errors import FilesRefused, TrimtabError, UnavailableError
from trimtab.shared import frames, layout
from trimtab.shared.content import Content
from trimtab.shared.frames import Frame
from trimtab.shared.head import Announcement, Attested
from trimtab.shared.layout import HashPath

_ATTEMPTS: Final = 20
"""A generation may vanish between its announcement and our opening it; then there is a newer announcement."""
_AGAIN_SECONDS: Final = 0.01
TROUBLE: Final = "shared_memory"


@dataclass(frozen=True, slots=True)
class _Place:
    """How far a log was read, and the content there."""

    generation: Generation
    frames: int
    end: int
    content: Content


class Following:
    """The newest content of a directory. Not safe for several threads at once: its caller sees to that.

    Place and content move by one assignment, and what is touched is noted before: wherever a signal's exception or a
    fork ends it, it can go on.
    """

    def __init__(self, place: str, owner: int | None, environment: str | None, hash_path: HashPath) -> None:
        """Raises `UnavailableError` while nothing is announced, `FilesRefused` for what cannot be trusted."""
        self._place, self._owner, self._hash_path = place, owner, hash_path
        self._environment = environment
        self._directory = Directory(place, owner)
        self._head = Head(self._directory)
        self.trouble = ""
        self._again = 0.0
        self._at, _ = self._open_newest()
        self.untold: frozenset[str] | None = frozenset()
        """The paths that may differ from the content that was `told` last, at least; None: any may."""
        self._environment = self.environment

    @property
    def content(self) -> Content:
        """The newest content."""
        return self._at.content

    @property
    def environment(self) -> str:
        """The environment that is served."""
        return self._at.generation.snapshot.description.environment

    @property
    def identity(self) -> dict[str, str]:
        """The labels that the sidecar passes on."""
        return dict(self._at.generation.snapshot.description.identity)

    @property
    def attested(self) -> Attested | None:
        """What the sidecar says of its freshness."""
        return self._head.attested()

    @property
    def bell(self) -> Bell:
        """True while nothing follows what was read."""
        return self._at.generation.bells.bell(self._at.frames)

    def told(self) -> None:
        """The present content is served."""
        self.untold = frozenset()

    def advance(self, *, thorough: bool = False) -> None:
        """Take what is new, if there is anything, and if it can be read.

        `thorough` looks at the head as well, and for a directory that was made anew: for whoever has the time.
        """
        rung = self._at.generation.bells.rung(self._at.frames)
        if not thorough and (not rung or (self.trouble and time.monotonic() < self._again)):
            return
        try:
            if thorough and self._reopen():
                self._take_over()
            else:
                self._take(rung=rung)
            self.trouble = ""
        except (TrimtabError, OSError) as error:
            self.trouble = f"what is new in {self._place} cannot be read: {error}"
            self._again = time.monotonic() + _AGAIN_SECONDS

    def _take(self, *, rung: bool) -> None:
        taken: list[Frame] = []
        refused: FilesRefused | None = None
        at, end = self._at, self._at.end
        if rung:
            try:
                for frame, after in at.generation.frames(at.frames, end):
                    taken.append(frame)
                    end = after
            except FilesRefused as error:
                refused = error
        if taken:
            self._touch(path for frame in taken for path in frame.records)
            self._at = _Place(at.generation, at.frames + len(taken), end, at.content.following(taken))
            if refused is None:
                return  # the log goes on: a generation that ends rings all its bells
        newest = self._head.newest()
        if newest is not None and newest.generation != at.generation.number:
            self._take_over()
        elif refused is not None and not taken:
            raise refused

    def _touch(self, touched: Iterable[str] | None) -> None:
        known = self.untold
        self.untold = None if known is None or touched is None else known.union(touched)

    def _take_over(self) -> None:
        """Go on with the newest generation: without a break, if the old log led to where the new one begins."""
        place, announced = self._open_newest()
        self._touch(_join(self._at.content, place.generation, announced))
        self._at = place

    def _open_newest(self) -> tuple[_Place, list[Frame]]:
        """The newest generation with all frames that were announced."""
        gone: OSError | None = None
        for _ in range(_ATTEMPTS):
            newest = self._head.newest()
            if newest is None:
                raise UnavailableError(
                    f"Nothing is announced in {self._place}", "the sidecar has nothing to serve yet", "Wait for it"
                )
            try:
                return self._open(newest)
            except FileNotFoundError as error:
                gone = error
            except FilesRefused:
                if self._head.newest() == newest:
                    raise
        raise UnavailableError(
            f"What {self._place} announces is not there", "its files were removed", "Start the sidecar again"
        ) from gone

    def _open(self, newest: Announcement) -> tuple[_Place, list[Frame]]:
        generation = Generation(self._directory, newest.generation, self._hash_path)
        served = generation.snapshot.description.environment
        if self._environment not in {None, served}:
            raise FilesRefused(
                f"The directory {self._place} is refused",
                f"it serves the environment {served}, not {self._environment}",
                "Name the directory of the right sidecar",
            )
        taken: list[Frame] = []
        end = frames.FIRST
        try:
            for frame, after in generation.frames(0, end, announced=newest.frames):
                taken.append(frame)
                end = after
        except FilesRefused:
            if len(taken) < newest.frames:
                raise
            # a bell rang without a frame: who looks next will see what the head says by then
        content = generation.content.following(taken)
        if content.position < newest.position:
            raise FilesRefused(
                f"The directory {self._place} is refused", "its log is shorter than announced", "Restart the sidecar"
            )
        return _Place(generation, len(taken), end, content), taken

    def _reopen(self) -> bool:
        """Follow a directory, or a head, that was made anew under the same name; whether it was."""
        directory = Directory(self._place, self._owner)
        if directory.open(layout.HEAD).identity == self._head.identity:
            return False
        self._directory, self._head = directory, Head(directory)
        return True


def _join(before: Content, generation: Generation, announced: Iterable[Frame]) -> frozenset[str] | None:
    """The paths that the frames of a new generation touch after a state that we had; None if it was not among them."""
    touched: set[str] = set()
    wanted = (before.position.epoch, before.position.revision, before.hash)
    first = generation.content
    known = (first.position.epoch, first.position.revision, first.hash) == wanted
    for frame in announced:
        if known:
            touched.update(frame.records)
        known = known or (frame.epoch, frame.revision, frame.hash) == wanted
    return frozenset(touched) if known else None
