"""Imports of any length as requests of some thousand lines, so that none has to be begun anew.

A window of lines is kept until all of it is done with: after a cut it goes on behind the last line
that was told of.
"""

import json
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from typing import Final

from client.calls import row
from client.errors import Problem, RecommenderError, UnexpectedAnswer, Unreachable, problem_of
from client.models import ImportProgress, RejectedLine, Video
from client.reading import read

PATH: Final = "/v1/videos:import"
WINDOW_LINES: Final = 5000
WINDOW_BYTES: Final = 16 << 20
# A piece of lines is fused before it is told of.
SECONDS: Final = 120.0

Told = RejectedLine | ImportProgress


class Windows:
    """Gathers videos into windows."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lines: list[bytes] = []
        self._size = 0

    def add(self, video: Video) -> list[bytes] | None:
        """Add one; return the window if it is full now."""
        line = json.dumps(row(video), allow_nan=False).encode()
        self._lines.append(line)
        self._size += len(line)
        full = len(self._lines) >= WINDOW_LINES or self._size >= WINDOW_BYTES
        return self.rest() if full else None

    def rest(self) -> list[bytes]:
        """Return the window as it is, and begin another."""
        lines, self._lines, self._size = self._lines, [], 0
        return lines


def windows(videos: Iterable[Video]) -> Iterator[list[bytes]]:
    """Yield all `videos` in windows."""
    gathered = Windows()
    for one in videos:
        if full := gathered.add(one):
            yield full
    if rest := gathered.rest():
        yield rest


async def windows_async(
    videos: Iterable[Video] | AsyncIterable[Video],
) -> AsyncIterator[list[bytes]]:
    """Yield all `videos` in windows."""
    if isinstance(videos, Iterable):
        for lines in windows(videos):
            yield lines
        return
    gathered = Windows()
    async for one in videos:
        if full := gathered.add(one):
            yield full
    if rest := gathered.rest():
        yield rest


class Window:
    """One window on its way: what is left of it, and what was told of it."""

    def __init__(self, lines: Sequence[bytes], before: ImportProgress) -> None:
        """Begin behind what was done `before`."""
        self._lines = lines
        self._start = before.lines
        self._base = before
        self.done = before
        self._held: list[RejectedLine] = []
        self._ended = False
        self._problem: Problem | None = None

    @property
    def left(self) -> Sequence[bytes]:
        """The lines that are not done with."""
        return self._lines[self.done.lines - self._start :]

    def begin(self) -> bytes:
        """Return the body of a request for what is left."""
        self._base, self._held, self._ended, self._problem = self.done, [], False, None
        return b"\n".join(self.left)

    def take(self, text: str) -> list[Told]:
        """Return what one line of the reply tells for good.

        Raises:
            UnexpectedAnswer: it is no such line.
        """
        try:
            said = json.loads(text)
            event = said.pop("event")
        except (ValueError, AttributeError, KeyError) as error:
            raise UnexpectedAnswer(f"expected a line of an import, got {text[:80]!r}") from error
        if event == "rejected":
            one = read(RejectedLine, said)
            # Until its piece is recorded it may be told of again.
            self._held.append(
                RejectedLine(
                    line=self._base.lines + one.line, video_id=one.video_id, problem=one.problem
                )
            )
            return []
        progress = read(ImportProgress, said)
        if event == "ended":
            self._ended = True
            self._problem = problem_of(said["problem"]) if said.get("problem") else None
            return []
        base = self._base
        self.done = ImportProgress(
            lines=base.lines + progress.lines,
            accepted=base.accepted + progress.accepted,
            rejected=base.rejected + progress.rejected,
            position=progress.position or base.position,
            degraded=progress.degraded,
        )
        told: list[Told] = [*self._held, self.done]
        self._held = []
        return told

    def refuse(self, problem: Problem) -> None:
        """Take note that the request was refused as a whole."""
        self._problem = problem

    def fault(self) -> RecommenderError | None:
        """Return why the request that was made has not done all, if so."""
        if self._problem is not None:
            return self._problem
        return None if self._ended else Unreachable("the reply ended before the import did")
