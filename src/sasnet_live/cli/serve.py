"""``sasnet-live serve``: register the frames that another program sends over TCP."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from sasnet_live.files import OutputLock
from sasnet_live.recordings.settings import LARGEST_MIB
from sasnet_live.session.acquisition import Limited
from sasnet_live.sources.tcp_defaults import HOST, PORT

from .interrupts import interrupts
from .live_session import Job, Session


def serve(
    *,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Listen on this address of this computer; by default only its own programs can connect.",
        ),
    ] = HOST,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, metavar="N", help="Listen on this port; 0: a free one.")
    ] = PORT,
    frames: Annotated[int | None, typer.Option(min=1, metavar="N", help="Stop after so many frames.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Stop when a program has sent frames and gone.")] = False,
    largest_frame: Annotated[
        float,
        typer.Option(min=1, max=4095, metavar="MIB", help="Memory that a frame may take; larger ones are refused."),
    ] = LARGEST_MIB,
    job: Job,
) -> None:
    """Register the frames that another program sends over TCP, such as LabVIEW or MATLAB.

    The program connects, says what its frames are like, sends them, and may ask for what came of each; docs/tcp.md
    describes the messages, examples/ has senders. One program at a time. A message that cannot be understood is
    answered with one line and its connection closed; the command goes on listening. Ctrl-C finishes and exits with 130.
    Exit status 1: frames are missing, or something that came could not be used.
    """
    from sasnet_live.session.serving import answer_from, listen_for

    job = replace(job, policy=job.policy or ("all" if job.out or job.raw else "latest"))
    as_they_are = [job.raw] if job.dtype else [job.out, job.raw]
    source = listen_for(
        job.registrar.geometry,
        host=host,
        port=port,
        align_on=job.align_on,
        into_tiff=any(path is not None and path.suffix.lower() != ".zarr" for path in as_they_are),
        largest_mib=largest_frame,
    )
    with interrupts().looked_at(), OutputLock(job.plan.outputs), Session(job) as session:
        session.start(None)
        answer_from(session.pipeline, source)
        limited = Limited(session.pipeline, frames)
        source.start(limited)
        session.on_stop(source.stop)
        session.waits_for(f"{source}; Ctrl-C ends this")
        session.follow(lambda: source.running and not limited.full and not (once and source.served), source.take_news)
        if source.problems:
            session.status = session.status or 1
        if source.error is not None:
            session.complain(source.error)
    raise typer.Exit(session.status)
