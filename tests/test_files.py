"""Output files: names, identity, links, locks, and whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sasnet_live.errors import InputError
from sasnet_live.files import (
    OutputLock,
    identity,
    name_and_ending,
    open_partial,
    part_path,
    partial_path,
    renamed,
    write_whole,
)

needs_links = pytest.mark.skipif(sys.platform == "win32", reason="links and locks are the system's there")

NAMES = [
    ("mouse.ome.tiff", "mouse", ".ome.tiff"),
    ("mouse.1.ome.tiff", "mouse.1", ".ome.tiff"),
    ("mouse.2.OME.TIF", "mouse.2", ".OME.TIF"),
    ("mouse.1.tif", "mouse.1", ".tif"),
    ("2026.11.24.ome.zarr", "2026.11.24", ".ome.zarr"),
    ("mouse.1_metrics.csv", "mouse.1_metrics", ".csv"),
    (".ome.tiff", ".ome", ".tiff"),
    ("mouse", "mouse", ""),
]


@pytest.mark.parametrize(("given", "name", "ending"), NAMES)
def test_a_dot_in_a_name_does_not_end_it(given: str, name: str, ending: str) -> None:
    assert name_and_ending(Path(given)) == (name, ending)
    assert renamed(Path("x") / given, "_warped") == Path("x") / f"{name}_warped{ending}"
    assert part_path(Path(given), 2) == Path(f"{name}_002{ending}")
    assert part_path(Path(given), 1) == Path(given)


@needs_links
def test_one_file_by_several_names(tmp_path: Path) -> None:
    real, folder = tmp_path / "a.tif", tmp_path / "link"
    real.write_text("a")
    (tmp_path / "soft.tif").symlink_to(real)
    os.link(real, tmp_path / "hard.tif")
    folder.symlink_to(tmp_path)
    same = [real, tmp_path / "soft.tif", tmp_path / "hard.tif", folder / "a.tif", tmp_path / "." / "a.tif"]
    assert len({identity(path) for path in same}) == 1
    assert identity(folder / "none.tif") == identity(tmp_path / "none.tif")
    assert identity(tmp_path / "none.tif") != identity(tmp_path / "other.tif")
    assert identity(tmp_path / "no" / "a.tif") != identity(tmp_path / "no" / "b.tif")


@needs_links
@pytest.mark.parametrize("dangling", [False, True])
@pytest.mark.parametrize("options", [{}, {"resume": True}, {"overwrite": True}])
def test_a_link_is_never_written_through(tmp_path: Path, dangling: bool, options: dict[str, bool]) -> None:
    precious, partial = tmp_path / "precious", tmp_path / "a.tif.partial"
    if not dangling:
        precious.write_text("precious")
    partial.symlink_to(precious)
    if options.get("overwrite"):
        open_partial(partial, **options).close()
        assert not partial.is_symlink()
    else:
        with pytest.raises(InputError, match="is a link, which is not written through"):
            open_partial(partial, **options)
        assert partial.is_symlink()
    assert precious.exists() != dangling
    assert dangling or precious.read_text() == "precious"


@needs_links
def test_another_name_of_a_replaced_file_keeps_its_content(tmp_path: Path) -> None:
    partial = tmp_path / "a.partial"
    partial.write_text("precious")
    os.link(partial, tmp_path / "other")
    with open_partial(partial, overwrite=True) as file:
        file.write(b"new")
    assert (tmp_path / "other").read_text() == "precious"


@needs_links
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
@pytest.mark.parametrize("options", [{}, {"resume": True}, {"overwrite": True}])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, make, options: dict[str, bool]) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path / "a.partial")
    with pytest.raises(InputError, match=r"a\.partial: is (a folder|not a file)"):
        open_partial(tmp_path / "a.partial", **options)


@pytest.mark.parametrize("options", [{"resume": True}, {"overwrite": True}])
@needs_links
def test_a_file_that_another_writes_is_left_as_it_is(tmp_path: Path, options: dict[str, bool]) -> None:
    partial = tmp_path / "a.partial"
    with open_partial(partial) as first:
        first.write(b"first")
        with pytest.raises(InputError, match="another process is writing"):
            open_partial(partial, **options)
        assert partial.read_bytes() == b"first"
    open_partial(partial, **options).close()


HOLD = """
import sys
from pathlib import Path
from sasnet_live.files import OutputLock
with OutputLock([Path(name) for name in sys.argv[1:]]):
    print("held", flush=True)
    sys.stdin.read()
"""


@needs_links
def test_outputs_are_locked_all_or_none_also_against_another_process(tmp_path: Path) -> None:
    a, b, c = (tmp_path / name for name in ("a.tif", "b.csv", "c.ome.zarr"))
    command = [sys.executable, "-c", HOLD, str(b), str(c)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        for wanted in ([a, b], [c], [b, c]):
            with pytest.raises(InputError, match="another process is writing"):
                OutputLock(wanted)
        OutputLock([a]).release()
        process.kill()
        process.wait()
    with OutputLock([a, b, c]):
        pass
    assert list(tmp_path.iterdir()) == []


def test_two_outputs_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is the name of two outputs"):
        OutputLock([tmp_path / "a.tif", tmp_path / "." / "a.tif"])
    with pytest.raises(InputError, match="does not exist; make it"):
        OutputLock([tmp_path / "none" / "a.tif"])
    assert list(tmp_path.iterdir()) == []


def test_small_files_appear_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "settings.json"
    write_whole(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert not partial_path(path).exists()
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize(
    ("path", "part", "expected"),
    [
        ("a.ome.tiff", 1, "a.ome.tiff"),
        ("a.ome.tiff", 2, "a_002.ome.tiff"),
        ("run/b.ome.zarr", 12, "run/b_012.ome.zarr"),
        ("plain", 3, "plain_003"),
    ],
)
def test_parts_of_a_recording_have_names_in_order(path: str, part: int, expected: str) -> None:
    assert part_path(Path(path), part) == Path(expected)
