"""Whether frames that are announced can be registered and written at all, before the first one is taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sasnet_live.live.channels import channel_to_align_on
from sasnet_live.sinks.tiff_pages import storable

if TYPE_CHECKING:
    from sasnet_live.geometry import ScanGeometry
    from sasnet_live.layout import Layout


def stream_check(geometry: ScanGeometry, align_on: str | None, *, into_tiff: bool) -> Callable[[Layout], None]:
    """What a source is to call with the layout of frames that it has found.

    Parameters
    ----------
    geometry
        Of the frames: those that are too small for it are refused.
    align_on
        Channel that moves the others, see `sasnet_live.live.channels.ChannelRegistrar`: frames with channels, but
        without this one, are refused.
    into_tiff
        Whether frames are written to TIFF files in the type they have: a type that TIFF has not is refused.

    Returns
    -------
    A function that raises `InputError` with the reason.
    """

    def check(stream: Layout) -> None:
        geometry.check_frame(stream.frame_shape)
        channel_to_align_on(stream, align_on)
        if into_tiff:
            storable(stream.dtype)

    return check
