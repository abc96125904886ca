"""What a user chose in the widgets, kept between sessions; no Qt."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from sasnet_live.files import write_whole
from sasnet_live.geometry import LineAxis, Pass, ScanGeometry, SlowAxis
from sasnet_live.settings import Output, Precision, RegistrarSettings

from .pictures import KINDS

_log = logging.getLogger(__name__)

SourceKind = Literal["camera", "simulated", "folder"]
PolicyChoice = Literal["auto", "latest", "all"]
RecordFormat = Literal["ome.tiff", "ome.zarr"]
Arrangement = Literal["side by side", "stacked"]
Level = Literal["easy", "medium", "hard"]

LONGEST_SETTLE_S = 3600.0
"""Longer than any program rests in the middle of a file."""

FOLDER_VARIABLE = "SASNET_LIVE_SETTINGS"


@dataclass(frozen=True)
class LiveSettings:
    """Everything that the widgets let a user choose.

    Attributes
    ----------
    source, folder, level
        Where frames come from; the folder that is watched; which simulated scanner.
    settle_s
        How long a file in the watched folder must not have changed before it counts as complete.
    line_axis, first, mirrored, line_offset, crop_start, crop_end, slow_axis
        See `ScanGeometry`.
    model, device, precision, output, temporal, search_px
        See `Registrar`; `search_px` 0: a tenth of the line. `model` may be the path of a weights file.
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

    source: SourceKind = "simulated"
    folder: str = ""
    settle_s: float = 0.3
    level: Level = "medium"
    line_axis: LineAxis = "rows"
    first: Pass = "forward"
    mirrored: bool = False
    line_offset: int = 0
    crop_start: int = 0
    crop_end: int = 0
    slow_axis: SlowAxis = "continuous"
    model: str = "default"
    previous_model: str = ""
    device: str = "auto"
    precision: Precision = "auto"
    output: Output = "rendered"
    temporal: bool = True
    search_px: int = 0
    policy: PolicyChoice = "auto"
    align_on: str = ""
    record_folder: str = ""
    record_name: str = "scan"
    record_format: RecordFormat = "ome.tiff"
    record_raw: bool = True
    record_metrics: bool = True
    layers: tuple[str, ...] = ("raw", "registered")
    arrangement: Arrangement = "side by side"
    overlay: bool = True
    expanded: tuple[str, ...] = ()

    @property
    def geometry(self) -> ScanGeometry:
        """How the lines are recorded."""
        return ScanGeometry(
            line_axis=self.line_axis,
            first=self.first,
            backward_mirrored=self.mirrored,
            line_offset=self.line_offset,
            crop=(self.crop_start, self.crop_end),
            slow_axis=self.slow_axis,
        )

    @property
    def registrar(self) -> RegistrarSettings:
        """What registers."""
        return RegistrarSettings(
            model=self.model,
            device=self.device,
            precision=self.precision,
            output=self.output,
            geometry=self.geometry,
            search_px=self.search_px or None,
            temporal=self.temporal,
        )

    @classmethod
    def from_mapping(cls, values: dict[str, Any]) -> LiveSettings:
        """From what was stored, perhaps by another version: what is unknown or does not fit is left at its default."""
        kept: dict[str, Any] = {}
        hints = get_type_hints(cls)
        for field in fields(cls):
            value = values.get(field.name, field.default)
            if isinstance(field.default, tuple):
                fits = isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)
                value = tuple(value) if fits else value
            else:
                fits = type(value) is type(field.default)
                allowed = get_args(hints[field.name])
                fits = fits and (not allowed or value in allowed)
            if fits:
                kept[field.name] = value
        if not set(kept.get("layers", ())) & set(KINDS):
            kept.pop("layers", None)
        for name in ("crop_start", "crop_end", "search_px"):
            if kept.get(name, 0) < 0:
                del kept[name]
        if not 0 <= kept.get("settle_s", 0.0) <= LONGEST_SETTLE_S:
            del kept["settle_s"]
        return cls(**kept)


@dataclass(frozen=True)
class DisplayPreferences:
    """What is chosen in napari's Preferences, under SASNet Live."""

    rate_hz: int = 30
    overlay_font_size: int = 11


def display_preferences() -> DisplayPreferences:
    """As chosen, or the defaults where napari does not know the plugin's settings."""
    try:
        from napari.settings import get_plugin_settings

        display = get_plugin_settings("sasnet-live").display
        return DisplayPreferences(int(display.rate_hz), int(display.overlay_font_size))
    except (ImportError, KeyError, AttributeError, TypeError, ValueError):
        return DisplayPreferences()


class SettingsStore:
    """A JSON file with the settings; without a path nothing is kept, which is what tests of napari get.

    Reading and writing never fail: settings that cannot be kept must not keep anybody from scanning.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path

    @classmethod
    def default(cls) -> SettingsStore:
        """Beside napari's own settings, or in the folder that `SASNET_LIVE_SETTINGS` names."""
        folder = data_folder()
        return cls(None if folder is None else folder / "settings.json")

    def load(self) -> LiveSettings:
        """What was kept, or the defaults."""
        if self.path is not None and self.path.is_file():
            try:
                return LiveSettings.from_mapping(json.loads(self.path.read_text(encoding="utf-8")))
            except (OSError, ValueError, AttributeError) as error:
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


def data_folder() -> Path | None:
    """Folder for what the plugin keeps; None where napari keeps nothing either."""
    if os.environ.get(FOLDER_VARIABLE):
        return Path(os.environ[FOLDER_VARIABLE])
    from napari.settings import get_settings

    path = get_settings().config_path
    return None if path is None else Path(path).parent / "sasnet-live"
