"""Reprocessing a layer or files in a thread of its own; no Qt."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.layout import Layout
from sasnet_live.plugin.readers.layer_data import summary
from sasnet_live.session.background import Background
from sasnet_live.session.cores import use_all_cores
from sasnet_live.session.settings import LiveSettings
from sasnet_live.session.verdict import Verdict
from sasnet_live.sinks.metrics_table import figures_of

if TYPE_CHECKING:
    from sasnet_live.reprocess import FileReport, Progress


@dataclass
class Outcome:
    """What came of it.

    Attributes
    ----------
    images
        Registered layers with their metadata, by name.
    verdicts
        How many frames were registered, by the name of the layer that they came from, or of the file written.
    files
        Written.
    problems
        One line each.
    left_out
        One line of the files that were registered already; empty if there are none.
    cancelled
        Whether the user ended it; `images` then holds what was done by then, the rest is zero.
    """

    images: dict[str, tuple[np.ndarray[Any, Any], dict[str, Any]]] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    cancelled: bool = False
    left_out: str = ""

    @property
    def doubts(self) -> list[str]:
        """A line for each layer or file of which frames were not registered."""
        return [f"{name}: {verdict}" for name, verdict in self.verdicts.items() if not verdict.is_clean]

    def in_words(self) -> str:
        """All of it, for the widget."""
        lines = []
        for name, (_, metadata) in self.images.items():
            about = metadata["sasnet_live"]
            means = about["means"]
            if "ncc_after" in means and any(frame.get("accepted", True) for frame in about["frames"]):
                before, after = means["ncc_before"], means["ncc_after"]
                lines.append(f"{name}: NCC {before:.2f} \N{RIGHTWARDS ARROW} {after:.2f}")
        lines += self.doubts
        lines += [f"wrote {path.name}" for path in self.files]
        lines += [self.left_out] if self.left_out else []
        if self.cancelled:
            lines.append("cancelled")
        return "\n".join(lines) or "nothing to show"


class ReprocessJob:
    """One run, watched and cancelled from the GUI.

    Attributes
    ----------
    done, total
        Frames.
    last
        What the last frame was like, in words.
    """

    def __init__(self, work: Callable[[ReprocessJob], Outcome]) -> None:
        self.done, self.total = 0, 0
        self.last = ""
        self._cancelled = False
        self._task = Background(lambda: work(self), "reprocess")

    @property
    def ended(self) -> bool:
        """Whether the result is there."""
        return self._task.done

    @property
    def cancelled(self) -> bool:
        """Whether the user wants it to end."""
        return self._cancelled

    def cancel(self) -> None:
        """End after the frame under way."""
        self._cancelled = True

    def result(self) -> Outcome:
        """What came of it, or raise what went wrong."""
        return self._task.result()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end."""
        return self._task.wait(timeout_s)


def reprocess_layer(name: str, data: Any, settings: LiveSettings) -> ReprocessJob:
    """Register every frame of a layer.

    Parameters
    ----------
    data
        (..., H, W) array, dask arrays included. The last of the leading axes is time; others begin anew.

    Raises
    ------
    InputError
        If it cannot be frames.
    """
    shape = tuple(data.shape)
    if len(shape) < 2 or 0 in shape:
        raise InputError(f"the layer {name!r} has the shape {shape}; choose an image layer with frames (..., H, W)")

    def work(job: ReprocessJob) -> Outcome:
        return _layer(job, name, data, settings)

    return ReprocessJob(work)


def reprocess_files(paths: Sequence[Path], folder: Path, settings: LiveSettings, *, show: bool) -> ReprocessJob:
    """Register files into a folder; with `show` the results are read back as images."""
    if not paths:
        raise InputError("no files chosen; add TIFF files first")

    def work(job: ReprocessJob) -> Outcome:
        return _files(job, paths, folder, settings, show)

    return ReprocessJob(work)


def _layer(job: ReprocessJob, name: str, data: Any, settings: LiveSettings) -> Outcome:
    # torch is loaded here, not in the GUI's thread.
    from sasnet_live.reprocess.loop import register_scans

    use_all_cores()
    leading = data.shape[:-2]
    job.total = math.prod(leading)
    registrar = settings.registrar.make()  # torch is loaded here, not in the GUI's thread
    both = settings.registrar.output == "both"
    registered: np.ndarray[Any, Any] | None = None
    warped: np.ndarray[Any, Any] | None = None
    figures: list[dict[str, Any]] = []
    # Axes of a layer may have any names; the loop looks at the last one, which is time.
    axes = (*map(str, range(len(leading) - 1)), "t")[: len(leading)]
    layout = Layout.stack(data.shape[-2:], data.dtype, axes, leading)
    steps = register_scans(registrar, layout, lambda where: np.asarray(data[tuple(where.values())]))
    while not job.cancelled and (step := next(steps, None)) is not None:
        where, result = step
        index = tuple(where.values())
        if registered is None:
            registered = np.zeros((*leading, *result.image.shape), result.image.dtype)
            warped = np.zeros_like(registered) if both else None
        registered[index] = result.image
        if warped is not None and result.warped_image is not None:
            warped[index] = result.warped_image
        figures.append({"index": list(index), **figures_of(result)})
        job.done += 1
        job.last = f"NCC {result.metrics.ncc_before:.2f} \N{RIGHTWARDS ARROW} {result.metrics.ncc_after:.2f}"
    outcome = Outcome(cancelled=job.cancelled)
    record = {**registrar.describe(), "source": name}
    verdict = Verdict.of(figures)
    for done, image in (("registered", registered), ("warped", warped)):
        if image is not None and figures:
            outcome.images[verdict.name(name, done)] = (image, {"sasnet_live": summary(record, figures)})
            outcome.verdicts[name] = verdict
    return outcome


def _files(job: ReprocessJob, paths: Sequence[Path], folder: Path, settings: LiveSettings, show: bool) -> Outcome:
    from sasnet_live.plugin.preferences import largest_frame_mib
    from sasnet_live.plugin.readers.reader import get_reader
    from sasnet_live.recordings import ReadSettings
    from sasnet_live.reprocess import ReprocessSettings, reprocess

    use_all_cores()

    def follow(progress: Progress) -> None:
        job.total = max(1, progress.total) * progress.files
        job.done = progress.done + progress.file * max(1, progress.total)
        job.last = f"{progress.path.name}, {progress.done} of {progress.total}"

    report = reprocess(
        paths,
        folder,
        ReprocessSettings(
            settings.registrar,
            align_on=settings.align_on or "0",
            reading=ReadSettings(largest_mib=largest_frame_mib()),
            overwrite=True,
        ),
        progress=follow,
        cancelled=lambda: job.cancelled,
    )
    outcome = Outcome(cancelled=report.cancelled, left_out=report.left_out_in_words)
    for file in report.files:
        outcome.files.extend(file.outputs)
        outcome.problems.extend(file.remarks)
        if file.error and not report.cancelled:
            outcome.problems.append(f"{file.path.name}: {file.error}")
        for path in file.outputs:
            title = path.name.split(".")[0]
            verdict = _verdict_of(path, file)
            outcome.verdicts[title] = verdict
            reader = get_reader(str(path)) if show else None
            for image, meta, _ in reader(str(path)) if reader is not None else ():
                outcome.images[verdict.name(title)] = (image, meta["metadata"])
    return outcome


def _verdict_of(path: Path, file: FileReport) -> Verdict:
    """The reason is only in the file, and only looked for where there is one."""
    from sasnet_live.sinks.ome_tiff import frame_figures

    counted = Verdict(file.accepted, file.frames)
    return counted if counted.is_clean else replace(counted, reason=Verdict.of(frame_figures(path)).reason)
