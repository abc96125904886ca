"""Reading ScanImage's TIFF files: channels, depths and volumes in order, a recording over several files as one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sasnet_live.errors import InputError

from .names import counted
from .scanimage_header import (
    ScanImageHeader,
    frame_number,
    interval_s,
    pixel_size_um,
    read_header,
    scan_facts,
    z_step_um,
)
from .series import said_of_gaps
from .settings import ReadSettings
from .spread import Grid, Members, SpreadRecording, in_a_row
from .tiff_peek import Peek


class ScanImageRecording(SpreadRecording):
    """Frames of ScanImage, see `open_scanimage`."""

    format_name = "ScanImage TIFF"


def open_scanimage(paths: Sequence[Path], settings: ReadSettings, first: Peek) -> ScanImageRecording:
    """Open the files of one recording.

    Axes are time, depth and channel. Frames of flyback are left out, and so is a volume at the end that is not whole,
    as where the scan was stopped by hand; both are said. A file that holds less than its settings asked for is no
    damage: ScanImage writes the same settings into each file of a series.

    Parameters
    ----------
    paths
        In order.
    settings
        How to read; with `axes`, frames count as these in the order of the files.
    first
        The first file, looked at.

    Raises
    ------
    InputError
        For files that cannot be read, differ, or hold less than one volume.
    """
    header = read_header(first.software, first.description)
    members = Members(paths, settings)
    try:
        return _laid_out(Path(paths[0]), members, header, settings)
    except BaseException:
        members.close()
        raise


def continues(before: Peek, after: Peek) -> bool:
    """Whether a file goes on where the one before it ends, as the settings and the numbers of its frames say."""
    if before.kind != after.kind:
        return False
    headers = [read_header(one.software, one.description) for one in (before, after)]
    if (headers[0].channels, headers[0].depths) != (headers[1].channels, headers[1].depths):
        return False
    first, next_ = frame_number(before.description), frame_number(after.description)
    if first is None or next_ is None or next_ > first:
        return True
    # Numbers that begin anew are of a new run, unless this file alone is not all that was asked for.
    claimed = headers[0].claimed
    return claimed is not None and before.images < claimed


def _laid_out(path: Path, members: Members, header: ScanImageHeader, settings: ReadSettings) -> ScanImageRecording:
    places = in_a_row(members)
    channels, depths, flyback = len(header.channels), header.depths, header.flyback
    remarks = [*members.remarks, *said_of_gaps(path, counted(members.files))]
    if header.volumes and len(places) == header.volumes * depths * channels:
        flyback = 0  # left out by ScanImage itself
    frames = header.frames_at_depth or max(1, len(places) // (depths * channels))
    if depths == 1:
        frames = 1  # nothing is interleaved with them
    volume = channels * frames * (depths + flyback)
    volumes, rest = divmod(len(places), volume)
    if not volumes and header.volumes == 1 and len(places) >= channels:  # a stack that was stopped on its way
        frames = min(frames, len(places) // channels)
        reached, depths = depths, len(places) // (channels * frames)
        flyback, volume, volumes = 0, channels * frames * depths, 1
        rest = len(places) - volume
        remarks.append(f"{path}: {depths} of {reached} depths are whole; the scan was stopped, or files are missing")
    if not volumes:
        raise InputError(
            f"{path}: holds {len(places)} images; expected {volume} or more: {channels} channels x {depths} depths"
            + (f" and {flyback} of flyback" if flyback else "")
            + ". Say what they are with --axes TYX, or give all files of the recording"
        )
    if rest:
        left = (
            f"the last {rest} images are less than a whole {'volume' if depths > 1 else 'set of channels'} of {volume}"
        )
        remarks.append(f"{path}: {left} and are left out")
    if flyback:
        remarks.append(f"{path}: {flyback} frames of flyback after each volume of {depths} depths are left out")
    claimed = header.claimed
    if claimed is not None and len(places) < claimed and not rest:
        remarks.append(
            f"{path}: {claimed} images were asked for when it was recorded, {len(places)} are here: it was stopped, or "
            "others of its files are missing"
        )
    if header.flag("SI.hRoiManager.mroiEnable"):
        remarks.append(f"{path}: may hold several regions one below another; register each by itself")
    grid = places[: volumes * volume].reshape(volumes, depths + flyback, frames, channels, 2)[:, :depths]
    grid = grid.transpose(0, 2, 1, 3, 4).reshape(volumes * frames, depths, channels, 2)
    names = tuple(f"Channel {number}" for number in header.channels)
    known = {
        "pixel_size_um": pixel_size_um(header, members.layouts[0].frame_shape),
        "z_step_um": z_step_um(header),
        "interval_s": interval_s(header),
        "channel_names": names if channels > 1 else (),
    }
    given = Grid(("t", "z", "c"), grid, known)
    if settings.axes is not None:
        # The order of the files, if the settings are not to be believed.
        given = Grid(("t",), places, {**known, "channel_names": ()})
        remarks = list(members.remarks)
    return ScanImageRecording(path, members, given, settings, scan_facts(header), remarks)
