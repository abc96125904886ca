"""Sample data, and reading what was recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from fake_registrar import FakeRegistrar
from sasnet_live.errors import InputError
from sasnet_live.frame import Frame
from sasnet_live.layout import Layout
from sasnet_live.plugin.readers import sample_data
from sasnet_live.plugin.readers.reader import get_reader
from sasnet_live.sinks.ome_zarr import OmeZarrSink
from sasnet_live.sinks.recording import OmeTiffSink


@pytest.mark.parametrize("make", [sample_data.calm, sample_data.drifting, sample_data.noisy])
def test_samples_are_raw_recordings(monkeypatch: pytest.MonkeyPatch, make: object) -> None:
    monkeypatch.setattr(sample_data, "FRAMES", 2)
    monkeypatch.setattr(sample_data, "LINES", 64)
    monkeypatch.setattr(sample_data, "PIXELS", 128)
    [(raw, meta, kind)] = make()  # type: ignore[operator]
    assert (raw.shape, raw.dtype, kind) == ((2, 64, 128), np.uint16, "image")
    assert len(meta["scale"]) == len(meta["units"]) == len(meta["axis_labels"]) == 3
    before = np.corrcoef(raw[0, 0::2].ravel(), raw[0, 1::2].ravel())[0, 1]
    assert before < 0.95  # there is something to register
    assert np.array_equal(raw, make()[0][0])  # type: ignore[operator]


@pytest.mark.parametrize(("sink", "name"), [(OmeTiffSink, "a.ome.tiff"), (OmeZarrSink, "a.ome.zarr")])
def test_recordings_come_with_their_figures(tmp_path: Path, sink: type, name: str) -> None:
    frames = _record(sink(tmp_path / name, record=lambda: {"model": "fake"}))
    reader = get_reader(str(tmp_path / name))
    assert reader is not None
    [(image, meta, kind)] = reader(str(tmp_path / name))
    assert kind == "image"
    assert np.array_equal(image, np.stack(frames))
    assert list(meta["scale"])[-2:] == [6.0, 1.5]
    about = meta["metadata"]["sasnet_live"]
    assert about["record"]["model"] == "fake"
    assert [frame["confidence"] for frame in about["frames"]] == [1, 2, 3]
    assert about["means"]["confidence"] == pytest.approx(2)


@pytest.mark.parametrize(("sink", "name"), [(OmeTiffSink, "a.ome.tiff"), (OmeZarrSink, "a.ome.zarr")])
def test_channels_become_layers(tmp_path: Path, sink: type, name: str) -> None:
    frames = _record(sink(tmp_path / name, record=lambda: {"model": "fake"}), "tc")
    reader = get_reader(str(tmp_path / name))
    assert reader is not None
    [(image, meta, _)] = reader(str(tmp_path / name))
    assert image.shape[: image.ndim - 2] == (2, 2)
    assert meta["name"] == ["a vessels", "a oxygen"]
    assert len(meta["scale"]) == image.ndim - 1 == len(meta["axis_labels"])
    assert np.array_equal(np.take(image, 1, meta["channel_axis"])[0], frames[1])


def test_positions_of_a_zarr_become_layers(tmp_path: Path) -> None:
    frames = _record(OmeZarrSink(tmp_path / "a.ome.zarr", record=lambda: {"model": "fake"}), "tp")
    reader = get_reader(str(tmp_path / "a.ome.zarr"))
    assert reader is not None
    layers = reader(str(tmp_path / "a.ome.zarr"))
    assert len(layers) == 2
    for position, (image, meta, _) in enumerate(layers):
        assert meta["name"] == f"a Pos{position}"
        assert np.array_equal(image, np.stack(frames[position::2]))
        assert (meta["axis_labels"], meta["scale"]) == (("t", "y", "x"), (1.0, 6.0, 1.5))
        assert meta["units"][-2:] == ("micrometer", "micrometer")
        about = meta["metadata"]["sasnet_live"]
        assert about["record"]["model"] == "fake"
        assert [frame["confidence"] for frame in about["frames"]] == [1 + position, 3 + position]


def test_a_zarr_is_read_frame_by_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sasnet_live.plugin.readers import zarr_reader

    asked: list[Any] = []
    read = zarr_reader._Stored.__getitem__

    def noted(stored: Any, index: Any) -> Any:
        asked.append(index)
        return read(stored, index)

    monkeypatch.setattr(zarr_reader._Stored, "__getitem__", noted)
    frames = _record(OmeZarrSink(tmp_path / "a.ome.zarr", record=lambda: {"model": "fake"}))
    [(image, _, _)] = zarr_reader.read(str(tmp_path / "a.ome.zarr"))
    assert asked == []
    assert np.array_equal(np.asarray(image[1]), frames[1])
    [index] = asked
    assert index[0] == slice(1, 2, None) or index[0] == 1


def test_larger_frames_are_read_when_the_preferences_allow_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = _record(OmeTiffSink(tmp_path / "a.ome.tiff", record=lambda: {"model": "fake"}), shape=(1024, 640))
    reader = get_reader(str(tmp_path / "a.ome.tiff"))
    assert reader is not None
    mib = frames[0].nbytes / 2**20
    monkeypatch.setattr("sasnet_live.plugin.preferences.largest_frame_mib", lambda: 0.9 * mib)
    with pytest.raises(InputError, match=r"in napari: Preferences, SASNet Live"):
        reader(str(tmp_path / "a.ome.tiff"))
    monkeypatch.setattr("sasnet_live.plugin.preferences.largest_frame_mib", lambda: mib)
    [(image, _, _)] = reader(str(tmp_path / "a.ome.tiff"))
    assert np.array_equal(image, np.stack(frames))


def test_files_of_others_are_left_to_others(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "other.tif", np.zeros((4, 4), np.uint8))
    (tmp_path / "other.zarr").mkdir()
    (tmp_path / "broken.tif").write_bytes(b"II*")
    for name in ("other.tif", "other.zarr", "broken.tif", "missing.tif", "text.csv"):
        assert get_reader(str(tmp_path / name)) is None
    assert get_reader([str(tmp_path / "other.tif")]) is None


def _record(sink: object, axes: str = "", shape: tuple[int, int] = (32, 48)) -> list[np.ndarray]:
    registrar = FakeRegistrar()
    count = 3 if not axes else 4
    dtype, size_um = np.dtype(np.uint16), (6.0, 1.5)
    names = ("vessels", "oxygen") if "c" in axes else ()
    stream = Layout(shape, dtype, pixel_size_um=size_um)
    if axes:
        stream = Layout.stack(shape, dtype, axes, (2, 2), pixel_size_um=size_um, channel_names=names)
    sink.open(stream)  # type: ignore[attr-defined]
    written = []
    for number in range(count):
        raw = np.random.default_rng(number).integers(0, 99, shape).astype(np.uint16)
        registration = registrar.register(raw)
        index = {axes[0]: number // 2, axes[1]: number % 2} if axes else {}
        sink.write(Frame(raw, index, number, metadata={"pixel_size_um": (6.0, 1.5)}), registration)  # type: ignore[attr-defined]
        written.append(registration.image)
    sink.close()  # type: ignore[attr-defined]
    return written


@pytest.mark.parametrize(("sink", "name"), [(OmeTiffSink, "a.ome.tiff"), (OmeZarrSink, "a.ome.zarr")])
def test_napari_opens_them(tmp_path: Path, sink: type, name: str) -> None:
    """Through the manifest, without a window."""
    pytest.importorskip("napari", reason="napari is not installed: pip install -e '.[gui]'")
    from napari.components import ViewerModel
    from npe2 import PluginManager

    PluginManager.instance().discover()
    frames = _record(sink(tmp_path / name, record=lambda: {"model": "fake"}), "tc")
    viewer = ViewerModel()
    viewer.open(str(tmp_path / name), plugin="sasnet-live")
    assert [layer.name for layer in viewer.layers] == ["a vessels", "a oxygen"]
    for channel, layer in enumerate(viewer.layers):
        assert np.array_equal(layer.data, np.stack(frames[channel::2]))
        assert layer.scale[-2:].tolist() == [6.0, 1.5]
        assert str(layer.units[-1]) == "micrometer"
        assert layer.metadata["sasnet_live"]["means"]["confidence"] == pytest.approx(2.5)
