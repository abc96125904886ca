"""The whole path without a microscope: simulate a recording, reprocess it, score it against the truth, draw it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.files import check_writable_folder
from sasnet_live.frame import Pixels, Registration
from sasnet_live.geometry import ScanGeometry
from sasnet_live.layout import Layout
from sasnet_live.metrics import ncc, ssim
from sasnet_live.recordings import open_recording
from sasnet_live.registrar import Registrar
from sasnet_live.reprocess import Progress, ReprocessSettings, reprocess
from sasnet_live.scan import split
from sasnet_live.settings import RegistrarSettings
from sasnet_live.simulation.levels import random_scanner
from sasnet_live.simulation.recording import RecordingSettings, record
from sasnet_live.simulation.scanner import SimulatedFrame
from sasnet_live.sinks.ome_tiff import OmeTiffWriter

from .peers import BestRigidShift

RAW, REGISTERED, TABLE, PICTURE = "raw.ome.tiff", "registered.ome.tiff", "metrics.csv", "demo.png"
INTERVAL_S = 0.5


@dataclass(frozen=True)
class Scores:
    """One way to treat the backward lines, against the hidden truth, one figure a frame.

    Attributes
    ----------
    name
        "raw", "best rigid shift", "warped", "rendered".
    ncc, ssim
        (T,) each.
    displacement_error_px
        (T,) mean absolute error where there is texture.
    """

    name: str
    ncc: Pixels
    ssim: Pixels
    displacement_error_px: Pixels


@dataclass(frozen=True)
class Demo:
    """What a demonstration made: figures and the files of its folder."""

    folder: Path
    scores: tuple[Scores, ...]
    accepted: int
    frames: tuple[SimulatedFrame, ...]
    registrations: tuple[Registration, ...]
    elapsed_s: float


class _Watched:
    """A registrar that keeps what it found, for the picture."""

    def __init__(self, registrar: Registrar) -> None:
        self.registrar, self.found = registrar, list[Registration]()

    def register(self, raw: Pixels) -> Registration:
        self.found.append(self.registrar.register(raw))
        return self.found[-1]

    def apply(self, raw: Pixels, registration: Registration) -> Registration:
        return self.registrar.apply(raw, registration)

    def reset(self) -> None:
        self.registrar.reset()

    def describe(self) -> dict[str, str]:
        return self.registrar.describe()


def demonstrate(
    folder: Path,
    *,
    frames: int = 16,
    size: int = 512,
    level: Literal["easy", "medium", "hard"] = "medium",
    model: str = "default",
    device: str = "auto",
    seed: int = 7,
    progress: Callable[[Progress], None] | None = None,
) -> Demo:
    """Simulate a drifting recording, reprocess it from disk to disk, and score what is on disk.

    Files of an earlier demonstration in `folder` are replaced.

    Raises
    ------
    InputError
        If the folder cannot be made or written to.

    Returns
    -------
    Demo
        `draw` makes its picture.
    """
    began = time.perf_counter()
    check_writable_folder(folder)
    simulated = _simulate(folder / RAW, frames, size, level, seed)
    settings = ReprocessSettings(RegistrarSettings(model=model, device=device), overwrite=True)
    watched: list[_Watched] = []

    def make_registrar(settings: RegistrarSettings) -> _Watched:
        registrar = settings.make()
        registrar.warm_up((size, size))  # loops are compiled once after an installation: that is no frame's time
        watched.append(_Watched(registrar))
        return watched[0]

    report = reprocess(
        [folder / RAW],
        folder / REGISTERED,
        settings,
        metrics=folder / TABLE,
        progress=progress,
        make_registrar=make_registrar,
    )
    with open_recording(folder / REGISTERED) as stack:
        written = [split(image, ScanGeometry())[1] for image in stack.frames()]
    found = watched[0].found
    return Demo(
        folder=folder,
        scores=_score(simulated, found, written),
        accepted=sum(file.accepted for file in report.files),
        frames=tuple(simulated),
        registrations=tuple(found),
        elapsed_s=time.perf_counter() - began,
    )


def _simulate(path: Path, frames: int, size: int, level: str, seed: int) -> list[SimulatedFrame]:
    rng = np.random.default_rng(seed)
    scanner = random_scanner(rng, level, size)  # type: ignore[arg-type]
    recording = RecordingSettings(frame_interval_s=INTERVAL_S)
    simulated = list(record(seed, scanner, rng, frames, height=size, width=size, recording=recording))
    layout = Layout.stack((size, size), simulated[0].raw.dtype, "t", (frames,), interval_s=INTERVAL_S)
    with OmeTiffWriter(path, layout, record={"simulated": f"{level} scanner, seed {seed}"}, overwrite=True) as writer:
        for number, frame in enumerate(simulated):
            writer.write(frame.raw, times={"DeltaT": number * INTERVAL_S})
    return simulated


def _score(frames: list[SimulatedFrame], found: list[Registration], written: list[Pixels]) -> tuple[Scores, ...]:
    rows: dict[str, list[tuple[float, float, float]]] = {}
    for frame, registration, rendered in zip(frames, found, written, strict=True):
        forward, backward = (lines.astype(np.float32) for lines in split(frame.raw, frame.geometry))
        rigid = BestRigidShift().register(forward, backward, frame.geometry)
        results = {
            "raw": (backward, np.zeros_like(backward)),
            "best rigid shift": (rigid.image, rigid.displacement_px),
            "warped": (registration.warped, registration.displacement_px),
            "rendered": (rendered.astype(np.float32), registration.displacement_px),
        }
        for name, (image, displacement_px) in results.items():
            error = np.abs(displacement_px - frame.displacement_px)[frame.textured].mean()
            figures = (float(ncc(frame.truth, image)), float(ssim(frame.truth, image)), float(error))
            rows.setdefault(name, []).append(figures)
    return tuple(Scores(name, *np.array(figures).T) for name, figures in rows.items())


def draw(demo: Demo, path: Path) -> None:
    """Picture of a demonstration: raw, registered and true frame in close-up, displacement, figures over time."""
    from .optional import library

    figure: Any = library("matplotlib.figure").Figure(figsize=(13, 7.6), dpi=110, layout="constrained")
    library("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    figure.get_layout_engine().set(h_pad=0.08, w_pad=0.06)
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.5, 1), hspace=0.04)
    last = demo.frames[-1]
    raw, registered = last.raw, demo.registrations[-1].image
    truth = raw.astype(np.float32)
    truth[0::2], truth[1::2] = last.forward_truth, last.truth
    y, x = _busiest(truth, 160)
    low, high = np.percentile(raw, (1, 99.7))
    panels: tuple[tuple[str, Pixels], ...] = (
        ("raw, both passes interleaved", raw),
        ("registered", registered),
        ("truth (hidden)", truth),
    )
    for axes, (title, image) in zip(top.subplots(1, 3), panels, strict=True):
        axes.imshow(image[y : y + 160, x : x + 160], cmap="gray", vmin=low, vmax=high, interpolation="nearest")
        axes.set_title(title)
        axes.set_xticks([])
        axes.set_yticks([])
    curves, similarity, structure = bottom.subplots(1, 3)
    curves.plot(np.median(last.displacement_px, 0), color="0.7", linewidth=4, label="truth")
    curves.plot(np.median(demo.registrations[-1].displacement_px, 0), color="tab:blue", label="found")
    curves.set(xlabel="place along the line, px", ylabel="px", title="displacement of backward lines, last frame")
    time_s = INTERVAL_S * np.arange(len(demo.frames))
    colours = {"raw": "tab:red", "best rigid shift": "tab:orange", "warped": "tab:blue", "rendered": "tab:green"}
    for score in demo.scores:
        similarity.plot(time_s, score.ncc, color=colours[score.name], label=score.name)
        structure.plot(time_s, score.ssim, color=colours[score.name], label=score.name)
    similarity.set(xlabel="time, s", title="NCC of backward lines with the truth")
    structure.set(xlabel="time, s", title="SSIM of backward lines with the truth")
    for axes in (curves, structure):
        axes.legend(fontsize=8, frameon=False)
    for axes in (curves, similarity, structure):
        axes.grid(alpha=0.25)
    try:
        figure.savefig(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); choose another folder") from None


def _busiest(image: Pixels, side: int) -> tuple[int, int]:
    """Corner (y, x) of the square with the most structure in it."""
    side = min(side, *image.shape)
    power = np.square(np.diff(image, axis=1, append=image[:, -1:])).cumsum(0).cumsum(1)
    power = np.pad(power, ((1, 0), (1, 0)))
    sums = power[side:, side:] - power[:-side, side:] - power[side:, :-side] + power[:-side, :-side]
    y, x = np.unravel_index(int(sums.argmax()), sums.shape)
    return int(y), int(x)
