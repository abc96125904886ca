"""What a user chose in the widgets, kept between sessions."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from sasnet_live.files import write_whole
from sasnet_live.parameters import check_values, parameter, read_what_fits
from sasnet_live.recordings.settings import LARGEST_MIB
from sasnet_live.settings import RegistrarSettings
from sasnet_live.sources.tcp_defaults import HOST, PORT

from .pictures import KINDS

_log = logging.getLogger(__name__)

SourceKind = Literal["camera", "simulated", "folder", "tcp"]
PolicyChoice = Literal["auto", "latest", "all"]
RecordFormat = Literal["ome.tiff", "ome.zarr"]
Arrangement = Literal["side by side", "stacked"]
Level = Literal["easy", "medium", "hard"]

LONGEST_SETTLE_S = 3600.0
"""Longer than any program rests in the middle of a file."""


@dataclass(frozen=True)
class LiveSettings:
    """Everything that the widgets let a user choose.

    Attributes
    ----------
    source, folder, level
        Where frames come from; the folder that is watched; which simulated scanner.
    settle_s
        How long a file in the watched folder must not have changed before it counts as complete.
    largest_mib
        Memory that a frame of a file may take; not in the form, but in napari's preferences.
    tcp_host, tcp_port
        Where another program connects to.
    registrar
        What registers, and how lines are laid out.
    previous_model
        The model used before fine-tuned weights were taken; empty if there is none to go back to.
    policy
        "auto": every frame while recording, else the newest.
    align_on
        Name or number of the channel whose displacement moves all others; empty: each channel by itself.
    record_folder, record_name, record_format, record_raw, record_metrics
        What recordings are called and what is in them.
    layers
        The layers shown; with none, a session begins with those of the one before.
    arrangement, overlay
        How they are laid out; whether the figures are written on the canvas.
    expanded
        The groups that are open.
    """

    source: SourceKind = parameter(
        "simulated",
        "Where frames come from. Micro-Manager: acquisitions, live mode and snaps of napari-micromanager or of a "
        "script in this napari. Simulated: no microscope needed. Folder: TIFF files that another program writes. "
        "Another program: it sends its frames over TCP, such as LabVIEW or MATLAB.",
    )
    folder: str = parameter("", "Folder that another program writes TIFF files into.")
    settle_s: float = parameter(
        0.3,
        "A file counts as complete when it has not changed for so long. Take more where the other program pauses in "
        "the middle of a file.",
        unit="s",
        at_least=0,
        at_most=LONGEST_SETTLE_S,
    )
    largest_mib: float = parameter(
        LARGEST_MIB, "Memory that a frame of a file may take unpacked, however small its file.", unit="MiB", at_least=1
    )
    tcp_host: str = parameter(
        HOST,
        "Address to listen on. 127.0.0.1: only programs on this computer can connect. With another one, every computer "
        "that reaches it can send frames and read what comes of them.",
    )
    tcp_port: int = parameter(
        PORT, "Port to listen on: the same number as in the other program.", at_least=1, at_most=65_535
    )
    level: Level = parameter("medium", "How far the passes of the simulated scanner are apart, and how noisy they are.")
    registrar: RegistrarSettings = RegistrarSettings()
    previous_model: str = ""
    policy: PolicyChoice = parameter(
        "auto",
        "When frames come faster than they are registered. Newest: older ones are dropped and counted. Every: they "
        "wait, on disk if need be. Automatic: every frame while recording.",
    )
    align_on: str = parameter(
        "",
        "Name or number of the channel whose displacement moves all others of the same scan. Empty: each channel by "
        "itself.",
    )
    record_folder: str = parameter("", "Folder that recordings are written to.")
    record_name: str = parameter(
        "scan", "Beginning of the file names; date and time are added, so nothing is replaced."
    )
    record_format: RecordFormat = parameter(
        "ome.tiff", "OME-TIFF is one file that every program reads; OME-Zarr is a folder for very large recordings."
    )
    record_raw: bool = parameter(True, "Write the frames as acquired to a second file.")
    record_metrics: bool = parameter(True, "Write a CSV table with a row a frame.")
    layers: tuple[str, ...] = ("raw", "registered")
    arrangement: Arrangement = parameter("side by side", "How the layers are laid out on the canvas.")
    overlay: bool = parameter(True, "Write NCC, SSIM, shift and speed on the canvas, coloured by trust.")
    expanded: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_values(self)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> LiveSettings:
        """From what was stored, perhaps by another version: what is unknown or does not fit is left at its default."""
        kept = read_what_fits(cls, values)
        return kept if set(kept.layers) & set(KINDS) else replace(kept, layers=cls.layers)


class SettingsStore:
    """A JSON file with the settings; without a path nothing is kept, which is what tests of napari get.

    Reading and writing never fail: settings that cannot be kept must not keep anybody from scanning.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def load(self) -> LiveSettings:
        """What was kept, or the defaults."""
        if self.path is not None and self.path.is_file():
            try:
                return LiveSettings.from_mapping(json.loads(self.path.read_text(encoding="utf-8")))
            except (OSError, ValueError, TypeError) as error:
                _log.warning("%s cannot be read, starting with the defaults: %s", self.path, error)
        return LiveSettings()

    def save(self, settings: LiveSettings) -> None:
        """Keep them; the file appears whole or not at all. Instead of no layers at all, those last kept stay."""
        if self.path is None:
            return
        if not settings.layers:
            settings = replace(settings, layers=self.load().layers)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, json.dumps(asdict(settings), indent=1).encode())
        except OSError as error:
            _log.warning("%s cannot be written, settings are not kept: %s", self.path, error)
