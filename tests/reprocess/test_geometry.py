"""A recording's geometry is found in its frames, used where it is certain, and refused where it is not."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import tifffile

from sasnet_live import cli
from sasnet_live.errors import InputError
from sasnet_live.frame import Pixels
from sasnet_live.geometry import ScanGeometry
from sasnet_live.layout import Layout
from sasnet_live.reprocess import ReprocessSettings, reprocess
from sasnet_live.reprocess.geometry import find_geometry, require_sure
from sasnet_live.settings import RegistrarSettings
from sasnet_live.simulation import random_scanner, scan, vascular_scene
from sasnet_live.sinks.ome_tiff import read_record

LINES, PX = 96, 128


def frames(geometry: ScanGeometry, count: int = 2, noise: float = 0.0, seed: int = 1) -> Pixels:
    rng = np.random.default_rng(seed)
    scene = vascular_scene(rng, LINES, PX)
    scanner = random_scanner(rng, "medium", PX)
    shape = (LINES, PX) if geometry.line_axis == "rows" else (PX, LINES)
    made = [scan(scene, scanner, rng, height=shape[0], width=shape[1], geometry=geometry).raw for _ in range(count)]
    noisy = np.stack(made) + noise * rng.standard_normal((count, *shape))
    return np.clip(noisy + 4 * noise, 0, 2**16 - 1).astype(np.uint16)


def save(path: Path, data: Pixels) -> None:
    tifffile.imwrite(path, data, photometric="minisblack", metadata={"axes": "TYX"})


class Stack:
    """A recording in memory."""

    def __init__(self, data: Pixels) -> None:
        self.data = data
        self.layout = Layout.stack(data.shape[1:], data.dtype, ("t",), (len(data),))  # type: ignore[arg-type]

    def read(self, index: dict[str, int] | None = None) -> Pixels:
        return self.data[(index or {}).get("t", 0)]


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main([*map(str, arguments)])
    out, err = capsys.readouterr()
    return ended.value.code, out, err  # type: ignore[return-value]


@pytest.mark.parametrize(("axis", "mirrored"), list(product(("rows", "columns"), (False, True))))
def test_reprocessing_finds_the_geometry_and_says_and_records_it(tmp_path: Path, axis: str, mirrored: bool) -> None:
    geometry = ScanGeometry(axis, backward_mirrored=mirrored)  # type: ignore[arg-type]
    save(tmp_path / "a.tif", frames(geometry))
    registrar = RegistrarSettings("correspondence", output="warped")
    found = reprocess([tmp_path / "a.tif"], tmp_path / "a.ome.tif", ReprocessSettings(registrar, geometry_from="auto"))
    told = reprocess(
        [tmp_path / "a.tif"],
        tmp_path / "b.ome.tif",
        ReprocessSettings(RegistrarSettings("correspondence", output="warped", geometry=geometry)),
    )
    assert [file.error for file in (*found.files, *told.files)] == ["", ""]
    assert found.files[0].accepted == 2
    assert "geometry found: " in found.files[0].remarks[-1]
    record = read_record(tmp_path / "a.ome.tif")
    assert (record["geometry.line_axis"], record["geometry.backward_mirrored"]) == (axis, str(mirrored))
    assert record["geometry_from"] == "the frames"
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.ome.tif"), tifffile.imread(tmp_path / "b.ome.tif"))


def test_noise_is_refused_and_its_folder_goes_on(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 99, (3, LINES, PX)).astype(np.uint16)
    save(tmp_path / "a.tif", noise)
    tifffile.imwrite(
        tmp_path / "b.tif", frames(ScanGeometry("columns")), photometric="minisblack", metadata={"axes": "TYX"}
    )
    settings = ReprocessSettings(RegistrarSettings("correspondence", output="warped"), geometry_from="auto")
    refused, done = reprocess([tmp_path], tmp_path / "out", settings).files
    assert refused.error.startswith(f"{tmp_path / 'a.tif'}: its geometry is not certain enough")
    assert "--line-axis" in refused.error
    assert "\n" not in refused.error
    assert (done.error, done.frames) == ("", 2)


def test_where_one_frame_tells_too_little_a_mean_of_them_does() -> None:
    stack = Stack(frames(ScanGeometry("columns"), 16, noise=600.0))
    alone = find_geometry(Stack(stack.data[:1]), ScanGeometry())
    with pytest.raises(InputError, match="not certain enough"):
        require_sure(alone, Path("a.tif"))
    found = find_geometry(stack, ScanGeometry())
    require_sure(found, Path("a.tif"))
    assert found.geometry.line_axis == "columns"


def test_an_empty_first_frame_says_nothing_of_the_others() -> None:
    data = frames(ScanGeometry("columns"), 3)
    data[0] = 7
    assert find_geometry(Stack(data), ScanGeometry()).geometry.line_axis == "columns"
    with pytest.raises(InputError, match="is empty"):
        find_geometry(Stack(data[:1]), ScanGeometry())


def test_detect_prints_what_was_found_and_how_surely(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", frames(ScanGeometry("columns", backward_mirrored=True)), photometric="minisblack"
    )
    status, out, _ = run(capsys, "detect", tmp_path / "a.tif")
    assert status == 0
    assert "columns" in out
    assert "--line-axis columns --first forward --mirrored" in out
    assert "as given" in out  # the first pass, which mirrored lines do not tell
    status, out, _ = run(capsys, "detect", tmp_path / "a.tif", "--json")
    found = json.loads(out)
    assert (status, found["certain"], found["certainty"]["first"]) == (0, True, 0)
    assert found["geometry"]["line_axis"] == "columns"


@pytest.mark.parametrize(
    ("made", "status", "words"), [("noise", 1, ""), ("text", 2, "not a TIFF"), ("none", 2, "a.tif")]
)
def test_detect_says_by_its_status_what_is_not_certain(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], made: str, status: int, words: str
) -> None:
    path = tmp_path / "a.tif"
    if made == "noise":
        tifffile.imwrite(path, np.random.default_rng(0).integers(0, 99, (LINES, PX)).astype(np.uint16))
    elif made == "text":
        path.write_text("a poem")
    code, out, err = run(capsys, "detect", path)
    assert code == status
    assert words in err
    assert ("not certain enough" in out) == (made == "noise")


def test_real_scans_without_a_zigzag_tell_their_line_axis(real_pairs: list[Path]) -> None:
    """Both passes at one place, already turned round; of some the passes agree too well for a frame to tell."""
    right = wrong = 0
    for path in real_pairs:
        forward, backward = tifffile.imread(path)
        raw = forward.copy()
        raw[1::2] = backward[1::2]
        for axis, frame in (("rows", raw), ("columns", np.ascontiguousarray(raw.T))):
            found = find_geometry(Stack(frame[None]), ScanGeometry(slow_axis="interleaved"))
            try:
                require_sure(found, path)
            except InputError:
                continue
            agrees = found.geometry.line_axis == axis and not found.geometry.backward_mirrored
            right, wrong = right + agrees, wrong + (not agrees)
    assert wrong == 0
    assert right >= 10, f"{right} of {2 * len(real_pairs)} were certain"
