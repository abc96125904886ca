"""OME-XML (schema 2016-06) of a stack: what came with the source is kept, what changed is replaced."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from uuid import uuid4
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from sasnet_live.layout import Layout

RECORD_NAMESPACE = "sasnet-live/registration"
"""Namespace of the MapAnnotation that says what was done to the frames."""

TIMES = {"DeltaT": "s", "ExposureTime": "ms"}
"""What is known of when a plane was recorded, and its unit."""

PlaneTimes = Mapping[str, Sequence[float]]

_ROOM = "sasnet-live-elements"
_SCHEMA = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_PIXEL_TYPES = {"float32": "float", "float64": "double"}


def ome_xml(
    layout: Layout,
    *,
    order: Sequence[str],
    record: Mapping[str, str],
    planes: PlaneTimes | None = None,
    name: str = "",
    creator: str = "",
) -> Iterator[str]:
    """OME-XML text, in pieces, of a stack whose number of frames is known.

    Parameters
    ----------
    layout
        The stack. Its `ome_xml` is taken over where it is of this schema and describes as many positions.
    order
        Order of axes, slowest first, in which the pages lie in the file.
    record
        What was done, written as a MapAnnotation in `RECORD_NAMESPACE`.
    planes
        "DeltaT" (s since the start) and "ExposureTime" (ms) of every page, NaN where not known.
    name, creator
        Name of the image, and of the program.
    """
    root = _source(layout) or _skeleton(layout, name)
    root.set("UUID", f"urn:uuid:{uuid4()}")
    root.set(f"{{{_XSI}}}schemaLocation", f"{_SCHEMA} {_SCHEMA}/ome.xsd")
    if creator:
        root.set("Creator", creator)
    annotation = _annotate(root, record)
    known = {name: values for name, values in (planes or {}).items() if not all(map(math.isnan, values))}
    listed: list[Iterator[str]] = []
    for position, image in enumerate(root.findall(_tag("Image"))):
        pixels = image.find(_tag("Pixels"))
        assert pixels is not None  # `_source` and `_skeleton` see to it
        _describe(pixels, layout)
        _leave_room(pixels, also=("Plane",) if known else ())
        listed += [_located(layout, order, position), _timed(layout, order, position, known)]
        if annotation:
            SubElement(image, _tag("AnnotationRef"), ID=annotation)
    ElementTree.register_namespace("", _SCHEMA)
    ElementTree.register_namespace("xsi", _XSI)
    text = ElementTree.tostring(root, encoding="unicode")
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    between = text.split(f"<{_ROOM} />")
    for fixed, elements in zip(between, (*listed, iter(())), strict=True):
        yield fixed
        yield from elements


def read_record(xml: str) -> dict[str, str]:
    """What an OME-XML says was done by this program; empty if it is not from here."""
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return {}
    records = [a for a in root.iter(_tag("MapAnnotation")) if a.get("Namespace") == RECORD_NAMESPACE]
    if not records:
        return {}
    # The last one: a file that was registered twice has both.
    return {entry.get("K", ""): entry.text or "" for entry in records[-1].iter(_tag("M"))}


def _source(layout: Layout) -> Element | None:
    """The source's own OME tree, if it can be carried on."""
    try:
        root = ElementTree.fromstring(layout.ome_xml)
    except ElementTree.ParseError:
        return None
    images = root.findall(_tag("Image"))
    described = [image.find(_tag("Pixels")) for image in images]
    # Of other sizes: the axes were read in another way than the source names them, so its planes mean nothing here.
    sizes = {f"Size{axis.upper()}": str(layout.size(axis)) for axis in "czt"}
    same = all(p is not None and all(p.get(name) == size for name, size in sizes.items()) for p in described)
    return root if root.tag == _tag("OME") and same and len(images) == layout.size("p") else None


def _skeleton(layout: Layout, name: str) -> Element:
    root = Element(_tag("OME"))
    positions = layout.size("p") or 1
    for position in range(positions):
        suffix = f" position {position}" if positions > 1 else ""
        image = SubElement(root, _tag("Image"), ID=f"Image:{position}", Name=f"{name}{suffix}")
        if layout.description:
            SubElement(image, _tag("Description")).text = _printable(layout.description)
        pixels = SubElement(image, _tag("Pixels"), ID=f"Pixels:{position}")
        if layout.pixel_size_um is not None:
            for axis, size in zip("YX", layout.pixel_size_um, strict=True):
                pixels.set(f"PhysicalSize{axis}", repr(float(size)))
                pixels.set(f"PhysicalSize{axis}Unit", "µm")
        if layout.z_step_um is not None:
            pixels.set("PhysicalSizeZ", repr(float(layout.z_step_um)))
            pixels.set("PhysicalSizeZUnit", "µm")
        if layout.interval_s is not None:
            pixels.set("TimeIncrement", repr(float(layout.interval_s)))
            pixels.set("TimeIncrementUnit", "s")
    return root


def _describe(pixels: Element, layout: Layout) -> None:
    """Sizes, type and channels."""
    axes = layout.letters[::-1].replace("P", "")
    dtype = np.dtype(layout.dtype).name
    pixel_type = _PIXEL_TYPES.get(dtype, dtype)
    if pixels.get("Type") != pixel_type:
        pixels.attrib.pop("SignificantBits", None)
    pixels.attrib.pop("Interleaved", None)
    pixels.set("BigEndian", "false")
    pixels.set("Type", pixel_type)
    pixels.set("DimensionOrder", "XY" + axes + "".join(axis for axis in "CZT" if axis not in axes))
    height, width = layout.frame_shape
    for axis, size in (("X", width), ("Y", height), *((axis, layout.size(axis.lower())) for axis in "CZT")):
        pixels.set(f"Size{axis}", str(size))
    channels = pixels.findall(_tag("Channel"))
    if len(channels) != layout.size("c"):
        for channel in channels:
            pixels.remove(channel)
        for i in range(layout.size("c") or 1):
            channel = Element(_tag("Channel"), ID=f"Channel:{pixels.get('ID', '').split(':')[-1]}:{i}")
            channel.set("SamplesPerPixel", "1")
            if layout.channel_names:
                channel.set("Name", _printable(layout.channel_names[i]))
            pixels.insert(i, channel)


def _leave_room(pixels: Element, also: tuple[str, ...]) -> None:
    """Take out what says which page is which plane, and mark where `_located` and `_timed` belong."""
    told = {_tag(name) for name in ("TiffData", "BinData", "MetadataOnly", *also)}
    for old in [child for child in pixels if child.tag in told]:
        pixels.remove(old)
    pixels.insert(len(pixels.findall(_tag("Channel"))), Element(_ROOM))
    pixels.append(Element(_ROOM))


def _pages_of(layout: Layout, order: Sequence[str], position: int) -> Iterator[tuple[int, dict[str, int]]]:
    """Pages of a position, and where along the other axes they are."""
    for page in range(layout.frames or 0):
        index = layout.index(page, order)
        if index.pop("p", 0) == position:
            yield page, index


def _located(layout: Layout, order: Sequence[str], position: int) -> Iterator[str]:
    """Which page of the file is which plane. As text: a tree of so many elements would take more than the frames."""
    long = [axis for axis in order if layout.size(axis) != 1]
    if long == sorted(long, key=lambda axis: (axis != "p", layout.axes.index(axis))):
        count = (layout.frames or 0) // (layout.size("p") or 1)
        yield f'<TiffData IFD="{position * count}" PlaneCount="{count}" />'
        return
    for page, index in _pages_of(layout, order, position):
        where = "".join(f'First{axis.upper()}="{n}" ' for axis, n in index.items())
        yield f'<TiffData {where}IFD="{page}" PlaneCount="1" />'


def _timed(layout: Layout, order: Sequence[str], position: int, times: PlaneTimes) -> Iterator[str]:
    """When each plane was recorded, where that is known of any."""
    if not times:
        return
    for page, index in _pages_of(layout, order, position):
        told = "".join(
            f' {name}="{values[page]!r}" {name}Unit="{TIMES[name]}"'
            for name, values in times.items()
            if page < len(values) and not math.isnan(values[page])
        )
        the = " ".join(f'The{axis.upper()}="{index.get(axis, 0)}"' for axis in "ztc")
        yield f"<Plane {the}{told} />"


def _annotate(root: Element, record: Mapping[str, str]) -> str:
    """Add the record of what was done; its ID."""
    if not record:
        return ""
    annotations = root.find(_tag("StructuredAnnotations"))
    if annotations is None:
        annotations = Element(_tag("StructuredAnnotations"))
        # The schema wants them before ROI elements.
        place = next((i for i, child in enumerate(root) if child.tag == _tag("ROI")), len(root))
        root.insert(place, annotations)
    taken = {element.get("ID") for element in annotations}
    number = 0
    while f"Annotation:sasnet-live-{number}" in taken:
        number += 1
    identifier = f"Annotation:sasnet-live-{number}"
    annotation = SubElement(annotations, _tag("MapAnnotation"), ID=identifier, Namespace=RECORD_NAMESPACE)
    value = SubElement(annotation, _tag("Value"))
    for key, text in record.items():
        SubElement(value, _tag("M"), K=_printable(key)).text = _printable(str(text))
    return identifier


def _tag(name: str) -> str:
    return f"{{{_SCHEMA}}}{name}"


def _printable(text: str) -> str:
    """Text without the control characters that XML forbids."""
    return "".join(c for c in text if c in "\t\n\r" or (c >= " " and c not in "￾￿"))
