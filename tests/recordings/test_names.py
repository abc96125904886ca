"""What the numbers in names of files say."""

from __future__ import annotations

from pathlib import Path

import pytest

from sasnet_live.recordings.names import common_name, counted, pattern_of

NAMES: dict[str, tuple[list[str], tuple[str, ...], tuple[int, ...]]] = {
    "times": (["a1.tif", "a2.tif", "a10.tif"], ("t",), (3,)),
    "channels": (["a_Ch1_7.tif", "a_Ch2_7.tif"], ("c",), (2,)),
    "depths": (["a_z1.tif", "a_z2.tif"], ("z",), (2,)),
    "positions": (["a_Pos1.tif", "a_Pos2.tif"], ("p",), (2,)),
    "all": ([f"a_s{p}_t{t}_z{z}_c{c}.tif" for c in (1, 2) for z in (0, 5) for t in (1, 2) for p in (3, 4)],
            ("p", "t", "z", "c"), (2, 2, 2, 2)),
    "Bruker": ([f"r1_z14_Cycle{n:05}_Ch2_000001.ome.tif" for n in range(2, 14)], ("t",), (12,)),
}  # fmt: skip


@pytest.mark.parametrize("case", NAMES)
def test_axes_of_names(case: str) -> None:
    names, axes, sizes = NAMES[case]
    found = counted([Path(name) for name in names])
    assert found is not None
    assert (found.axes, found.sizes) == (axes, sizes)
    assert len({pattern_of(path) for path in found.files}) == 1
    assert set(found.files) == {Path(name) for name in names}


@pytest.mark.parametrize(
    "names",
    [
        ["a.tif", "b.tif"],
        ["a1.tif"],
        ["a_1_1.tif", "a_2_2.tif"],  # half of the places are empty
        ["a_1_1.tif", "a_1_2.tif", "a_2_1.tif", "a_2_2.tif"],  # two times
        ["a1.tif", "a01.tif"],  # one place twice
    ],
)
def test_names_that_count_nothing(names: list[str]) -> None:
    assert counted([Path(name) for name in names]) is None


@pytest.mark.parametrize(
    ("names", "common"),
    [
        (["m1_00001.tif", "m1_00002.tif"], "m1"),
        (["scan_0009.ome.tif", "scan_0010.ome.tif"], "scan"),
        (["r-007_Cycle00002_Ch2.ome.tif", "r-007_Cycle00003_Ch2.ome.tif"], "r-007"),
        (["1.tif", "2.tif"], "1"),
        (["mouse_t1.tif", "mouse_t2.tif"], "mouse"),
    ],
)
def test_results_are_called_after_what_names_share(names: list[str], common: str) -> None:
    assert common_name([Path(name) for name in names]) == common
