"""Pixel size, depths, times and names of channels, from whichever metadata a TIFF file has."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from tifffile import TiffFile

_MICROMETRES = {
    "m": 1e6,
    "cm": 1e4,
    "mm": 1e3,
    "µm": 1.0,
    "μm": 1.0,
    "um": 1.0,
    "\\u00b5m": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "nm": 1e-3,
    "pm": 1e-6,
    "inch": 25400.0,
}
_SECONDS = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "µs": 1e-6, "μs": 1e-6, "min": 60.0, "h": 3600.0}


_SMALLEST_UM, _LARGEST_UM = 1e-6, 1e6
"""A pixel smaller than an atom or larger than a metre is a mistake of whoever wrote the file."""


def calibration(tiff: TiffFile) -> dict[str, Any]:
    """What the file says, by the names of `sasnet_live.layout.Layout`; what it does not say is left out or None.

    What it says in a way that nobody expects counts as not said: frames are worth reading without it.
    """
    found: dict[str, Any] = {}
    with suppress(Exception):
        found = _found(tiff)
    size = found.get("pixel_size_um")
    if size is not None and not all(_SMALLEST_UM <= side <= _LARGEST_UM for side in size):
        found["pixel_size_um"] = None
    return found


def _found(tiff: TiffFile) -> dict[str, Any]:
    if tiff.is_ome and tiff.ome_metadata:
        found = _from_ome(tiff.ome_metadata)
    elif tiff.is_imagej and tiff.imagej_metadata:
        found = _from_imagej(tiff)
    else:
        description = tiff.pages.first.description
        found = {"description": "" if tiff.is_shaped else description}
    if found.get("pixel_size_um") is None:
        found["pixel_size_um"] = _from_resolution_tags(tiff)
    return found


def _from_ome(xml: str) -> dict[str, Any]:
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return {}
    return {**calibration_of_ome(root), "ome_xml": xml}


def calibration_of_ome(root: ElementTree.Element) -> dict[str, Any]:
    """What the first image of an OME-XML says, as `calibration`."""
    pixels = root.find(".//{*}Image/{*}Pixels")
    if pixels is None:
        return {}

    def length(name: str) -> float | None:
        return _scaled(pixels.get(name), _MICROMETRES.get(pixels.get(f"{name}Unit", "µm")))

    y, x = length("PhysicalSizeY"), length("PhysicalSizeX")
    names = [channel.get("Name", "") for channel in pixels.findall("{*}Channel")]
    description = root.findtext(".//{*}Image/{*}Description") or ""
    return {
        "pixel_size_um": (y or x, x or y) if x or y else None,
        "z_step_um": length("PhysicalSizeZ"),
        "interval_s": _scaled(pixels.get("TimeIncrement"), _SECONDS.get(pixels.get("TimeIncrementUnit", "s"))),
        "channel_names": names if all(names) else (),
        "description": description,
    }


def _from_imagej(tiff: TiffFile) -> dict[str, Any]:
    metadata: dict[str, Any] = tiff.imagej_metadata or {}
    scale = _MICROMETRES.get(str(metadata.get("unit", "")))
    pixel_size = None
    if scale is not None:
        x, y = (_rational(tiff, name) for name in ("XResolution", "YResolution"))
        pixel_size = (scale / y, scale / x) if x and y else None
    labels = metadata.get("Labels")
    named = isinstance(labels, list) and all(isinstance(one, str) for one in labels)
    return {
        "pixel_size_um": pixel_size,
        "z_step_um": _scaled(metadata.get("spacing"), scale) if "slices" in metadata else None,
        "interval_s": _scaled(metadata.get("finterval"), 1.0),
        "channel_names": labels if named and metadata.get("channels", 1) > 1 else (),
        "description": str(metadata.get("Info", "")),
    }


def _from_resolution_tags(tiff: TiffFile) -> tuple[float, float] | None:
    unit = tiff.pages.first.tags.valueof("ResolutionUnit", 0)
    x, y = (_rational(tiff, name) for name in ("XResolution", "YResolution"))
    # Some writers give several units, or one in words.
    scale = {2: 25400.0, 3: 10000.0}.get(int(unit)) if isinstance(unit, int) else None
    # 72 or 96 dots an inch is what drawing programs write when they know nothing.
    if scale is None or not x or not y or (int(unit) == 2 and x in (1, 72, 96, 150, 300)):
        return None
    return scale / y, scale / x


def _rational(tiff: TiffFile, name: str) -> float | None:
    """Value of a tag of pixels a unit of length; None where it is missing, or of another type than TIFF has for it."""
    value = tiff.pages.first.tags.valueof(name)
    if not isinstance(value, tuple) or len(value) != 2 or not all(isinstance(one, int) and one > 0 for one in value):
        return None
    return float(value[0] / value[1])


def _scaled(value: Any, scale: float | None) -> float | None:
    """A number times a scale, or None where either is missing or makes no sense."""
    try:
        number = float(value) * scale if scale is not None else math.nan
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None
