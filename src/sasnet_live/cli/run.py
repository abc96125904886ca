"""``sasnet-live run`` and ``sasnet-live watch``: register frames as they are acquired."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sasnet_live.errors import InputError
from sasnet_live.files import OutputLock
from sasnet_live.parameters import parameter
from sasnet_live.recordings.settings import LARGEST_MIB
from sasnet_live.session.acquisition import Acquisition, Limited

from . import options
from .interrupts import interrupts
from .live_session import Job, Session

LONGEST_MS = 86_400_000.0  # a day: what is longer was meant in other units

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus
    from useq import MDASequence

    from sasnet_live.layout import Layout


@dataclass(frozen=True)
class Microscope:
    """Which microscope; exactly one."""

    config: Path | None = parameter(None, "Micro-Manager configuration of the microscope.")
    demo: bool = parameter(False, "Micro-Manager's own demo devices instead.")
    simulate: bool = parameter(False, "The simulated OR-PAM scanner instead.")

    def check(self) -> None:
        """Refuse none and several."""
        given = {"--config": self.config is not None, "--demo": self.demo, "--simulate": self.simulate}
        _exactly_one("microscope", given)


@dataclass(frozen=True)
class Wanted:
    """What to do with the microscope: an acquisition or live mode."""

    mda: Path | None = parameter(None, "Run this useq acquisition, YAML or JSON.")
    live: bool = parameter(False, "Run the camera in live mode.")
    frames: int | None = parameter(None, "Stop live mode after so many frames.", at_least=1)
    exposure_ms: float | None = parameter(
        None, "Exposure of the camera.", unit="ms", at_least=0.001, at_most=LONGEST_MS
    )

    def check(self) -> None:
        """Refuse neither, both, and a number of frames for an acquisition."""
        _exactly_one("acquisition", {"--mda": self.mda is not None, "--live": self.live})
        if self.frames is not None and not self.live:
            raise InputError("--frames is for --live; an acquisition has the length that its file gives")


def run(microscope: Microscope, wanted: Wanted, job: Job) -> None:
    """Acquire with Micro-Manager and register every frame as it comes.

    Choose a microscope (--config, --demo or --simulate) and what to do with it (--mda or --live). Ctrl-C stops the
    acquisition, finishes the frames that wait, closes the files and exits with 130. Exit status 1: frames are missing
    or cannot be registered or written; 2: bad arguments. A closed pipe ends what is printed, not the acquisition.
    """
    from sasnet_live.live.status import in_words

    microscope.check()
    wanted.check()
    sequence = None if wanted.mda is None else _read_sequence(wanted.mda)
    keeps_all = job.out or job.raw or sequence is not None
    job = replace(job, policy=job.policy or ("all" if keeps_all else "latest"))
    with interrupts().looked_at(), OutputLock(job.plan.outputs), Session(job) as session:
        core = _core(microscope)
        if wanted.exposure_ms is not None:
            core.setExposure(wanted.exposure_ms)

        from sasnet_live.sources.micromanager import MicroManagerSource

        source = MicroManagerSource(core, mda=sequence is not None, live=wanted.live, snap=False)
        if sequence is not None:
            _check_channels(sequence, core, wanted.mda)
        stream = _warm_up_stream(core, sequence)
        if stream is not None:
            _check_align_on(job.align_on, stream)
        session.start(stream)
        limited = Limited(session.pipeline, wanted.frames)
        source.start(limited)
        acquisition = Acquisition(core, sequence, lambda: interrupts().count > 1)
        session.on_stop(acquisition.stop, source.stop)
        acquisition.start()
        session.follow(lambda: acquisition.running and not limited.full)
        if acquisition.error is not None:
            session.complain(f"the acquisition failed: {in_words(acquisition.error)}")
        if source.error is not None:
            session.complain(f"a frame could not be taken over: {in_words(source.error)}")
    raise typer.Exit(session.status)


def watch(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where another program writes TIFF files.")],
    *,
    new_only: Annotated[bool, typer.Option("--new-only", help="Leave out the files that are there already.")] = False,
    frames: Annotated[int | None, typer.Option(min=1, metavar="N", help="Stop after so many frames.")] = None,
    until_idle: Annotated[
        float | None, typer.Option(min=0.1, metavar="S", help="Stop when no file has come or changed for so long.")
    ] = None,
    settle: Annotated[
        float | None,
        typer.Option(min=0, metavar="S", help="A file is complete when it has not changed for so long; 0.3 s."),
    ] = None,
    largest_frame: options.LargestFrame = LARGEST_MIB,
    job: Annotated[Job, options.Group(without=("policy",))],
) -> None:
    """Register the TIFF files that another program writes into a folder, each when it is complete.

    Files with one frame each make one stack; a file with several frames makes a stack of its own, the second one named
    NAME_002 and so on. One that grows gives its new frames. Files that this program has registered are left out. Ctrl-C
    finishes and exits with 130. Exit status 1: a file or frame was passed over.
    """
    from sasnet_live.session.watching import refuse_output_in, watch_folder

    if not folder.exists():
        raise InputError(f"{folder}: no such folder; make it first, or check the name")
    refuse_output_in(folder, job.out, job.raw)
    job = replace(job, policy="all")
    as_they_are = [job.raw] if job.dtype else [job.out, job.raw]
    source = watch_folder(
        folder,
        job.registrar.geometry,
        align_on=job.align_on,
        into_tiff=any(path is not None and path.suffix.lower() != ".zarr" for path in as_they_are),
        existing=not new_only,
        settle_s=settle,
        largest_mib=largest_frame,
    )
    with interrupts().looked_at(), OutputLock(job.plan.outputs), Session(job) as session:
        session.start(None)
        limited = Limited(session.pipeline, frames)
        source.start(limited)
        session.on_stop(source.stop)
        session.waits_for(f"{'new ' if new_only else ''}TIFF files in {folder}; Ctrl-C ends the watch")
        session.follow(
            lambda: source.running and not limited.full and (until_idle is None or source.idle_s < until_idle),
            source.take_news,
        )
        if source.problems:
            session.status = session.status or 1
        if source.error is not None:
            session.complain(source.error)
    raise typer.Exit(session.status)


def _exactly_one(what: str, given: dict[str, bool]) -> None:
    chosen = [name for name, is_given in given.items() if is_given]
    if len(chosen) != 1:
        names = list(given)
        came = " and ".join(chosen) if chosen else "none"
        raise InputError(f"{came} came as {what}; give exactly one of {', '.join(names[:-1])} and {names[-1]}")


def _read_sequence(path: Path) -> MDASequence:
    from useq import MDASequence

    if not path.is_file():
        raise InputError(f"{path}: no such file; give a useq sequence in YAML or JSON")
    try:
        sequence = MDASequence.from_file(path)
        first = next(iter(sequence), None)
    except Exception as error:
        raise InputError(f"{path}: is not a useq sequence ({' '.join(str(error).split())[:300]})") from error
    if first is None:
        raise InputError(f"{path}: describes no frame; give it a time_plan, channels, or what else is to be acquired")
    return sequence


def _check_channels(sequence: MDASequence, core: CMMCorePlus, path: Path | None) -> None:
    """A channel that the configuration has not would be missed only when its first frame is due."""
    for channel in sequence.channels:
        if not core.isConfigDefined(channel.group, channel.config):
            known = ", ".join(core.getAvailableConfigs(channel.group)) or "none"
            raise InputError(
                f"{path}: asks for channel {channel.config!r} of the group {channel.group!r}; the configuration of the "
                f"microscope has {known}"
            )


def _check_align_on(wanted: str | None, stream: Layout) -> None:
    """Refuse a channel that is not acquired, and any where there are none."""
    from sasnet_live.live.channels import channel_to_align_on, has_channels

    channel_to_align_on(stream, wanted)
    if wanted is not None and not has_channels(stream):
        raise InputError(
            f"--align-on is {wanted!r}, but the frames come in one channel; leave it out, or acquire several with --mda"
        )


def _core(microscope: Microscope) -> CMMCorePlus:
    """A core with the devices that were chosen."""
    from sasnet_live.sources.configuration import load_core

    config = microscope.config
    if microscope.simulate:
        from sasnet_live.simulation.camera import config_path

        config = config_path()
    return load_core(config)


def _warm_up_stream(core: CMMCorePlus, sequence: MDASequence | None) -> Layout | None:
    """What frames will come, before the first one does; None where that is not known."""
    from sasnet_live.sources.configuration import layout_of_camera
    from sasnet_live.sources.useq_stream import layout_of

    return layout_of_camera(core) if sequence is None else layout_of(sequence, {}, core)
