"""What else lives in the folders that are watched: each thing is named once, and none keeps the others back."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from sasnet_live.errors import InputError
from sasnet_live.layout import Layout
from sasnet_live.recordings import tiff_kinds
from sasnet_live.sinks.ome_tiff import OmeTiffWriter, is_registered
from sasnet_live.sources.folder import FolderSource
from sasnet_live.sources.folder_listing import natural_order

from .conftest import Collector, wait_for

SHAPE = (16, 12)
GIVE_UP_S = 0.2


def image(value: int, shape: tuple[int, int] = SHAPE) -> np.ndarray[Any, Any]:
    """A frame that tells its number, with noise of its own as real ones have."""
    frame = np.random.default_rng(value).integers(0, 1000, shape).astype(np.uint16)
    frame[0, 0] = value
    return frame


def write(path: Path, *values: int, shape: tuple[int, int] = SHAPE, append: bool = False, **options: Any) -> Path:
    with tifffile.TiffWriter(path, append=append) as tiff:
        for value in values:
            tiff.write(image(value, shape), contiguous=False, metadata=None, **options)
    return path


def values(collector: Collector) -> list[int]:
    return [int(frame.data[0, 0]) for frame in collector.frames]


def no_small_frames(stream: Layout) -> None:
    if min(stream.frame_shape) < 10:
        raise InputError(f"a frame of {stream.frame_shape} came; expected more")


class Watch:
    """A watch of a folder, and what it said."""

    def __init__(self, folder: Path, collector: Collector, **options: Any) -> None:
        self.folder, self.collector, self.lines = folder, collector, list[str]()
        options = {"settle_s": 0.03, "poll_s": 0.01, "give_up_s": GIVE_UP_S, **options}
        self.source = FolderSource(folder, is_registered=is_registered, check=no_small_frames, **options)

    def start(self) -> Watch:
        self.source.start(self.collector)
        return self

    def until(self, *numbers: int) -> None:
        """Wait for these frames, then until nothing is waited for any more: no other frame came."""
        wait_for(lambda: len(self.collector.frames) >= len(numbers))
        wait_for(lambda: self.source.idle_s > 0.1)
        assert values(self.collector) == list(numbers)

    def said(self) -> list[str]:
        self.lines += self.source.take_news()
        return self.lines

    def until_said(self, text: str) -> str:
        wait_for(lambda: any(text in line for line in self.said()))
        [line] = [line for line in self.said() if text in line]
        return line


@pytest.fixture
def watch(tmp_path: Path, collector: Collector) -> Iterator[Watch]:
    folder = tmp_path / "in"
    folder.mkdir()
    one = Watch(folder, collector)
    yield one
    one.source.stop()
    assert one.source.error is None
    assert collector.sources == []
    assert len(one.said()) == len(set(one.said())), "each thing is said once"


# ------------------------------------------------------------ what is no file


def _dangling(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere.tif")


def _to_itself(path: Path) -> None:
    path.symlink_to(path)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _link_to_a_pipe(path: Path) -> None:
    os.mkfifo(path.parent.parent / "pipe")
    path.symlink_to(path.parent.parent / "pipe")


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.path.relpath(path))  # names of sockets are short


def _folder(path: Path) -> None:
    path.mkdir()


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _empty(path: Path) -> None:
    path.touch()


def _four_bytes(path: Path) -> None:
    path.write_bytes(b"II*\0")


def _half(path: Path) -> None:
    write(path, *range(4), compression="zlib")
    path.write_bytes(path.read_bytes()[:900])


def _text(path: Path) -> None:
    path.write_text("no frame at all")


def _colour(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((32, 32, 3), np.uint8), photometric="rgb")


def _thumbnail(path: Path) -> None:
    write(path, 9, shape=(8, 8))


def _small_stack(path: Path) -> None:
    write(path, 9, 10, shape=(4, 40))


ODD: dict[str, tuple[Callable[[Path], None], str]] = {
    "dangling link": (_dangling, "is a link to nothing that can be read (No such file or directory); left out"),
    "link to itself": (_to_itself, "is a link to nothing that can be read"),
    "pipe": (_pipe, "is a pipe, not a file; left out"),
    "link to a pipe": (_link_to_a_pipe, "is a pipe, not a file"),
    "socket": (_socket, "is a socket, not a file"),
    "folder": (_folder, "is a folder, not a file"),
    "device": (_device, "is a device, not a file"),
    "empty": (_empty, "is empty"),
    "four bytes": (_four_bytes, "TIFF"),
    "half copied": (_half, "TIFF"),
    "text": (_text, "is not a TIFF file"),
    "colour": (_colour, "is a colour image"),
    "thumbnail": (_thumbnail, "a frame of (8, 8) came; expected more; left out"),
    "small stack": (_small_stack, "a frame of (4, 40) came; expected more; left out"),
}


@pytest.mark.skipif(os.name == "nt", reason="pipes, sockets and links as POSIX has them")
@pytest.mark.parametrize("kind", ODD)
def test_what_holds_no_frames_is_named_once_and_the_rest_goes_on(watch: Watch, kind: str) -> None:
    make, expected = ODD[kind]
    write(watch.folder / "a.tif", 1)
    make(watch.folder / "odd.tif")
    write(watch.folder / "z.tif", 2)
    watch.start()
    wait_for(lambda: bool(watch.source.problems))
    write(watch.folder / "later.tif", 3)
    watch.until(1, 2, 3)
    [problem] = watch.source.problems
    assert problem.path == watch.folder / "odd.tif"
    assert problem.reason.startswith(str(problem.path))
    assert expected in problem.reason
    assert "\n" not in problem.reason
    assert watch.said() == [problem.reason]
    assert len(watch.collector.streams) == 1


@pytest.mark.skipif(os.name == "nt", reason="links as POSIX has them")
@pytest.mark.parametrize("kind", ["dangling link", "half copied", "thumbnail"])
def test_what_becomes_a_good_file_is_delivered_and_no_problem_any_more(watch: Watch, kind: str) -> None:
    ODD[kind][0](watch.folder / "odd.tif")
    watch.start()
    wait_for(lambda: bool(watch.source.problems))
    write(watch.folder.parent / "whole.tif", 7).replace(watch.folder / "odd.tif")
    watch.until(7)
    assert watch.source.problems == ()


def test_a_link_to_a_good_file_is_as_good_as_the_file(watch: Watch, tmp_path: Path) -> None:
    (watch.folder / "link.tif").symlink_to(write(tmp_path / "elsewhere.tif", 1, 2))
    watch.start().until(1, 2)
    assert watch.said() == []


def test_a_file_that_may_not_be_read_is_named_and_read_once_it_may(watch: Watch) -> None:
    path = write(watch.folder / "secret.tif", 1)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    write(watch.folder / "open.tif", 2)
    watch.start()
    assert "permissions" in watch.until_said("secret.tif")
    path.chmod(0o600)
    watch.until(2, 1)
    assert watch.source.problems == ()


def test_whatever_goes_wrong_with_a_file_the_others_go_on(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exceptions that nobody has thought of, when a file is opened and when a frame is read."""
    real = tiff_kinds.TiffStack

    class Stack(real):  # type: ignore[misc, valid-type]
        def __init__(self, path: Path, *more: Any) -> None:
            if path.name == "b.tif":
                raise MemoryError
            super().__init__(path, *more)

        def read(self, index: Any = None) -> Any:
            if self.path.name == "c.tif" and index:
                raise ZeroDivisionError("what is\nthis")
            return super().read(index)

    monkeypatch.setattr(tiff_kinds, "TiffStack", Stack)
    for name, numbers in (("a", (1,)), ("b", (2,)), ("c", (3, 4)), ("d", (5,))):
        write(watch.folder / f"{name}.tif", *numbers)
    watch.start().until(1, 5)
    wait_for(lambda: len(watch.source.problems) == 2)
    assert ["MemoryError" in watch.until_said("b.tif"), "what is this" in watch.until_said("c.tif")] == [True, True]


# ------------------------------------------------------------ what is left out


def our_file(path: Path, value: int, **record: str) -> None:
    with OmeTiffWriter(path, Layout.stack(SHAPE, np.dtype(np.uint16)), record=record) as writer:
        writer.write(image(value))


@pytest.mark.parametrize(
    ("record", "registered"),
    [
        ({"output": "rendered"}, True),
        ({"content": "registered", "output": "both"}, True),
        ({"content": "warped", "output": "both"}, True),
        ({"content": "side by side"}, True),
        ({"content": "raw"}, False),
        ({"content": "raw", "output": "rendered"}, False),  # says which registrar ran beside it
        ({}, False),
    ],
)
def test_our_registered_files_are_known_by_what_is_in_them(
    tmp_path: Path, record: dict[str, str], registered: bool
) -> None:
    our_file(tmp_path / "any name.tif", 1, **record)
    assert is_registered(tmp_path / "any name.tif") == registered


def test_other_files_are_not_registered(tmp_path: Path) -> None:
    write(tmp_path / "a_registered.ome.tiff", 1)
    (tmp_path / "b.tif").write_bytes(b"II*\0")
    assert not any(is_registered(tmp_path / name) for name in ("a_registered.ome.tiff", "b.tif", "none.tif"))


def test_registered_files_hidden_files_and_folders_are_left_out_with_a_line(watch: Watch) -> None:
    for number in range(3):
        our_file(watch.folder / f"scan{number}.ome.tiff", number, output="rendered")
    our_file(watch.folder / "raw.ome.tiff", 5, content="raw")
    for name in ("._raw.ome.tiff", ".other.tif"):
        write(watch.folder / name, 9)
    for name in ("day1", "day2", ".cache"):
        (watch.folder / name).mkdir()
        write(watch.folder / name / "inner.tif", 9)
    (watch.folder / "notes.txt").touch()
    watch.start().until(5)
    assert watch.source.problems == (), "it is as it should be"
    assert sorted(line.removeprefix(f"{watch.folder}/") for line in watch.said()) == [
        "._raw.ome.tiff: hidden; such files are left out",
        "day1 and 1 more: a folder; what is in it is not taken: watch it by itself for that",
        "scan0.ome.tiff and 2 more: registered by this program already; left out",
    ]
    (watch.folder / "day3").mkdir()
    assert "day3: a folder" in watch.until_said("day3")


# ------------------------------------------------------------- files that grow


def test_a_stack_that_grows_page_by_page_is_delivered_once_a_frame(watch: Watch) -> None:
    path = write(watch.folder / "growing.tif", 0, 1)
    watch.start()
    for number in range(2, 7):
        wait_for(lambda number=number: len(watch.collector.frames) == number)  # type: ignore[misc]
        write(path, number, append=True)
    watch.until(*range(7))
    [stream] = watch.collector.streams
    assert stream.axes == ("t",)
    assert [frame.index["t"] for frame in watch.collector.frames] == list(range(7))
    assert [frame.sequence_number for frame in watch.collector.frames] == list(range(7))
    wait_for(lambda: bool(watch.collector.ends))
    assert watch.collector.ends == [("completed", None, 7)]


def test_the_rest_of_a_stack_whose_stream_has_ended_is_a_stream_of_its_own(watch: Watch) -> None:
    path = write(watch.folder / "growing.tif", 0, 1)
    watch.start()
    wait_for(lambda: bool(watch.collector.ends))
    write(path, 2, append=True)
    wait_for(lambda: len(watch.collector.frames) == 3)
    write(path, 3, append=True)
    watch.until(0, 1, 2, 3)
    assert [stream.axes != () for stream in watch.collector.streams] == [True, False]
    assert [dict(frame.index) for frame in watch.collector.frames[2:]] == [{}, {}]


def test_a_file_that_begins_with_one_page_and_grows(watch: Watch) -> None:
    path = write(watch.folder / "growing.tif", 0)
    watch.start()
    for number in range(1, 5):
        wait_for(lambda number=number: len(watch.collector.frames) == number)  # type: ignore[misc]
        write(path, number, append=True)
    watch.until(*range(5))
    assert len(watch.collector.streams) == 1


def test_two_stacks_that_grow_in_turns_are_not_mixed(watch: Watch) -> None:
    paths = [write(watch.folder / f"{name}.tif", start, start + 1) for name, start in (("a", 0), ("b", 100))]
    watch.start()
    for step in range(2, 5):
        for path, start in zip(paths, (0, 100), strict=True):
            before = len(watch.collector.frames)
            write(path, start + step, append=True)
            wait_for(lambda before=before: len(watch.collector.frames) > before)  # type: ignore[misc]
    wait_for(lambda: watch.source.idle_s > 0.1)
    of_file: dict[str, list[int]] = {"a.tif": [], "b.tif": []}
    for frame in watch.collector.frames:
        of_file[frame.metadata["file"]].append(int(frame.data[0, 0]))
    assert of_file == {"a.tif": [0, 1, 2, 3, 4], "b.tif": [100, 101, 102, 103, 104]}


@pytest.mark.parametrize("how", ["date", "copy", "touched stack"])
def test_a_file_of_which_only_the_date_changes_is_not_delivered_again(watch: Watch, how: str) -> None:
    numbers = (1, 2, 3) if how == "touched stack" else (1,)
    path = write(watch.folder / "a.tif", *numbers)
    watch.start()
    wait_for(lambda: len(watch.collector.frames) == len(numbers))
    if how == "copy":
        shutil.copy(path, watch.folder.parent / "copy.tif")
        (watch.folder.parent / "copy.tif").replace(path)
    os.utime(path, (1, 1))
    wait_for(lambda: watch.source.idle_s < 0.03)
    watch.until(*numbers)


@pytest.mark.parametrize("again", [(7,), (7, 8), (1, 2, 9), (7, 2, 3), (7, 8, 9, 10), (1, 9, 3, 4)])
def test_a_stack_that_is_replaced_in_place_is_delivered_as_a_whole(watch: Watch, again: tuple[int, ...]) -> None:
    path = write(watch.folder / "a.tif", 1, 2, 3)
    watch.start()
    wait_for(lambda: len(watch.collector.frames) == 3)
    write(path, *again)
    watch.until(1, 2, 3, *again)


def test_blank_frames_at_both_ends_do_not_make_two_recordings_the_same(watch: Watch) -> None:
    def recording(value: int) -> np.ndarray[Any, Any]:
        return np.stack([np.zeros(SHAPE, np.uint16), image(value), np.zeros(SHAPE, np.uint16)])

    path = watch.folder / "a.tif"
    tifffile.imwrite(path, recording(1), photometric="minisblack")
    watch.start()
    wait_for(lambda: len(watch.collector.frames) == 3)
    tifffile.imwrite(path, recording(2), photometric="minisblack")
    watch.until(0, 1, 0, 0, 2, 0)


def test_a_longer_settle_time_waits_for_a_program_that_pauses(tmp_path: Path, collector: Collector) -> None:
    watch = Watch(tmp_path, collector, settle_s=1.0).start()
    path = write(tmp_path / "a.tif", 0)
    for number in range(1, 4):
        write(path, number, append=True)
        now = watch.source.idle_s
        wait_for(lambda now=now: watch.source.idle_s != now)  # type: ignore[misc]
    assert collector.frames == []
    watch.until(0, 1, 2, 3)
    watch.source.stop()
    assert [stream.frames for stream in collector.streams] == [4]


@pytest.mark.parametrize("settle_s", [-1.0, float("nan"), float("inf")])
def test_a_settle_time_that_cannot_be(tmp_path: Path, settle_s: float) -> None:
    with pytest.raises(InputError, match="settle_s is"):
        FolderSource(tmp_path, settle_s=settle_s)


# ----------------------------------------------------------- folders and drives


def test_several_hundred_files_at_once_come_in_the_order_in_which_people_count(watch: Watch) -> None:
    count = 300
    for number in reversed(range(count)):
        os.utime(write(watch.folder / f"frame{number}.tif", number), (1000, 1000))
    watch.start().until(*range(count))
    assert watch.said() == []


@pytest.mark.parametrize(
    "names",
    [
        ("2.tif", "10.tif"),
        ("a.tif", "a2.tif", "a10.tif", "b1.tif"),
        ("a.ome.tif", "a2.ome.tif"),
        ("x1y9.tif", "x1y10.tif", "x02y1.tif"),
    ],
)
def test_natural_order(names: tuple[str, ...]) -> None:
    assert sorted(set(names), key=natural_order) == list(names)


def test_a_folder_that_goes_and_comes_back_is_named_and_nothing_is_delivered_twice(watch: Watch) -> None:
    write(watch.folder / "a.tif", 1)
    write(watch.folder / "b.tif", 2, 3)
    watch.start().until(1, 2, 3)
    away = watch.folder.with_name("away")
    watch.folder.rename(away)
    watch.until_said("cannot be read (No such file or directory); waiting for it")
    write(away / "c.tif", 4)
    away.rename(watch.folder)
    watch.until_said("can be read again")
    watch.until(1, 2, 3, 4)
    assert watch.source.problems == ()


def test_a_drive_that_fails_in_the_middle_of_a_file_costs_no_frame(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tiff_kinds.TiffStack
    calls = iter(range(100))

    class Stack(real):  # type: ignore[misc, valid-type]
        def read(self, index: Any = None) -> Any:
            if next(calls) in (2, 3):
                raise OSError(116, "Stale file handle")
            return super().read(index)

    monkeypatch.setattr(tiff_kinds, "TiffStack", Stack)
    write(watch.folder / "a.tif", 1, 2, 3, 4)
    watch.start().until(1, 2, 3, 4)
    assert watch.source.problems == ()
    assert watch.said() == []


def test_a_file_that_is_deleted_while_it_is_read_is_read_to_its_end(watch: Watch) -> None:
    path = write(watch.folder / "a.tif", *range(8))
    put = watch.collector.put

    def delete(frame: Any, *, wait: bool = True) -> bool:
        path.unlink(missing_ok=True)
        return put(frame, wait=wait)

    watch.collector.put = delete  # type: ignore[method-assign]
    watch.start().until(*range(8))
    assert watch.said() == []


def test_no_idleness_is_seen_while_a_file_is_dealt_with(tmp_path: Path, collector: Collector) -> None:
    """The first frame waits for the model, and every frame for a consumer that is full."""
    write(tmp_path / "a.tif", 1)
    go_on = threading.Event()
    source = FolderSource(tmp_path, settle_s=0.02, poll_s=0.01, check=lambda stream: go_on.wait(20) and None)
    source.start(collector)
    wait_for(lambda: source._busy_s > time.perf_counter())
    assert source.idle_s == 0
    go_on.set()
    wait_for(lambda: source.idle_s > 0.05)
    assert values(collector) == [1]
    source.stop()


def test_what_could_not_be_read_when_the_watch_ends_is_named(tmp_path: Path, collector: Collector) -> None:
    _half(tmp_path / "half.tif")
    watch = Watch(tmp_path, collector, give_up_s=60.0).start()
    wait_for(lambda: any(seen.reason for seen in watch.source._seen.values()))
    assert watch.source.idle_s < 0.5, "a file that is waited for is no idleness"
    watch.source.stop()
    assert [line for line in watch.said() if "half.tif" in line and "when the watch ended" in line]


def test_both_sizes_of_a_px_and_a_change_of_them(watch: Watch) -> None:
    def scan(name: str, value: int, x_um: float, y_um: float) -> None:
        tifffile.imwrite(
            watch.folder / name, image(value), resolution=(1e4 / x_um, 1e4 / y_um), resolutionunit="CENTIMETER"
        )

    scan("a.tif", 1, 0.5, 2.0)
    scan("b.tif", 2, 0.5, 2.0)
    scan("c.tif", 3, 0.25, 2.0)
    watch.start().until(1, 2, 3)
    assert [stream.pixel_size_um for stream in watch.collector.streams] == [
        pytest.approx((2.0, 0.5)),
        pytest.approx((2.0, 0.25)),
    ]
    assert watch.collector.frames[0].metadata["pixel_size_um"] == pytest.approx((2.0, 0.5))
