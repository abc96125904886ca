"""Two passes that were recorded as two images, as the one interleaved frame that a bidirectional scan is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.files import identity
from sasnet_live.frame import Pixels
from sasnet_live.geometry import ScanGeometry
from sasnet_live.layout import Layout

from .damage import by
from .recording import Recording
from .settings import ReadSettings

Opener = Callable[[Path, ReadSettings], Recording]


class Passes(Recording):
    """Frames of H_f + H_b lines, made of forward and backward images whose lines take turns.

    Parameters
    ----------
    forward, backward
        Where the images are. May be the same recording; both are closed with this one.
    channels
        Of forward and backward image, where they are channels of one recording; its other channels are left out.
    geometry
        Which pass comes first, and whether lines are rows or columns. Backward lines stay as they are stored, mirrored
        or not.

    Raises
    ------
    InputError
        If the two differ in axes, sizes or data type. The pass that comes first may have one line more.
    """

    def __init__(
        self,
        forward: Recording,
        backward: Recording,
        channels: tuple[int, int] | None = None,
        geometry: ScanGeometry = ScanGeometry(),
    ) -> None:
        self._sources = (forward, backward)
        self._channels = channels
        self._line_axis = 0 if geometry.line_axis == "rows" else 1
        self._forward_first = geometry.first == "forward"
        self.path = forward.path
        self.format_name = f"two passes, {forward.format_name}"
        self.scan = replace(forward.scan, bidirectional=True)
        self.remarks = tuple(dict.fromkeys((*forward.remarks, *backward.remarks)))
        # A channel of one image only is one pass as it is.
        parts = [_without_channels(one.layout) if channels else one.layout for one in self._sources]
        self.layout = self._lay_out(*parts)
        left_out = (forward.layout.size("c") or 1) - 2
        if channels and left_out > 0:
            self.remarks += (f"{self.path}: {left_out} channels are left out, which are no pass",)

    def close(self) -> None:
        """Close both."""
        with ExitStack() as both:
            for one in self._sources:
                both.callback(one.close)

    def read(self, index: Mapping[str, int] | None = None) -> Pixels:
        """See `Recording.read`."""
        where = self._place(index)
        places = ({**where, "c": channel} for channel in self._channels) if self._channels else (where, where)
        forward, backward = (one.read(place) for one, place in zip(self._sources, places, strict=True))
        first, second = (forward, backward) if self._forward_first else (backward, forward)
        frame = np.empty(self.layout.frame_shape, self.layout.dtype)
        lines = frame if self._line_axis == 0 else frame.T
        lines[0::2] = first if self._line_axis == 0 else first.T
        lines[1::2] = second if self._line_axis == 0 else second.T
        return frame

    def _lay_out(self, forward: Layout, backward: Layout) -> Layout:
        first, second = (forward, backward) if self._forward_first else (backward, forward)
        lines = [one.frame_shape[self._line_axis] for one in (first, second)]
        alike = (
            first.axes == second.axes
            and first.sizes == second.sizes
            and first.dtype == second.dtype
            and first.frame_shape[1 - self._line_axis] == second.frame_shape[1 - self._line_axis]
            and lines[0] - lines[1] in (0, 1)
        )
        if not alike:
            shown = " and ".join(
                f"{by([size or 1 for size in one.shape])} {one.letters}YX {one.dtype}" for one in (forward, backward)
            )
            raise InputError(
                f"{self.path}: the two passes differ, forward and backward are {shown}; expected one shape and type"
            )
        shape, size = list(first.frame_shape), first.pixel_size_um
        shape[self._line_axis] = sum(lines)
        if size is not None:  # twice the lines in the same place
            size = (size[0] / 2, size[1]) if self._line_axis == 0 else (size[0], size[1] / 2)
        return replace(forward, frame_shape=(shape[0], shape[1]), pixel_size_um=size, ome_xml="")


def name_files(passes: tuple[str, str] | None, *, raw: bool = False) -> bool:
    """Whether two passes are given as files: by names of recordings, or, of raw binary, by files that are there.

    Raises
    ------
    InputError
        If only one of them is a file.
    """
    from .formats import is_recording

    if passes is None:
        return False
    files = [not one.isdecimal() and (is_recording(one) or (raw and Path(one).is_file())) for one in passes]
    if any(files) and not all(files):
        raise InputError(
            f"--passes {' '.join(passes)} came; expected two files, or two channels or datasets of one recording"
        )
    return all(files)


def open_passes(
    paths: Sequence[Path], settings: ReadSettings, geometry: ScanGeometry, open_one: Opener, *, has_datasets: bool
) -> Recording:
    """Open the two passes that settings name; for `sasnet_live.recordings.open_recording`.

    Parameters
    ----------
    paths
        The recording that they are channels or datasets of; of two files, none, or the first of them.
    settings
        Their `passes` are two files; two numbers or names of channels; or two datasets.
    geometry
        How their lines take turns.
    open_one
        Opens a recording.
    has_datasets
        Whether the recording's format has datasets with names.
    """
    assert settings.passes is not None
    forward, backward = settings.passes
    alone = replace(settings, passes=None)
    if forward == backward:
        raise InputError(f"--passes {forward} {backward} came; expected two different ones, forward first")
    with ExitStack() as opened:
        if name_files(settings.passes, raw=settings.raw_shape is not None):
            if paths and identity(paths[0]) != identity(Path(forward)):
                raise InputError(f"{paths[0]}: came beside --passes of two files; expected no other recording")
            both = [opened.enter_context(open_one(Path(one), alone)) for one in (forward, backward)]
            found = Passes(both[0], both[1], None, geometry)
        elif not paths:
            raise InputError(f"--passes {forward} {backward} came without a recording that these are channels of")
        elif has_datasets and settings.dataset is None and not (forward.isdecimal() or backward.isdecimal()):
            both = [opened.enter_context(open_one(paths[0], replace(alone, dataset=one))) for one in settings.passes]
            found = Passes(both[0], both[1], None, geometry)
        else:
            stack = opened.enter_context(open_one(paths[0], alone))
            found = Passes(stack, stack, (_channel(stack, forward), _channel(stack, backward)), geometry)
        opened.pop_all()
    return found


def _channel(stack: Recording, wanted: str) -> int:
    """Index of a channel that is given by number or name."""
    names, count = stack.layout.channel_names, stack.layout.size("c") or 1
    if wanted in names:
        return names.index(wanted)
    if wanted.isdecimal() and int(wanted) < count and "c" in stack.layout.axes:
        return int(wanted)
    listed = f" ({', '.join(names)})" if names else ""
    axis = f"it has {count}{listed}" if "c" in stack.layout.axes else "it has no axis of channels: name it with --axes"
    raise InputError(f"{stack.path}: has no channel {wanted!r} that could be a pass; {axis}")


def _without_channels(layout: Layout) -> Layout:
    kept = [(axis, size) for axis, size in zip(layout.axes, layout.sizes, strict=True) if axis != "c"]
    frames = (layout.frames or 0) // (layout.size("c") or 1)
    axes, sizes = tuple(axis for axis, _ in kept), tuple(size for _, size in kept)
    return replace(layout, axes=axes, sizes=sizes, frames=frames, channel_names=())
