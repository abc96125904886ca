"""A watched folder, a registrar and a pipeline together: one odd file stops nothing."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile

from sasnet_live.errors import InputError
from sasnet_live.frame import Frame, Registration
from sasnet_live.geometry import ScanGeometry
from sasnet_live.live.channels import ChannelRegistrar
from sasnet_live.live.pipeline import LivePipeline
from sasnet_live.recordings.tiff import TiffStack
from sasnet_live.registrar import Registrar
from sasnet_live.session.watching import refuse_output_in, watch_folder
from sasnet_live.sinks.recording import OmeTiffSink
from sources.conftest import wait_for


def frame(seed: int, shape: tuple[int, int] = (32, 48), dtype: type = np.uint16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 200, shape).astype(dtype)


def registered(folder: Path, geometry: ScanGeometry, out: Path, *, align_on: str | None = None) -> tuple[list, tuple]:
    """What came out of a folder: (file, shape) of each frame, and the problems."""
    process = ChannelRegistrar(lambda: Registrar("correspondence", geometry=geometry), align_on)
    source = watch_folder(folder, geometry, align_on=align_on, settle_s=0.02)
    came: list[tuple[str, tuple[int, ...]]] = []

    def note(frame: Frame, registration: Registration) -> None:
        came.append((frame.metadata["file"], frame.data.shape))

    with LivePipeline(process, [OmeTiffSink(out)], policy="all", prepare=process.prepare) as pipeline:
        pipeline.registered.connect(note)
        source.start(pipeline)
        wait_for(lambda: source.idle_s > 0.3)
        source.stop()
    return came, source.problems


@pytest.mark.parametrize(
    ("geometry", "odd"),
    [
        (ScanGeometry(), (8, 8)),
        (ScanGeometry(), (14, 200)),  # too few lines
        (ScanGeometry(), (200, 31)),  # too short ones
        (ScanGeometry(line_axis="columns"), (200, 14)),
        (ScanGeometry(crop=(8, 8)), (64, 40)),
        (ScanGeometry(crop=(8, 8)), (64, 16)),  # nothing is left
    ],
)
def test_a_file_too_small_to_register_is_named_and_everything_else_is_registered(
    tmp_path: Path, geometry: ScanGeometry, odd: tuple[int, int]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    good, other = (48, 64), (64, 48)
    for name, shape in (("a", good), ("b_odd", odd), ("c", good), ("d", other), ("e_odd", odd), ("f", other)):
        tifffile.imwrite(folder / f"{name}.tif", frame(ord(name[0]), shape))
    came, problems = registered(folder, geometry, tmp_path / "out.ome.tiff")
    assert came == [("a.tif", good), ("c.tif", good), ("d.tif", other), ("f.tif", other)]
    assert [problem.path.name for problem in problems] == ["b_odd.tif", "e_odd.tif"]
    assert all("too little to register; left out" in problem.reason for problem in problems)
    assert sorted(path.name for path in tmp_path.glob("*.tiff")) == ["out.ome.tiff", "out_002.ome.tiff"]


def test_a_file_without_the_channel_to_align_on_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, channels in (("a", ["DAPI", "FITC"]), ("b", ["red", "green"]), ("c", ["DAPI", "FITC"])):
        stack = np.stack([frame(1), frame(2)])
        options = {"axes": "CYX", "Channel": {"Name": channels}}
        tifffile.imwrite(folder / f"{name}.ome.tif", stack, metadata=options, photometric="minisblack")
    came, [problem] = registered(folder, ScanGeometry(), tmp_path / "out.ome.tiff", align_on="FITC")
    assert [name for name, _ in came] == ["a.ome.tif"] * 2 + ["c.ome.tif"] * 2
    assert "b.ome.tif: align_on is 'FITC'; the channels are red, green" in problem.reason


def test_both_sizes_of_a_px_go_from_the_folder_into_the_recording(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(2):
        tifffile.imwrite(folder / f"{number}.tif", frame(number), resolution=(2e4, 5e3), resolutionunit="CENTIMETER")
    registered(folder, ScanGeometry(), tmp_path / "out.ome.tiff")
    with TiffStack(tmp_path / "out.ome.tiff") as stack:
        assert stack.layout.pixel_size_um == pytest.approx((2.0, 0.5))
    with tifffile.TiffFile(tmp_path / "out.ome.tiff") as tiff:
        x, y = (tiff.pages.first.tags[name].value for name in ("XResolution", "YResolution"))
        assert (x[0] / x[1], y[0] / y[1]) == pytest.approx((2e4, 5e3))


def test_outputs_in_the_watched_folder_are_refused_by_whichever_name(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "deeper").mkdir(parents=True)
    if os.name != "nt":
        (tmp_path / "link").symlink_to(folder)
        with pytest.raises(InputError, match="lies in the folder that is watched"):
            refuse_output_in(tmp_path / "link", folder / "a.tif")
        with pytest.raises(InputError, match="lies in the folder that is watched"):
            refuse_output_in(folder, tmp_path / "link" / "a.tif")
    for output in (folder / "a.tif", folder / "deeper" / ".." / "a.tif"):
        with pytest.raises(InputError, match="lies in the folder that is watched"):
            refuse_output_in(folder, output)
    with pytest.raises(InputError, match="lies in the folder that is watched"):
        refuse_output_in(tmp_path / "not yet", tmp_path / "not yet" / "a.tif")
    for output in (None, tmp_path / "a.tif", folder / "deeper" / "a.tif"):
        refuse_output_in(folder, output)
