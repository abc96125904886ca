"""What a useq acquisition announces of its frames, as a `Layout`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sasnet_live.layout import Layout, pixel_size_of
from sasnet_live.sources.pixel_size import affine_in, pixel_size

if TYPE_CHECKING:
    import useq
    from pymmcore_plus import CMMCorePlus


def layout_of(sequence: useq.MDASequence, meta: Mapping[str, Any], core: CMMCorePlus) -> Layout:
    """What the start of an acquisition tells of its frames."""
    image: Mapping[str, Any] = next(iter(meta.get("image_infos") or ()), {})
    width, height = image.get("width") or core.getImageWidth(), image.get("height") or core.getImageHeight()
    dtype = image.get("dtype") or f"uint{8 * core.getBytesPerPixel()}"
    camera = image.get("camera_label") or core.getCameraDevice()
    sizes = getattr(sequence, "sizes", None) or {}
    axes = tuple(name for name in sequence.axis_order if sizes.get(name))
    channels = tuple(channel.config for channel in getattr(sequence, "channels", ()) or ())
    return Layout(
        frame_shape=(int(height), int(width)),
        dtype=np.dtype(dtype),
        axes=axes,
        sizes=tuple(sizes[name] for name in axes),
        frames=_expected_frames(sequence, image),
        pixel_size_um=pixel_size_of(pixel_size(float(image.get("pixel_size_um") or 0), affine_in(meta))),
        z_step_um=_step(getattr(sequence, "z_plan", None)),
        interval_s=_interval(getattr(sequence, "time_plan", None)),
        exposure_ms=core.getExposure() or None,
        channel_names=channels if "c" in axes else (),
        source=f'camera "{camera}"',
        metadata={"useq": sequence.model_dump(mode="json", exclude_unset=True)},
    )


def _expected_frames(sequence: useq.MDASequence, image: Mapping[str, Any]) -> int | None:
    """Number of frames announced; None for a sequence that is made up as it goes."""
    sizes = getattr(sequence, "sizes", None)
    if not sizes:
        return None
    cameras = int(image.get("num_camera_adapter_channels") or 1)
    regular = (
        all(channel.acquire_every == 1 and channel.do_stack for channel in sequence.channels)
        and all(position.sequence is None for position in sequence.stage_positions)
        and sequence.autofocus_plan is None
    )
    if regular:  # the product at once: to walk through a long sequence would hold up the acquisition
        return cameras * math.prod(int(size) for size in sizes.values() if size)
    return cameras * sum(1 for event in sequence if event.action.type == "acquire_image")


def _step(z_plan: Any) -> float | None:
    step = getattr(z_plan, "step", None)
    return float(step) if step else None


def _interval(time_plan: Any) -> float | None:
    interval = getattr(time_plan, "interval", None)
    return float(interval.total_seconds()) if interval else None
