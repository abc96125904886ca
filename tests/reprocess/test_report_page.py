"""One page a recording: it says what happened, is whole without anything beside it, and obeys no text from files."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from fake_registrar import FakeRegistrar
from sasnet_live.files import partial_path
from sasnet_live.frame import Pixels, Registration
from sasnet_live.geometry import ScanGeometry
from sasnet_live.reprocess import ReprocessReport, ReprocessSettings, reprocess
from sasnet_live.reprocess.settings import SideOutputSettings
from sasnet_live.settings import RegistrarSettings

pytest.importorskip("matplotlib")

HOSTILE = "<script>alert(1)</script><img src=http://x.y/z> $\\frac{1$"


class Hostile(FakeRegistrar):
    """Refuses constant frames for a reason that a page must not obey."""

    def register(self, raw: Pixels) -> Registration:
        found = super().register(raw)
        if not found.accepted:
            object.__setattr__(found, "reason", HOSTILE)
        return found


class Page(HTMLParser):
    """What a page holds and what it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        wanted = ("src", "href", "xlink:href", "srcset", "data", "action", "poster", "background")
        self.loads += [value or "" for name, value in attributes if name in wanted]
        assert not [name for name, _ in attributes if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


def make(settings: RegistrarSettings) -> Hostile:
    return Hostile(settings.model, settings.output, settings.geometry)


def page_of(
    tmp_path: Path, data: Pixels, axes: str = "TYX", name: str = "a.tif", geometry: ScanGeometry = ScanGeometry()
) -> Page:
    tifffile.imwrite(tmp_path / name, data, photometric="minisblack", metadata={"axes": axes}, ome=True)
    assert_done(write(tmp_path, name, geometry=geometry))
    return Page((tmp_path / "r.html").read_text(encoding="utf-8"))


def write(tmp_path: Path, name: str, geometry: ScanGeometry = ScanGeometry(), **options: Any) -> ReprocessReport:
    settings = ReprocessSettings(RegistrarSettings(geometry=geometry), **options.pop("settings", {}))
    also = SideOutputSettings(report=tmp_path / "r.html")
    return reprocess([tmp_path / name], tmp_path / "o.ome.tif", settings, also=also, make_registrar=make, **options)


def assert_done(report: ReprocessReport) -> None:
    assert [file.error for file in report.files] == [""]


def frames(*leading: int, shape: tuple[int, int] = (16, 24)) -> Pixels:
    return np.random.default_rng(0).integers(1, 4000, (*leading, *shape)).astype(np.uint16)


def test_nothing_outside_is_referenced(tmp_path: Path) -> None:
    data = frames(6)
    data[2] = 9
    page = page_of(tmp_path, data, name="<script>alert(2)</script>&\"'.tif".replace("/", ""))
    assert page.loads
    assert all(load.startswith("data:image/") for load in page.loads)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form", "a"} & set(page.tags)
    text = (tmp_path / "r.html").read_text()
    assert "default-src 'none'" in text
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    for load in page.loads:
        kind, _, content = load.partition(";base64,")
        if kind.endswith("svg+xml"):
            image = base64.b64decode(content).decode()
            assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', image))
            assert "<script" not in image
            assert "DOCTYPE" not in image
            assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", image))


def test_text_from_files_is_text(tmp_path: Path) -> None:
    data = frames(5)
    data[1] = 9
    page = page_of(tmp_path, data, name="<b>&amp;.tif")
    assert HOSTILE in page.text
    assert "<b>&amp;.tif" in page.text
    assert page.tags.count("b") == page.tags.count("li")  # those of the tiles, and none from a file


def test_it_says_what_was_accepted_what_was_not_and_why(tmp_path: Path) -> None:
    data = frames(5, 2)
    data[1, 1] = data[3, 0] = 9
    page = page_of(tmp_path, data, "TZYX")
    assert "8 of 10" in page.text
    assert "2 of 10 scans were passed through unchanged" in page.text
    assert "t 1, z 1" in page.text
    assert "t 3, z 0" in page.text
    assert "weights_sha256" in page.text
    assert "geometry.line_axis" in page.text
    # Two charts and one of lines; the typical frame, three of the least alike, one that was passed through.
    assert page.tags.count("img") == 3 + 5


@pytest.mark.parametrize(
    ("data", "axes", "geometry"),
    [
        (frames(shape=(16, 24)), "YX", ScanGeometry()),
        (frames(3, 2), "TCYX", ScanGeometry("columns", first="backward")),
        (frames(3), "TYX", ScanGeometry(crop=(3, 1))),
        (np.full((3, 16, 24), 7, np.uint16), "TYX", ScanGeometry()),
        (frames(2).astype(np.float32) / 1e30, "TYX", ScanGeometry()),
        (np.where(frames(2) > 3500, np.nan, 1.0).astype(np.float32), "TYX", ScanGeometry()),
        (frames(2, shape=(16, 400)), "TYX", ScanGeometry()),
    ],
    ids=["one frame", "channels, columns", "cropped", "none accepted", "tiny values", "holes", "flat"],
)
@pytest.mark.filterwarnings("error")
def test_any_recording_has_a_page(tmp_path: Path, data: Pixels, axes: str, geometry: ScanGeometry) -> None:
    page = page_of(tmp_path, data, axes, geometry=geometry)
    assert "How it was made" in page.text


def test_long_recordings_have_small_charts(tmp_path: Path) -> None:
    page = page_of(tmp_path, frames(2500, shape=(4, 6)))
    charts = [load for load in page.loads if "svg" in load]
    assert max(map(len, charts)) < 400_000


def test_the_same_recording_has_the_same_page_also_if_it_was_interrupted(tmp_path: Path) -> None:
    page_of(tmp_path, frames(5))
    whole = (tmp_path / "r.html").read_bytes()
    for name in ("r.html", "o.ome.tif"):
        (tmp_path / name).unlink()
    asked = iter(range(9))
    assert write(tmp_path, "a.tif", cancelled=lambda: next(asked) >= 2).cancelled
    assert partial_path(tmp_path / "r.html").exists()
    assert not (tmp_path / "r.html").exists()
    assert_done(write(tmp_path, "a.tif", settings={"resume": True}))
    assert (tmp_path / "r.html").read_bytes() == whole
