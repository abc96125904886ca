"""What a source offers, and what it asks of whatever takes its frames."""

from __future__ import annotations

from typing import Protocol

from sasnet_live.frame import EndReason, Frame
from sasnet_live.layout import Layout


class FrameConsumer(Protocol):
    """Takes frames from one source; `sasnet_live.live.pipeline.LivePipeline` is one. Any thread may call it."""

    def attach(self, source: object) -> None:
        """Claim the consumer for a source; `InputError` if another source has it."""
        ...

    def detach(self, source: object) -> None:
        """Give the consumer back."""
        ...

    def begin_stream(self, stream: Layout) -> None:
        """Announce a run of frames."""
        ...

    def put(self, frame: Frame, *, wait: bool = True) -> bool:
        """Hand over a frame. With ``wait=False`` the caller is not to be held back. False if it was dropped."""
        ...

    def end_stream(self, reason: EndReason = "completed", *, missing: int | None = None) -> None:
        """Say that no more frames of the announced run will come, and how many of them never did."""
        ...


class FrameSource(Protocol):
    """Delivers frames to a consumer, from its own thread or the camera's."""

    def start(self, consumer: FrameConsumer) -> None:
        """Begin to deliver. `InputError` if the source is running, or the consumer belongs to another."""
        ...

    def stop(self) -> None:
        """Deliver no more, leave nothing behind; does nothing if the source is not running."""
        ...

    @property
    def running(self) -> bool:
        """Whether frames may still come."""
        ...

    @property
    def error(self) -> BaseException | None:
        """What kept the source from delivering all of its frames, None if nothing did."""
        ...
