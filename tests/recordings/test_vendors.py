"""Vendors' formats through bioio: files that Zeiss's own library writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sasnet_live.errors import InputError
from sasnet_live.recordings import open_recording
from sasnet_live.reprocess import ReprocessSettings, reprocess
from sasnet_live.settings import RegistrarSettings
from sasnet_live.simulation import RecordingSettings, random_scanner, record

pytest.importorskip("bioio_czi", reason="bioio-czi is not installed: .czi files were not read")
pylibczirw: Any = pytest.importorskip("pylibCZIrw.czi", reason="pylibCZIrw is not installed: no .czi file was written")


def write_czi(path: Path, stack: np.ndarray[Any, Any], scenes: int = 1) -> np.ndarray[Any, Any]:
    """A (T, C, H, W) stack, in as many scenes."""
    with pylibczirw.create_czi(str(path)) as file:
        for scene in range(scenes):
            for t, channels in enumerate(stack):
                for c, frame in enumerate(channels):
                    file.write(data=frame[..., None], plane={"T": t, "C": c, "Z": 0}, scene=scene, location=(0, 0))
        file.write_metadata(document_name="scan", scale_x=0.5e-6, scale_y=1.5e-6)
    return stack


def numbered(*shape: int) -> np.ndarray[Any, Any]:
    return np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)


@pytest.mark.parametrize(
    ("times", "channels", "axes"), [(3, 2, ("t", "c")), (4, 1, ("t",)), (1, 2, ("c",)), (1, 1, ())]
)
def test_frames_come_as_they_were_written(tmp_path: Path, times: int, channels: int, axes: tuple[str, ...]) -> None:
    stack = write_czi(tmp_path / "a.czi", numbered(times, channels, 20, 36))
    with open_recording(tmp_path / "a.czi") as recording:
        assert recording.layout.axes == axes
        assert recording.layout.pixel_size_um == pytest.approx((1.5, 0.5))
        np.testing.assert_array_equal(np.stack(list(recording.frames())), stack.reshape(-1, 20, 36))


def test_a_recording_is_registered(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    frames = record(3, random_scanner(rng, "easy", 128), rng, 3, height=96, width=128, recording=RecordingSettings())
    stack = np.stack([frame.raw for frame in frames])[:, None]
    write_czi(tmp_path / "a.czi", stack)
    settings = ReprocessSettings(RegistrarSettings("correspondence", "cpu", output="warped"))
    [report] = reprocess([tmp_path / "a.czi"], tmp_path / "out.ome.tiff", settings).files
    assert (report.error, report.frames, report.accepted) == ("", 3, 3)
    with open_recording(tmp_path / "out.ome.tiff") as written:
        np.testing.assert_array_equal(np.stack(list(written.frames()))[:, 0::2], stack[:, 0, 0::2])


@pytest.mark.parametrize("kept", [0, 40, 3000])
def test_a_damaged_file_is_one_line(tmp_path: Path, kept: int) -> None:
    write_czi(tmp_path / "whole.czi", numbered(2, 1, 20, 36))
    content = (tmp_path / "whole.czi").read_bytes()
    assert len(content) > kept
    (tmp_path / "a.czi").write_bytes(content[:kept])
    with pytest.raises(InputError, match=r"a\.czi: ") as caught, open_recording(tmp_path / "a.czi") as recording:
        list(recording.frames())
    assert "\n" not in str(caught.value)


def test_a_scene_that_is_none_is_named(tmp_path: Path) -> None:
    from sasnet_live.recordings import ReadSettings

    write_czi(tmp_path / "a.czi", numbered(2, 1, 20, 36))
    with pytest.raises(InputError, match="holds no scene 'other'; it has"):
        open_recording(tmp_path / "a.czi", ReadSettings(dataset="other"))


def test_without_the_plugin_the_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "bioio_nd2", None)
    (tmp_path / "a.nd2").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r'run: pip install "sasnet-live\[vendors\]"'):
        open_recording(tmp_path / "a.nd2")
