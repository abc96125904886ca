"""A-lines on the command line: ``simulate --samples``, and ``reprocess`` with what is said of A-lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from sasnet_live import cli


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return ended.value.code, out, err  # type: ignore[return-value]


def test_a_lines_are_simulated_and_reprocessed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As the docs say: RF volumes with their truth, and their registered volume, projection and depth."""
    source = tmp_path / "rf.ome.tiff"
    size = ("--size", 96, "--samples", 48, "--frames", 2, "--line-axis", "columns")
    status, out, _ = run(capsys, "simulate", "--out", source, *size, "--level", "hard", "--truth")
    assert status == 0
    assert f"wrote {source}  2 volumes" in out
    raw = tifffile.imread(source)
    assert (raw.shape, raw.dtype) == ((2, 48, 96, 96), np.dtype(np.int16))
    truth = tifffile.imread(tmp_path / "rf_truth.ome.tiff")
    assert truth.shape == (2, 48, 96, 48)
    assert tifffile.imread(tmp_path / "rf_displacement.ome.tiff").shape == (2, 48, 96)
    words = "--depth-axis first --line-axis columns --envelope --band 25 75 --sampling-mhz 250 --sound-speed 1500"
    more = (*words.split(), "--gate", 4, 44, "--model", "correspondence")
    status, _, err = run(capsys, "reprocess", source, "-o", tmp_path / "out.ome.tiff", *more)
    assert status == 0, err
    moved = tifffile.imread(tmp_path / "out_volume.ome.tiff")
    assert (moved.shape, moved.dtype) == (raw.shape, raw.dtype)
    np.testing.assert_array_equal(moved[..., ::2], raw[..., ::2])
    before, after = (
        np.corrcoef(one[..., 6:-6, 1::2].ravel(), truth[..., 6:-6, :].ravel())[0, 1] for one in (raw, moved)
    )
    assert after > before + 0.05
    depth = tifffile.imread(tmp_path / "out_depth.ome.tiff")
    assert depth.shape == (2, 96, 96)
    assert 4 * 6 <= depth.min() <= depth.max() <= 43 * 6
    assert tifffile.imread(tmp_path / "out_rendered.ome.tiff").dtype == np.float32


def test_the_docs_python_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `docs/volumes.md` prints, on a small volume."""
    page = (Path(__file__).parents[2] / "docs" / "volumes.md").read_text()
    code = page.split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    assert run(capsys, "simulate", "--out", "rf.ome.tiff", "--size", 32, "--samples", 32, "--frames", 2)[0] == 0
    found: dict[str, Any] = {}
    exec(code, found)
    assert capsys.readouterr().out == "0 (32, 32, 32)\n"
    assert found["projection"].shape == (32, 32)
    assert found["samples"].shape == (32, 32, 32)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--gate", 4, 2, "--depth-axis", "last"), "the second after the first"),
        (("--envelope",), "--depth-axis"),
        (("--depth-axis", "middle"), "expected first, last or the number"),
        (("--axes", "YXD", "--gate", 0, 41), "expected samples from 0 to 40"),
        (("--axes", "YXQ"), "axes 'YXQ' do not fit"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[object, ...], message: str
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((20, 30, 40), np.uint16), photometric="minisblack")
    model = ("--model", "correspondence")
    status, _, err = run(capsys, "reprocess", tmp_path / "a.tif", "-o", tmp_path / "out.ome.tiff", *options, *model)
    assert status in (1, 2)
    assert len([line for line in err.splitlines() if message in line]) == 1
    assert "Traceback" not in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif"]


def test_simulated_a_lines_that_cannot_be_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "simulate", "--out", tmp_path / "a.ome.tiff", "--samples", 5)
    assert status == 2
    assert len(err.splitlines()) == 1
    assert "samples is 5; expected 19 or more" in err
