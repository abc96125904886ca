"""Another program as a source of live frames, which hears what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sasnet_live.recordings.settings import LARGEST_MIB
from sasnet_live.sources.tcp import TcpSource
from sasnet_live.sources.tcp_defaults import HOST, PORT

from .stream_check import stream_check

if TYPE_CHECKING:
    from sasnet_live.geometry import ScanGeometry
    from sasnet_live.live.pipeline import LivePipeline


def listen_for(
    geometry: ScanGeometry,
    *,
    host: str = HOST,
    port: int = PORT,
    align_on: str | None = None,
    into_tiff: bool = False,
    largest_mib: float = LARGEST_MIB,
) -> TcpSource:
    """A source that takes what can be registered; see `answer_from` for what it sends back.

    Parameters
    ----------
    geometry, align_on, into_tiff
        See `stream_check`: streams that do not fit are refused, and the sender is told why.
    host, port, largest_mib
        See `TcpSource`.
    """
    check = stream_check(geometry, align_on, into_tiff=into_tiff)
    return TcpSource(host, port, check=check, answers=True, largest_mib=largest_mib)


def answer_from(pipeline: LivePipeline, source: TcpSource) -> None:
    """Have the source send back what comes out of a pipeline, as far as it was asked for."""
    pipeline.registered.connect(source.answer)
    pipeline.stream_ended.connect(source.stream_ended)
