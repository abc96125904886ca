"""The registrar's temporal state, kept beside a partial file so that a resumed run goes on as if it had not stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from sasnet_live.errors import InputError
from sasnet_live.files import partial_path, write_whole

STATE_EVERY = 8
"""Scans between two times that the state is kept: what came after is registered again on `resume`, and writing 0.3 MB
(512 x 512 px) is not felt."""


@runtime_checkable
class Stateful(Protocol):
    """A registrar whose temporal state can be kept."""

    def save_state(self) -> bytes: ...

    def load_state(self, content: bytes) -> None: ...


class KeptState:
    """The file ``NAME.partial.state``: after how many scans, in ASCII on the first line, and the state.

    Parameters
    ----------
    target
        The output that it lies beside, by its final name.
    registrar
        Whose state it is; one that is not `Stateful` has none to keep.
    """

    def __init__(self, target: Path, registrar: object) -> None:
        partial = partial_path(target)
        self._path = partial.with_name(partial.name + ".state")
        self._registrar = registrar if isinstance(registrar, Stateful) else None

    @property
    def possible(self) -> bool:
        """Whether there is a state to keep."""
        return self._registrar is not None

    def keep(self, scans: int) -> None:
        """Keep it, every so often."""
        if self._registrar is not None and scans % STATE_EVERY == 0:
            write_whole(self._path, b"%d\n" % scans + self._registrar.save_state())

    def take_up(self, done: int) -> int | None:
        """Have the registrar as it was after so many scans or fewer; after how many. None if that is not known."""
        if self._registrar is None:
            return None
        try:
            scans, _, content = self._path.read_bytes().partition(b"\n")
            if int(scans) > done:
                return None
            self._registrar.load_state(content)
            return int(scans)
        except (OSError, ValueError, InputError):
            return None

    def remove(self) -> None:
        """It is of no use any more."""
        self._path.unlink(missing_ok=True)
