"""Which displacement moves which channel: each its own, or all that of one channel of the same scan."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.frame import Frame, Pixels, Registration
from sasnet_live.layout import Layout

_REMEMBERED_SCANS = 16


class FrameRegistrar(Protocol):
    """What is used of `sasnet_live.registrar.Registrar`."""

    def register(self, raw: Pixels) -> Registration: ...

    def apply(self, raw: Pixels, registration: Registration) -> Registration: ...

    def reset(self) -> None: ...

    def warm_up(self, shape: tuple[int, int], dtype: np.dtype[Any]) -> None: ...


class ChannelRegistrar:
    """Registers the frames of an acquisition: the `process` of a `LivePipeline`, and its `prepare`.

    ::

        process = ChannelRegistrar(Registrar)
        pipeline = LivePipeline(process, sinks, policy="all", prepare=process.prepare)

    Parameters
    ----------
    make_registrar
        Called once a channel, because the passes of each channel differ in their own way and so does the running
        estimate; once in all with `align_on`.
    align_on
        Channel, by number or name, in which the displacement is found; the others of the same scan (same time, depth,
        position) are moved with it. None: each channel is registered by itself. Streams of one channel are registered
        as they are, see `take_remark`. A channel that is acquired before the chosen one is registered by itself,
        because its displacement is not known yet when the frame is due: acquire the chosen channel first.
    """

    def __init__(self, make_registrar: Callable[[], FrameRegistrar], align_on: int | str | None = None) -> None:
        self._make_registrar = make_registrar
        self._align_on = align_on
        self._reference: int | None = None
        self._remark = ""
        self._has_remarked = False
        self._registrars: dict[int, FrameRegistrar] = {}
        self._warm: dict[int, tuple[tuple[int, ...], np.dtype[Any]]] = {}
        self._scans: OrderedDict[tuple[tuple[str, int], ...], Registration] = OrderedDict()

    def prepare(self, stream: Layout) -> None:
        """Load and compile for the frames of a stream, and forget what was found in the one before.

        Raises
        ------
        InputError
            If the stream has channels, but not the one to align on.
        """
        self._reference = channel_to_align_on(stream, self._align_on)
        if self._align_on is not None and not has_channels(stream) and not self._has_remarked:
            self._has_remarked = True
            self._remark = (
                f"the channel to align on, {str(self._align_on)!r}, is not used: frames come in one channel and are "
                "registered by themselves"
            )
        self._scans.clear()
        for registrar in self._registrars.values():
            registrar.reset()
        for channel in range((stream.size("c") or 1) if self._reference is None else 1):
            registrar = self._registrar(channel)
            shape_and_type = stream.frame_shape, stream.dtype
            if len(stream.frame_shape) == 2 and self._warm.get(channel) != shape_and_type:
                registrar.warm_up(stream.frame_shape, stream.dtype)
                self._warm[channel] = shape_and_type

    def __call__(self, frame: Frame) -> Registration:
        """Register one frame."""
        channel = frame.index.get("c", 0)
        if self._reference is None:
            return self._registrar(channel).register(frame.data)
        scan = _scan_of(frame.index)
        if channel != self._reference:
            found = self._scans.get(scan)
            if found is not None:
                return self._registrar(0).apply(frame.data, found)
            # Apart from the registrar of the chosen channel, whose running estimate is of that channel only.
            return self._registrar(channel + 1).register(frame.data)
        registration = self._registrar(0).register(frame.data)
        self._scans[scan] = registration
        if len(self._scans) > _REMEMBERED_SCANS:
            self._scans.popitem(last=False)
        return registration

    def take_remark(self) -> str:
        """What a user should know of the streams so far, once, in one line; or empty. For any thread."""
        remark, self._remark = self._remark, ""
        return remark

    def describe(self) -> dict[str, str]:
        """What registers, for the record in a file."""
        registrar = self._registrar(0)
        about: dict[str, str] = dict(registrar.describe()) if hasattr(registrar, "describe") else {}
        return about if self._align_on is None else {**about, "align_on": str(self._align_on)}

    def _registrar(self, number: int) -> FrameRegistrar:
        if number not in self._registrars:
            self._registrars[number] = self._make_registrar()
        return self._registrars[number]


def has_channels(stream: Layout) -> bool:
    """Whether there is more than one channel."""
    return (stream.size("c") or 1) > 1


def channel_to_align_on(stream: Layout, wanted: int | str | None) -> int | None:
    """Number of the channel whose displacement moves all others; None where each is registered by itself.

    Raises
    ------
    InputError
        If the stream has channels, but not this one.
    """
    if wanted is None or not has_channels(stream):
        return None
    count = stream.size("c") or 1
    names = stream.channel_names
    if wanted in names:
        return names.index(str(wanted))
    number = int(wanted) if str(wanted).isdecimal() else -1
    if not 0 <= number < count:
        known = ", ".join(names) or f"0 to {count - 1}"
        raise InputError(f"align_on is {wanted!r}; the channels are {known}: choose one of them")
    return number


def _scan_of(index: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    """Position of a frame in everything but channel."""
    return tuple(sorted((axis, position) for axis, position in index.items() if axis != "c"))
