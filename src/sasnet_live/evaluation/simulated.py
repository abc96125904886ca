"""Cases of simulated data sets, scanned when they are read."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from sasnet_live.geometry import ScanGeometry
from sasnet_live.simulation import SimulatedFrame, SimulatedPairs

from .case import Case, Entry, case_of_raw

RECORDING = "recording"


def simulated_entries(name: str, shape: tuple[int, int], geometry: ScanGeometry | None) -> list[Entry]:
    """The test split of a simulated data set at a frame shape (H, W); of or-pam-sim-one its recording, too."""
    pairs = SimulatedPairs(name, height=shape[0], width=shape[1], geometry=geometry)
    numbers = [(index, pairs.level(index)) for index in range(pairs.size("test"))]
    entries = [Entry(f"test-{index:04d}", level, partial(_of_split, pairs, index, level)) for index, level in numbers]
    return entries if name != "or-pam-sim-one" else entries + _recording_entries(shape, geometry)


def case_of_simulated(name: str, level: str, frame: SimulatedFrame, recording: str = "", number: int = 0) -> Case:
    """A simulated frame with its whole truth."""
    return case_of_raw(
        name,
        level,
        frame.raw,
        frame.geometry,
        truth=frame.truth,
        displacement_px=frame.displacement_px,
        textured=frame.textured,
        recording=recording,
        number=number,
    )


def _of_split(pairs: SimulatedPairs, index: int, level: str) -> Case:
    return case_of_simulated(f"test-{index:04d}", level, pairs.load_pair("test", index))


def _recording_entries(shape: tuple[int, int], geometry: ScanGeometry | None) -> list[Entry]:
    from sasnet_live.simulation.one_scanner import RECORDED_FRAMES

    recording = _Recording(shape, geometry)
    names = [f"{RECORDING}-{number:04d}" for number in range(RECORDED_FRAMES)]
    return [
        Entry(name, RECORDING, partial(recording.case, name, number), RECORDING) for number, name in enumerate(names)
    ]


class _Recording:
    """Frames of the one-scanner recording by number; each is made once where they are asked for in order."""

    def __init__(self, shape: tuple[int, int], geometry: ScanGeometry | None) -> None:
        self._shape, self._geometry = shape, geometry
        self._frames: Iterator[SimulatedFrame] = iter(())
        self._next = -1

    def case(self, name: str, number: int) -> Case:
        from sasnet_live.simulation.one_scanner import one_scanner_recording

        if number < self._next or self._next < 0:
            self._frames, self._next = one_scanner_recording(*self._shape, self._geometry), 0
        frame = next(self._frames)
        while self._next < number:
            frame, self._next = next(self._frames), self._next + 1
        self._next += 1
        return case_of_simulated(name, RECORDING, frame, RECORDING, number)
