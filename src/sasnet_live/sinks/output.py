"""What the sinks of a recording share: where each stream goes, and what of each frame is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from sasnet_live.convert import as_dtype
from sasnet_live.errors import InputError
from sasnet_live.files import check_folder, part_path, partial_path, refuse_folder, refuse_present
from sasnet_live.frame import Frame, Pixels, Registration
from sasnet_live.layout import Layout
from sasnet_live.sinks.metrics_table import figures_of

Content = Literal["registered", "warped", "raw", "side by side"]


class Destination:
    """The path of the present stream, each stream's its own: ``a.ome.tiff``, then ``a_002.ome.tiff``.

    Parameters
    ----------
    path
        Of the first stream.
    overwrite
        Replace what is there.
    is_folder
        Whether it is a folder that is written, rather than a file.

    Raises
    ------
    InputError
        As `check_writable`, for the first stream.
    """

    def __init__(self, path: str | Path, overwrite: bool, *, is_folder: bool = False) -> None:
        self._first, self.overwrite = Path(path), overwrite
        self._part = 0
        if not is_folder:
            refuse_folder(self._first)
        check_writable(self._first, overwrite)

    @property
    def path(self) -> Path:
        """Of the present stream; before there is one, of the first."""
        return part_path(self._first, max(self._part, 1))

    @property
    def name(self) -> str:
        """The file's or folder's name."""
        return self.path.name

    def next(self) -> Path:
        """Go on to the next stream; its path."""
        self._part += 1
        return self.path


@dataclass(frozen=True)
class Written:
    """What is written of each frame, and about the processing.

    Parameters
    ----------
    content
        "registered": as `Registration.image`; "warped": moved only, where the registrar gives both; "raw": as acquired;
        "side by side": raw on the left, registered on the right.
    dtype
        None: that of the frames. Integers are rounded and clipped.
    record
        Asked once a stream for what to write about the processing, text by name.
    """

    content: Content
    dtype: np.dtype[Any] | None
    record: Callable[[], Mapping[str, str]] | None

    def __post_init__(self) -> None:
        if self.content not in get_args(Content):
            raise InputError(f"content is {self.content!r}; expected one of {', '.join(get_args(Content))}")

    def image_of(self, frame: Frame, registration: Registration) -> Pixels:
        """The pixels."""
        return as_dtype(content_of(self.content, frame, registration), self.dtype)

    def figures_of(self, registration: Registration) -> dict[str, Any]:
        """Its figures; none where the frame is written as acquired."""
        return {} if self.content == "raw" else figures_of(registration)

    def record_of(self, stream: Layout) -> dict[str, str]:
        """What a file says of where its frames come from and what was done to them."""
        return {**describe_stream(stream), "content": self.content, **(self.record() if self.record else {})}


def check_writable(path: Path, overwrite: bool) -> None:
    """Find out before the first frame what would be found out with it.

    Raises
    ------
    InputError
        If the folder is not there or cannot be written to, or the file is there and not to be replaced.
    """
    check_folder(path)
    if not overwrite:
        refuse_present(path)
        refuse_present(partial_path(path))


def content_of(content: Content, frame: Frame, registration: Registration) -> Pixels:
    """What is to be written of a frame."""
    if content == "raw":
        return frame.data
    if content == "side by side":
        return np.concatenate([frame.data, as_dtype(registration.image, frame.data.dtype)], axis=1)
    if content == "warped" and registration.warped_image is not None:
        return registration.warped_image
    return registration.image


def describe_stream(stream: Layout) -> dict[str, str]:
    """What is known of a stream, as text by name, for the record in a file."""
    record = {"source": stream.source} if stream.source else {}
    for name, value in stream.metadata.items():
        record[name] = value if isinstance(value, str) else json.dumps(value, default=str)
    return record


def elapsed_s(frame: Frame, first: Frame) -> float:
    """Time of a frame since the start of its stream, s: the acquisition's own clock if it has one."""
    runner_time_ms = frame.metadata.get("runner_time_ms")
    if runner_time_ms is not None:
        return float(runner_time_ms) / 1e3
    return frame.received_s - first.received_s
