"""What a watched folder tells people: each thing once, in one line."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

_log = logging.getLogger(__name__)

KEPT_LINES = 10_000
"""Lines that wait for somebody to take them; a watch that nobody asks must not grow without end."""


@dataclass(frozen=True)
class FolderProblem:
    """A file that was passed over, whole or in part, and why, in one line."""

    path: Path
    reason: str = field(default="")


class FolderReport:
    """Problems and news of a folder; written in the thread that watches, read in any.

    Parameters
    ----------
    folder
        That is watched.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._problems: dict[str, FolderProblem] = {}
        self._news: deque[str] = deque(maxlen=KEPT_LINES)
        self._told: set[str] = set()

    @property
    def problems(self) -> tuple[FolderProblem, ...]:
        """Files that are passed over now."""
        return tuple(self._problems.copy().values())

    def take_news(self) -> list[str]:
        """The lines that were not taken yet."""
        return [self._news.popleft() for _ in range(len(self._news))]

    def pass_over(self, name: str, reason: str) -> None:
        """A file is a problem."""
        before = self._problems.get(name)
        self._problems[name] = FolderProblem(self._folder / name, reason)
        if before is None or before.reason != reason:
            self.tell(reason)

    def is_fine(self, name: str) -> None:
        """A file is no problem any more."""
        self._problems.pop(name, None)

    def tell(self, line: str) -> None:
        """Say something."""
        self._news.append(line)
        _log.info("%s", line)

    def tell_once(self, about: str, line: str) -> None:
        """Say something unless it has been said, and not been taken back."""
        if about not in self._told:
            self._told.add(about)
            self.tell(line)

    def take_back(self, about: str) -> bool:
        """What was told once holds no more; whether it had been told."""
        told = about in self._told
        self._told.discard(about)
        return told

    def tell_of(self, names: Sequence[str], what: str) -> None:
        """Say something of files, once of each, in one line for those that come together."""
        new = [name for name in names if f"{name}: {what}" not in self._told]
        if new:
            self._told.update(f"{name}: {what}" for name in new)
            more = f" and {len(new) - 1} more" if len(new) > 1 else ""
            self.tell(f"{self._folder / new[0]}{more}: {what}")
