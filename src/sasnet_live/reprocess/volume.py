"""One recording of A-lines on its way through the registrar.

The displacement is found on projections, as in any recording. Every sample is then moved by it: lines are resampled
along the fast axis as the registrar resamples them, depth by depth, and nothing else is done to samples. Gain is not
matched and lines are not rendered, also where the projection is: RF samples have a sign and a phase that neither knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from sasnet_live.convert import as_dtype
from sasnet_live.frame import Pixels, Registration
from sasnet_live.geometry import ScanGeometry
from sasnet_live.layout import Layout
from sasnet_live.network.inputs import KERNEL
from sasnet_live.recordings import Recording, VolumeRecording, open_volume
from sasnet_live.recordings.volume import PART_SAMPLES, depth_of
from sasnet_live.scan import merge, move_lines, split
from sasnet_live.scratch import Scratch
from sasnet_live.sinks.ome_tiff import OmeTiffWriter
from sasnet_live.sinks.tiff_pages import storable

from .file import FileRun

VOLUME_KINDS = ("volume", "depth")
"""Outputs of a volume beside its registered projection: all samples, depth as an axis Z, and where the largest is."""


class VolumeRun(FileRun):
    """One recording of A-lines on its way through the registrar; memory is bounded, see `VolumeRecording`."""

    _volume: VolumeRecording

    def _opened(self) -> Recording:
        folder = next(iter(self._job.targets.values())).parent
        self._volume = open_volume(
            self._job.paths, self._settings.reading, self._settings.volume, scratch_folder=folder
        )
        return self._volume

    def _stored(self, kind: str, layout: Layout, order: Sequence[str]) -> tuple[Layout, Sequence[str]]:
        if kind == "depth":
            return replace(layout, dtype=np.dtype(np.float32)), order
        if kind != "volume":
            return layout, order
        samples = self._volume.samples
        stored = replace(
            layout,
            dtype=storable(self._volume.samples_dtype),
            axes=(*layout.axes, "z"),
            sizes=(*layout.sizes, samples),
            frames=(layout.frames or 1) * samples,
            z_step_um=self._settings.volume.um_per_sample,
        )
        return stored, (*order, "z")

    def _record(self, kind: str) -> dict[str, str]:
        settings = {f"volume.{name}": str(value) for name, value in asdict(self._settings.volume).items()}
        unit = "sample" if self._settings.volume.um_per_sample is None else "um"
        made = {
            "volume": {"samples": "moved by the displacement of the frame, nothing else"},
            "depth": {"depth": f"of the largest sample, {unit}"},
        }
        return {**super()._record(kind), **settings, **made.get(kind, {})}

    def _write_scan(
        self,
        stack: Recording,
        where: dict[str, int],
        align_on: int,
        found: Registration,
        writers: Mapping[str, OmeTiffWriter],
    ) -> None:
        frames = {kind: writer for kind, writer in writers.items() if kind not in VOLUME_KINDS}
        super()._write_scan(stack, where, align_on, found, frames)
        samples = {kind: writer for kind, writer in writers.items() if kind in VOLUME_KINDS}
        for channel in range(stack.layout.size("c") or 1) if samples else ():
            self._write_samples({**where, "c": channel} if "c" in where else where, found, samples)

    def _write_samples(
        self, where: Mapping[str, int], found: Registration, writers: Mapping[str, OmeTiffWriter]
    ) -> None:
        """Move the samples of one volume, lines by lines; then write them, depth by depth."""
        geometry, volume = self._settings.registrar.geometry, self._volume
        turned = geometry.line_axis == "columns"
        lines = volume.lines(geometry.line_axis)[0]
        px = found.displacement_px.shape[1]
        depths = np.empty((lines, px), np.float32)
        folder = next(iter(self._job.targets.values())).parent
        with Scratch(folder, (volume.samples, lines, px), volume.samples_dtype) as scratch:
            for start, block in volume.blocks(where, geometry.line_axis):
                moved = move_samples(block, found.displacement_px, start, geometry)
                if "volume" in writers:
                    scratch.write(moved, 0, start)
                depths[start : start + len(block)] = depth_of(moved.transpose(1, 2, 0), volume.settings)
            for number in range(volume.samples) if "volume" in writers else ():
                plane = scratch.read(number, number + 1, 0, lines)[0]
                writers["volume"].write(plane.T if turned else plane)
        if "depth" in writers:
            writers["depth"].write(depths.T if turned else depths)


def move_samples(block: Pixels, displacement_px: Pixels, start: int, geometry: ScanGeometry) -> Pixels:
    """Move the A-lines of some lines by the displacement of their frame.

    Parameters
    ----------
    block
        (n, px, D) of lines from number `start` on, which is even; of any type.
    displacement_px
        (n_b, W) of all backward lines of the frame, see `sasnet_live.scan`.
    geometry
        Of the frame. Lines are the first axis of `block`, whatever its `line_axis` is.

    Returns
    -------
    (D, n, W), forward lines as they came and backward lines moved, in the type of `block`: integers are rounded, and
    clipped where the interpolation overshoots.
    """
    rows = replace(geometry, line_axis="rows")
    lines, px, samples = block.shape
    displacement = displacement_px[start // 2 : start // 2 + lines // 2 + 1]
    moved = np.empty((samples, *rows.frame_shape((lines, px))), block.dtype)
    step = max(1, PART_SAMPLES // (lines * px))
    for first in range(0, samples, step):
        part = slice(first, first + step)
        moved[part] = _moved(np.ascontiguousarray(block[..., part].transpose(2, 0, 1)), displacement, rows)
    return moved


def _moved(frames: Pixels, displacement_px: Pixels, geometry: ScanGeometry) -> Pixels:
    """(..., n, W) with the backward lines moved, the first of them by the first line of the displacement."""
    forward, backward = split(frames, geometry)
    displacement = displacement_px[: backward.shape[-2]]
    if not displacement.any():
        # As it came, to the bit; a NaN does not spread to its neighbours.
        return merge(forward, backward, geometry)
    exact: np.dtype[Any] = np.promote_types(frames.dtype, np.float32)
    moved = move_lines(backward.astype(exact), displacement, KERNEL)
    return merge(forward, as_dtype(moved, frames.dtype), geometry)
