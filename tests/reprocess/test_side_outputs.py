"""Displacements and shifts beside the registered files: what is in them, streamed, resumed, counted, refused."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from fake_registrar import SHIFT_PX, FakeRegistrar
from sasnet_live.errors import InputError
from sasnet_live.files import partial_path
from sasnet_live.frame import Pixels, Registration
from sasnet_live.geometry import ScanGeometry
from sasnet_live.reprocess import ReprocessReport, ReprocessSettings, reprocess
from sasnet_live.reprocess.displacement_file import open_displacement
from sasnet_live.reprocess.settings import SideOutputSettings
from sasnet_live.settings import RegistrarSettings
from sasnet_live.sinks.ome_tiff import is_registered
from sasnet_live.sinks.scans.displacement_npz import NpzDisplacement
from sasnet_live.sinks.scans.series import FORMAT

SHAPE = (9, 12)
ENDINGS = (".npz", ".h5", ".tif")
DISPLACEMENTS = product(ENDINGS, (False, True))


class Drifting(FakeRegistrar):
    """Each scan has parts of its own, told by the first px of its frame; a constant frame is passed through."""

    def register(self, raw: Pixels) -> Registration:
        found = super().register(raw)
        if found.measured is not None:
            rng = np.random.default_rng(int(raw.flat[0]))
            for values in vars(found.measured).values():
                if isinstance(values, np.ndarray):
                    values[...] = rng.uniform(0.1, 1, values.shape)
            object.__setattr__(found.measured, "unpaired", _unpaired(self.geometry))
        return found


def _unpaired(geometry: ScanGeometry) -> bool:
    return geometry.first == "backward"  # of 9 lines


def make(settings: RegistrarSettings) -> Drifting:
    return Drifting(settings.model, settings.output, settings.geometry)


def save(path: Path, data: Pixels, axes: str) -> Path:
    tifffile.imwrite(path, data, photometric="minisblack", metadata={"axes": axes}, ome=True)
    return path


def recording(path: Path, times: int = 3, depths: int = 2) -> Pixels:
    data = np.random.default_rng(0).integers(1, 200, (times, depths, *SHAPE)).astype(np.uint16)
    data[:, :, 0, 0] = np.arange(times * depths).reshape(times, depths) + 1
    data[1, 0] = 5  # constant: passed through
    save(path, data, "TZYX")
    return data


def run(source: Path, out: Path, also: SideOutputSettings, **options: Any) -> ReprocessReport:
    make_registrar = options.pop("make_registrar", make)
    callbacks = {name: options.pop(name) for name in ("progress", "cancelled") if name in options}
    geometry = options.pop("geometry", ScanGeometry())
    settings = ReprocessSettings(RegistrarSettings(geometry=geometry), **options)
    return reprocess([source], out, settings, also=also, make_registrar=make_registrar, **callbacks)


def expected_of(data: Pixels, geometry: ScanGeometry) -> list[Registration]:
    registrar = make(RegistrarSettings(geometry=geometry))
    return [registrar.register(frame) for frame in data.reshape(-1, *data.shape[-2:])]


@pytest.mark.parametrize("first", ["forward", "backward"])
@pytest.mark.parametrize(("ending", "per_px"), list(DISPLACEMENTS))
def test_what_is_stored_is_what_was_found(tmp_path: Path, ending: str, per_px: bool, first: str) -> None:
    geometry = ScanGeometry(first=first)  # type: ignore[arg-type]
    data = recording(tmp_path / "a.tif")
    path = tmp_path / f"d{ending}"
    report = run(tmp_path / "a.tif", tmp_path / "o.ome.tif", SideOutputSettings(path, per_px=per_px), geometry=geometry)
    assert report.files[0].error == ""
    assert report.files[0].outputs == (tmp_path / "o.ome.tif", path)
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(["a.tif", "o.ome.tif", path.name])
    found = expected_of(data, geometry)
    with open_displacement(path) as stored:
        assert (stored.scans, stored.series.axes, stored.series.geometry) == (6, ("t", "z"), geometry)
        assert stored.series.frame_shape == SHAPE
        for number, wanted in enumerate(found):
            scan = stored.scan(number)
            assert (scan.accepted, scan.reason) == (wanted.accepted, wanted.reason)
            of_px = np.zeros_like(scan.displacement_px)
            if wanted.measured is not None:
                of_px = wanted.measured.displacement_px()
                if ending != ".tif":
                    assert scan.line_confidence is not None
                    assert (scan.line_confidence == 0.75).all()
            np.testing.assert_array_equal(scan.displacement_px, of_px)


def test_npz_needs_nothing_but_numpy_and_says_what_it_is(tmp_path: Path) -> None:
    data = recording(tmp_path / "a.tif")
    run(tmp_path / "a.tif", tmp_path / "o.ome.tif", SideOutputSettings(tmp_path / "d.npz", per_px=True))
    with np.load(tmp_path / "d.npz", allow_pickle=False) as file:
        metadata = json.loads(str(file["metadata"]))
        arrays = {name: file[name] for name in file.files if name != "metadata"}
    assert metadata["format"] == FORMAT
    assert metadata["sign_convention"].startswith("registered(x) = backward(x - d(x))")
    assert metadata["geometry"]["line_axis"] == "rows"
    assert metadata["unit"] == "px along the fast axis"
    assert metadata["record"]["source"] == "a.tif"
    assert "sasnet-live" in metadata["software"]
    assert {*metadata["arrays"]} == {*arrays}
    np.testing.assert_array_equal(arrays["index"], [[t, z] for t in range(3) for z in range(2)])
    accepted = arrays["accepted"]
    assert accepted.tolist() == [True, True, False, True, True, True]
    assert arrays["reason"][2] == b"constant frame"
    y = np.linspace(-1, 1, 4)
    d = arrays["profile_px"][:, None] + arrays["lines_px"][:, :, None] + y[:, None] * arrays["creep_px"][:, None]
    np.testing.assert_allclose(arrays["displacement_px"], d, atol=1e-6)
    assert np.isnan(arrays["deviation_px"][2]).all()
    assert (arrays["deviation_px"][accepted] > 0).all()
    assert len(data) * 2 == len(accepted)


def test_h5_has_attributes_for_people(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    recording(tmp_path / "a.tif")
    run(tmp_path / "a.tif", tmp_path / "o.ome.tif", SideOutputSettings(tmp_path / "d.h5"))
    with h5py.File(tmp_path / "d.h5") as file:
        assert file.attrs["unit"] == "px along the fast axis"
        assert "registered(x)" in file.attrs["sign_convention"]
        assert (file["profile_px"].attrs["unit"], file["profile_px"].shape) == ("px", (6, 12))
        assert "displacement_px" not in file


def test_tif_is_an_image_of_backward_lines_and_never_taken_for_a_recording(tmp_path: Path) -> None:
    recording(tmp_path / "a.tif")
    run(tmp_path / "a.tif", tmp_path / "o.ome.tif", SideOutputSettings(tmp_path / "d.tif"))
    with tifffile.TiffFile(tmp_path / "d.tif") as file:
        assert (file.series[0].axes, file.series[0].shape) == ("TZCYX", (3, 2, 2, 4, 12))
        assert file.series[0].dtype == np.float32
    assert is_registered(tmp_path / "d.tif")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("stop", [1, 2, 5])
def test_an_interrupted_run_resumed_makes_the_same_file(tmp_path: Path, ending: str, stop: int) -> None:
    recording(tmp_path / "a.tif")
    asked = iter(range(100))
    also = SideOutputSettings(tmp_path / f"d{ending}", export_shifts=tmp_path / "s.npy")
    ended = run(tmp_path / "a.tif", tmp_path / "o.tif", also, cancelled=lambda: next(asked) >= stop)
    assert ended.cancelled
    assert not also.displacement.exists()  # type: ignore[union-attr]
    refused = run_error(tmp_path, also)
    assert "--resume" in refused
    done = run(tmp_path / "a.tif", tmp_path / "o.tif", also, resume=True)
    assert (done.files[0].error, done.files[0].resumed_at) == ("", stop)
    whole = SideOutputSettings(tmp_path / f"w{ending}", export_shifts=tmp_path / "ws.npy")
    run(tmp_path / "a.tif", tmp_path / "ow.tif", whole)
    with open_displacement(tmp_path / f"d{ending}") as a, open_displacement(tmp_path / f"w{ending}") as b:
        assert a.series == b.series
        for number in range(6):
            np.testing.assert_array_equal(a.scan(number).displacement_px, b.scan(number).displacement_px)
    shifts = [np.load(tmp_path / name, allow_pickle=True).item() for name in ("s.npy", "ws.npy")]
    np.testing.assert_array_equal(*(each["sasnet_live_shift_px"] for each in shifts))
    assert not list(tmp_path.glob("*.partial*"))
    again = run(tmp_path / "a.tif", tmp_path / "o.tif", also, resume=True)
    assert (again.files[0].error, again.files[0].resumed_at) == ("", 6)


def run_error(tmp_path: Path, also: SideOutputSettings) -> str:
    with pytest.raises(InputError) as raised:
        run(tmp_path / "a.tif", tmp_path / "o.tif", also)
    return str(raised.value)


def test_asked_for_later_it_is_made_without_registering_twice_what_is_whole(tmp_path: Path) -> None:
    data = recording(tmp_path / "a.tif")
    run(tmp_path / "a.tif", tmp_path / "o.tif", SideOutputSettings())
    before = (tmp_path / "o.tif").read_bytes()
    done = run(tmp_path / "a.tif", tmp_path / "o.tif", SideOutputSettings(tmp_path / "d.npz"), resume=True)
    assert done.files[0].error == ""
    assert (tmp_path / "o.tif").read_bytes() == before
    with open_displacement(tmp_path / "d.npz") as stored:
        assert stored.scan(2).accepted == expected_of(data, ScanGeometry())[2].accepted


@pytest.mark.parametrize("trouble", ["disk", "count"])
def test_a_file_that_cannot_be_made_whole_leaves_its_scans_for_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    recording(tmp_path / "a.tif")
    also = SideOutputSettings(tmp_path / "d.npz")

    def full(self: NpzDisplacement, log: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(NpzDisplacement, *(("write", full) if trouble == "disk" else ("count", lambda *_: 5)))
        failed = run(tmp_path / "a.tif", tmp_path / "o.tif", also).files[0]
    assert "--resume" in failed.error
    assert ("5 of 6 scans" in failed.error) == (trouble == "count")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "d.npz.partial", "o.tif"]
    done = run(tmp_path / "a.tif", tmp_path / "o.tif", also, resume=True).files[0]
    assert (done.error, done.resumed_at) == ("", 6)
    with open_displacement(tmp_path / "d.npz") as stored:
        assert stored.scans == 6


@pytest.mark.parametrize("cut", [1, 100, 700])
def test_a_torn_log_goes_on_at_its_last_whole_scan(tmp_path: Path, cut: int) -> None:
    recording(tmp_path / "a.tif")
    asked = iter(range(100))
    also = SideOutputSettings(tmp_path / "d.npz")
    run(tmp_path / "a.tif", tmp_path / "o.tif", also, cancelled=lambda: next(asked) >= 3)
    log = partial_path(tmp_path / "d.npz")
    log.write_bytes(log.read_bytes()[:-cut])
    done = run(tmp_path / "a.tif", tmp_path / "o.tif", also, resume=True).files[0]
    assert (done.error, done.frames) == ("", 6)
    assert done.resumed_at < 3
    with open_displacement(tmp_path / "d.npz") as stored:
        assert [stored.scan(n).accepted for n in range(6)] == [True, True, False, True, True, True]


def test_other_settings_are_refused_on_resume(tmp_path: Path) -> None:
    recording(tmp_path / "a.tif")
    also = SideOutputSettings(tmp_path / "d.npz")
    run(tmp_path / "a.tif", tmp_path / "o.tif", also)
    other = ScanGeometry(slow_axis="stepped")
    (tmp_path / "o.tif").unlink()
    done = run(tmp_path / "a.tif", tmp_path / "o.tif", also, resume=True, geometry=other).files[0]
    assert "of other scans or settings" in done.error


@pytest.mark.parametrize(
    ("also", "words"),
    [
        (SideOutputSettings(Path("d.csv")), "--displacement writes .npz"),
        (SideOutputSettings(Path("d")), "--displacement writes .npz"),
        (SideOutputSettings(export_shifts=Path("s.mat")), "--export-shifts writes .npy"),
        (SideOutputSettings(report=Path("r.pdf")), "--report writes .html"),
        (SideOutputSettings(Path("no/folder/d.npz")), "does not exist"),
    ],
)
def test_names_that_cannot_be_are_refused_before_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, also: SideOutputSettings, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    recording(tmp_path / "a.tif")
    assert words in run_error(tmp_path, also)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_an_ending_alone_gives_each_input_a_file_and_a_name_is_for_one(tmp_path: Path) -> None:
    for name in ("a", "b"):
        recording(tmp_path / f"{name}.tif")
    sources = [tmp_path / "a.tif", tmp_path / "b.tif"]
    with pytest.raises(InputError, match=r"only the ending, --displacement \.h5"):
        reprocess(sources, tmp_path / "o", also=SideOutputSettings(tmp_path / "d.h5"), make_registrar=make)
    done = reprocess(sources, tmp_path / "o", also=SideOutputSettings(Path(".npz")), make_registrar=make)
    assert [file.error for file in done.files] == ["", ""]
    assert (tmp_path / "o" / "a_displacement.npz").exists()
    assert (tmp_path / "o" / "b_displacement.npz").exists()


def test_a_missing_library_is_named_with_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording(tmp_path / "a.tif")
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    for also, extra in (
        (SideOutputSettings(tmp_path / "d.h5"), 'h5py; run: pip install "sasnet-live[hdf5]"'),
        (SideOutputSettings(report=tmp_path / "r.html"), 'matplotlib; run: pip install "sasnet-live[evaluate]"'),
    ):
        assert run_error(tmp_path, also).endswith(f": needs {extra}")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_a_registrar_that_tells_no_parts_is_said(tmp_path: Path) -> None:
    class Silent(FakeRegistrar):
        def register(self, raw: Pixels) -> Registration:
            found = super().register(raw)
            object.__setattr__(found, "measured", None)
            return found

    recording(tmp_path / "a.tif")
    also = SideOutputSettings(tmp_path / "d.npz")
    done = run(tmp_path / "a.tif", tmp_path / "o.tif", also, make_registrar=lambda _: Silent()).files[0]
    assert "tells no parts of the displacement" in done.error


@pytest.mark.parametrize(("first", "sign"), [("forward", 1), ("backward", -1)])
def test_suite2p_moves_every_other_row_by_what_is_exported(tmp_path: Path, first: str, sign: int) -> None:
    recording(tmp_path / "a.tif")
    also = SideOutputSettings(export_shifts=tmp_path / "s.npy")
    run(tmp_path / "a.tif", tmp_path / "o.tif", also, geometry=ScanGeometry(first=first))  # type: ignore[arg-type]
    ops = np.load(tmp_path / "s.npy", allow_pickle=True).item()
    assert (ops["bidiphase"], ops["do_bidiphase"], ops["bidi_corrected"]) == (sign * SHIFT_PX, True, False)
    assert ops["registration"] == {"bidiphase": sign * SHIFT_PX, "do_bidiphase": True}
    assert isinstance(ops["bidiphase"], int)
    shifts = ops["sasnet_live_shift_px"]
    np.testing.assert_array_equal(shifts, [sign * SHIFT_PX] * 2 + [np.nan] + [sign * SHIFT_PX] * 3)
    assert ops["sasnet_live_mean_shift_px"] == sign * SHIFT_PX
    # What suite2p does with it, for b > 0: row[b:] = row[:-b] of every other row from the second on.
    forward = np.arange(20.0)
    true_shift = SHIFT_PX
    other = np.roll(forward, -true_shift * sign)  # the rows that suite2p moves
    moved = np.roll(other, ops["bidiphase"])
    np.testing.assert_array_equal(moved[4:-4], forward[4:-4])


def test_of_a_recording_in_which_nothing_was_found_suite2p_is_told_nothing(tmp_path: Path) -> None:
    save(tmp_path / "a.tif", np.full((3, *SHAPE), 7, np.uint16), "TYX")
    run(tmp_path / "a.tif", tmp_path / "o.tif", SideOutputSettings(export_shifts=tmp_path / "s.npy"))
    ops = np.load(tmp_path / "s.npy", allow_pickle=True).item()
    assert not {"bidiphase", "do_bidiphase"} & {*ops, *ops["registration"]}
    assert np.isnan(ops["sasnet_live_shift_px"]).all()


@pytest.mark.parametrize("geometry", [ScanGeometry("columns"), ScanGeometry(backward_mirrored=True)])
def test_what_suite2p_cannot_move_is_refused(tmp_path: Path, geometry: ScanGeometry) -> None:
    recording(tmp_path / "a.tif")
    also = SideOutputSettings(export_shifts=tmp_path / "s.npy")
    done = run(tmp_path / "a.tif", tmp_path / "o.tif", also, geometry=geometry).files[0]
    assert "suite2p moves rows" in done.error
    assert not (tmp_path / "s.npy").exists()


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("damage", ["cut", "noise", "empty", "other"])
def test_a_damaged_file_is_one_line(tmp_path: Path, ending: str, damage: str) -> None:
    recording(tmp_path / "a.tif")
    path = tmp_path / f"d{ending}"
    run(tmp_path / "a.tif", tmp_path / "o.tif", SideOutputSettings(path))
    content = path.read_bytes()
    if damage == "other":
        if ending == ".npz":
            np.savez(path, a=np.zeros(3))
        elif ending == ".tif":
            tifffile.imwrite(path, np.zeros((4, 12), np.float32))
        else:
            with pytest.importorskip("h5py").File(path, "w") as file:
                file["a"] = 1
    else:
        noise = np.random.default_rng(0).bytes(len(content))
        path.write_bytes({"cut": content[: len(content) // 3], "noise": noise, "empty": b""}[damage])
    with pytest.raises(InputError) as raised, open_displacement(path) as stored:
        stored.scan(0)
    assert "\n" not in str(raised.value)
    assert path.name in str(raised.value)


@pytest.mark.parametrize(("name", "words"), [("d.txt", "ends with"), ("none.npz", "no such file")])
def test_what_is_no_displacement_file_is_refused(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_displacement(tmp_path / name)
