"""Which displacement moves which channel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sasnet_live.errors import InputError
from sasnet_live.frame import Frame, Registration, RegistrationMetrics
from sasnet_live.layout import Layout
from sasnet_live.live.channels import ChannelRegistrar

SHAPE = (8, 6)


class Recorder:
    """A registrar that notes what it was asked; the displacement it finds is the first pixel of the frame."""

    made: list[Recorder]

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        type(self).made.append(self)

    def register(self, raw: np.ndarray[Any, Any]) -> Registration:
        self.calls.append(("register", int(raw[0, 0])))
        return self._registration(raw, float(raw[0, 0]))

    def apply(self, raw: np.ndarray[Any, Any], registration: Registration) -> Registration:
        self.calls.append(("apply", int(raw[0, 0])))
        return self._registration(raw, float(registration.displacement_px[0, 0]))

    def reset(self) -> None:
        self.calls.append(("reset", 0))

    def warm_up(self, shape: tuple[int, int], dtype: np.dtype[Any]) -> None:
        self.calls.append(("warm_up", shape[0]))

    def _registration(self, raw: np.ndarray[Any, Any], displacement_px: float) -> Registration:
        lines = raw[1::2].astype(np.float32)
        return Registration(raw, None, lines, np.full_like(lines, displacement_px), RegistrationMetrics(), True)


@pytest.fixture(autouse=True)
def registrars() -> list[Recorder]:
    Recorder.made = []
    return Recorder.made


def frame(value: int, **index: int) -> Frame:
    return Frame(np.full(SHAPE, value, np.uint16), index)


def channels(*names: str) -> Layout:
    return Layout.stack(SHAPE, np.dtype(np.uint16), "tc", (9, len(names)), channel_names=names)


def displacement(registration: Registration) -> float:
    return float(registration.displacement_px[0, 0])


def test_each_channel_has_a_registrar_of_its_own(registrars: list[Recorder]) -> None:
    process = ChannelRegistrar(Recorder)
    process.prepare(channels("A", "B"))
    assert [registrar.calls for registrar in registrars] == [[("warm_up", 8)]] * 2
    for t in range(3):
        for c in range(2):
            assert displacement(process(frame(10 * c + t, t=t, c=c))) == 10 * c + t
    assert registrars[0].calls[1:] == [("register", t) for t in range(3)]
    assert registrars[1].calls[1:] == [("register", 10 + t) for t in range(3)]


@pytest.mark.parametrize("align_on", ["B", "1", 1])
def test_the_other_channels_move_with_the_chosen_one_of_the_same_scan(
    registrars: list[Recorder], align_on: str | int
) -> None:
    process = ChannelRegistrar(Recorder, align_on)
    process.prepare(channels("A", "B", "C"))
    assert len(registrars) == 1
    for t in range(3):
        assert displacement(process(frame(t + 5, t=t, c=1))) == t + 5
        assert displacement(process(frame(90, t=t, c=0))) == t + 5
        assert displacement(process(frame(91, t=t, c=2))) == t + 5
    assert len(registrars) == 1


def test_a_channel_that_comes_before_the_chosen_one_is_registered_by_itself(registrars: list[Recorder]) -> None:
    process = ChannelRegistrar(Recorder, "B")
    process.prepare(channels("A", "B"))
    assert displacement(process(frame(3, t=0, c=0))) == 3
    assert displacement(process(frame(4, t=0, c=1))) == 4
    assert registrars[0].calls[-1] == ("register", 4), "its running estimate is not mixed with the chosen channel's"


def test_each_depth_and_position_is_a_scan_of_its_own() -> None:
    process = ChannelRegistrar(Recorder, 0)
    process.prepare(channels("A", "B"))
    for z in range(3):
        process(frame(z, t=0, z=z, c=0))
    for z in range(3):
        assert displacement(process(frame(90, t=0, z=z, c=1))) == z


def test_scans_are_not_remembered_for_ever() -> None:
    process = ChannelRegistrar(Recorder, 0)
    process.prepare(channels("A", "B"))
    for t in range(1000):
        process(frame(t % 100, t=t, c=0))
    assert len(process._scans) <= 16


def test_a_new_stream_forgets_but_does_not_warm_up_again(registrars: list[Recorder]) -> None:
    process = ChannelRegistrar(Recorder)
    for _ in range(2):
        process.prepare(Layout(SHAPE, np.dtype(np.uint16)))
    process.prepare(Layout((20, 6), np.dtype(np.uint16)))
    assert registrars[0].calls == [("warm_up", 8), ("reset", 0), ("reset", 0), ("warm_up", 20)]


def test_streams_without_channels_are_registered_as_they_are() -> None:
    process = ChannelRegistrar(Recorder, "B")
    for _ in range(2):
        process.prepare(Layout(SHAPE, np.dtype(np.uint16)))
        assert displacement(process(frame(7))) == 7
    assert "the channel to align on, 'B', is not used" in process.take_remark()
    assert process.take_remark() == ""


def test_nothing_is_remarked_where_the_channel_is_used_or_none_was_chosen() -> None:
    for align_on, stream in (("B", channels("A", "B")), (None, Layout(SHAPE, np.dtype(np.uint16)))):
        process = ChannelRegistrar(Recorder, align_on)
        process.prepare(stream)
        assert process.take_remark() == ""


@pytest.mark.parametrize("align_on", ["D", "2", -1, 5])
def test_a_channel_that_is_not_there_is_refused(align_on: str | int) -> None:
    with pytest.raises(InputError, match="the channels are A, B"):
        ChannelRegistrar(Recorder, align_on).prepare(channels("A", "B"))
