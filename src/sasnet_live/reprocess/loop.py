"""The loop that reprocesses: scan after scan of a stack through a registrar."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Protocol

from sasnet_live.frame import Pixels, Registration
from sasnet_live.layout import Layout


class SequenceRegistrar(Protocol):
    """What the loop uses of `sasnet_live.registrar.Registrar`."""

    def register(self, raw: Pixels) -> Registration: ...

    def reset(self) -> None: ...


def register_scans(
    registrar: SequenceRegistrar,
    layout: Layout,
    read: Callable[[dict[str, int]], Pixels],
    order: Sequence[str] | None = None,
    first: int = 0,
) -> Iterator[tuple[dict[str, int], Registration]]:
    """Register one frame of each scan; the running estimate is kept along time and forgotten where time begins anew.

    Parameters
    ----------
    registrar
        Reset, or as it was left by the scan before `first`.
    layout
        The stack; all channels of a place are one scan.
    read
        The frame of a scan, by the position of its first channel.
    order
        Of the axes, slowest first, channels last; by default as in `layout`.
    first
        Number of scans to leave out.

    Yields
    ------
    Position of the scan's first channel, and what was found.
    """
    channels = layout.size("c") or 1
    scans = islice(layout.indices(order), first * channels, None, channels)
    for number, where in enumerate(scans, first):
        if number and where.get("t", 0) == 0:
            registrar.reset()
        yield where, registrar.register(read(where))
