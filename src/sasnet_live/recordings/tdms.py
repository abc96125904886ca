"""Reading LabVIEW's TDMS files: channels that are lines, frames, or runs of frames."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sasnet_live.errors import InputError

from .arrays import ArrayRecording, Found, check_values_of
from .damage import by, damage_in_one_line, no_such_file
from .optional import library
from .recording import Recording
from .settings import ReadSettings

_SEGMENT_TAG = b"TDSm"
_LONGEST_NAMES = 12  # names of channels in an error
_AXES_OF_A_GROUP = {1: "yx", 2: "tyx", 3: "ctyx"}
"""Axes of a group of several channels, by how many axes the values of each have."""


def open_tdms(paths: Sequence[Path], settings: ReadSettings) -> Recording:
    """Open a TDMS file; for `sasnet_live.recordings.open_recording`.

    `ReadSettings.dataset` names a group or ``group/channel``, `ReadSettings.raw_shape` the shape of a channel's values.
    Of a group of several channels, each channel is a line, a frame (H,W) or a run of frames (T,H,W).
    """
    path = paths[0]
    no_such_file(path)
    nptdms = library("nptdms", "tdms", path)
    with path.open("rb") as file:
        if file.read(len(_SEGMENT_TAG)) != _SEGMENT_TAG:
            raise InputError(f"{path}: no TDMS file, or damaged; copy or export it again")
    with damage_in_one_line(path, "TDMS"):
        file = nptdms.TdmsFile.open(str(path))
    try:
        with damage_in_one_line(path, "TDMS"):
            channels = _channels(file, path, settings.dataset)
            array = _Channels(channels, path, settings)
        axes = None if array.is_one else _AXES_OF_A_GROUP.get(len(array.shape) - 1)
        found = Found(array, settings.dataset or "", axes, array.facts, close=file.close)
        return ArrayRecording("TDMS", path, found, settings)
    except BaseException:
        file.close()
        raise


def _channels(file: Any, path: Path, wanted: str | None) -> list[Any]:
    """The channels to read: of the only group with numbers, of the group that is asked for, or the one asked for."""
    groups = {group.name: [one for one in group.channels() if len(one)] for group in file.groups()}
    groups = {name: channels for name, channels in groups.items() if channels}
    named: Mapping[str, list[Any]] = {
        **groups,
        **{f"{name}/{one.name}": [one] for name, channels in groups.items() for one in channels},
    }
    listed = [f"{name} ({len(channels[0])} values)" for name, channels in named.items() if name not in groups]
    shown = ", ".join(listed[:_LONGEST_NAMES]) + (f" and {len(listed) - _LONGEST_NAMES} more" if listed[12:] else "")
    if wanted is not None and wanted not in named:
        raise InputError(f"{path}: holds no group or channel {wanted!r}; it has {shown or 'no values'}")
    if not groups:
        raise InputError(f"{path}: holds no values; record or export it again")
    if wanted is None and len(groups) > 1:
        raise InputError(f"{path}: holds {len(groups)} groups; say which, or which channel, with --dataset: {shown}")
    return named[wanted or next(iter(groups))]


class _Channels:
    """Channels of one length and type as one array, (channels, *shape of each), or the shape of the only one."""

    def __init__(self, channels: Sequence[Any], path: Path, settings: ReadSettings) -> None:
        self._channels = channels
        self.is_one = len(channels) == 1
        first = channels[0]
        self.dtype = check_values_of(first.dtype, f"{path}: {first.name}")
        count = len(first)
        if any(len(one) != count or one.dtype != first.dtype for one in channels):
            listed = ", ".join(f"{one.name} ({len(one)} {one.dtype})" for one in channels[:_LONGEST_NAMES])
            raise InputError(
                f"{path}: its channels differ ({listed}); expected one length and type: name with --dataset"
            )
        self._each = settings.raw_shape or (count,)
        _check_bytes(channels, path)
        needed = math.prod(self._each)
        if self.is_one and settings.raw_shape is None:
            raise InputError(
                f"{path}: {first.name} is a run of {count} values; say what they are with --raw-shape T,H,W"
            )
        step = math.prod(self._each[1:])
        whole = count // step if settings.allow_missing and len(self._each) > 2 else 0
        if count < needed and whole:
            self._each = (whole, *self._each[1:])
        elif count != needed:
            raise InputError(
                f"{path}: {first.name} has {count} values and {by(self._each)} takes {needed}; check --raw-shape"
                + (f", or add --allow-missing to use {count // step} frames" if step <= count < needed else "")
            )
        self.shape = self._each if self.is_one else (len(channels), *self._each)
        names = [one.name for one in channels]
        self.facts: dict[str, Any] = {"channel_names": names} if len(self._each) == 3 and not self.is_one else {}

    def __getitem__(self, key: tuple[int | slice, ...]) -> np.ndarray[Any, Any]:
        if self.is_one:
            return self._part(self._channels[0], key)
        which, inner = key[0], key[1:]
        if isinstance(which, slice):
            return np.stack([self._part(one, inner) for one in self._channels[which]])
        return self._part(self._channels[which], inner)

    def _part(self, channel: Any, key: tuple[int | slice, ...]) -> np.ndarray[Any, Any]:
        """Of one channel, reading no more than from the first to the last of the values asked for."""
        leading = next((axis for axis, one in enumerate(key) if isinstance(one, slice)), len(key))
        places = [int(one) for one in key[:leading] if not isinstance(one, slice)]
        rest = self._each[leading:]
        start = int(np.ravel_multi_index(places, self._each[:leading])) * math.prod(rest) if leading else 0
        values = channel.read_data(offset=start, length=math.prod(rest))
        return np.asarray(np.asarray(values).reshape(rest)[key[leading:]])


def _check_bytes(channels: Sequence[Any], path: Path) -> None:
    """Refuse a file that is smaller than the values that it claims; a scaled value is stored in a byte or more."""
    claimed = sum(len(one) for one in channels)
    if claimed > path.stat().st_size:
        raise InputError(f"{path}: truncated or damaged, it claims {claimed} values; copy or export it again")
