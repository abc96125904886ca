"""How many frames of a result were registered, in words."""

from __future__ import annotations

from typing import Any

import pytest

from sasnet_live.session.verdict import Verdict, is_result

GOOD: dict[str, Any] = {"accepted": True, "reason": ""}
NOISE: dict[str, Any] = {"accepted": False, "reason": "noise hides the structure"}
FLAT: dict[str, Any] = {"accepted": False, "reason": "constant"}


@pytest.mark.parametrize(
    ("figures", "text", "name", "file"),
    [
        ([GOOD], "1 of 1 accepted", "scan registered", "scan"),
        ([GOOD] * 5, "5 of 5 accepted", "scan registered", "scan"),
        (
            [NOISE],
            "0 of 1 accepted: noise hides the structure",
            "scan not registered (0 of 1 accepted)",
            "scan (0 of 1 accepted)",
        ),
        (
            [GOOD, FLAT, NOISE, NOISE],
            "1 of 4 accepted: noise hides the structure",
            "scan registered (1 of 4 accepted)",
            "scan (1 of 4 accepted)",
        ),
        ([{"accepted": False}], "0 of 1 accepted", "scan not registered (0 of 1 accepted)", "scan (0 of 1 accepted)"),
        ([{}, {"confidence": 1}], "0 of 0 accepted", "scan registered", "scan"),
    ],
)
def test_what_is_said_of_a_result(figures: list[dict[str, Any]], text: str, name: str, file: str) -> None:
    verdict = Verdict.of(figures)
    assert str(verdict) == text
    assert verdict.name("scan", "registered") == name
    assert verdict.name("scan") == file
    assert verdict.is_clean is ("accepted)" not in name)


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, False),
        ({"sasnet_live": "a note of the user's"}, False),
        ({"sasnet_live": {"layer": "raw"}}, False),
        ({"sasnet_live": {"layer": "sample", "level": "easy"}}, False),
        ({"sasnet_live": {"layer": "registered"}}, True),
        ({"sasnet_live": {"layer": "displacement (px)"}}, True),
        ({"sasnet_live": {"record": {"content": "raw"}}}, False),
        ({"sasnet_live": {"record": {"content": "registered"}}}, True),
        ({"sasnet_live": {"record": {"model": "lite"}}}, True),
    ],
)
def test_results_are_known_by_their_metadata(metadata: dict[str, Any], expected: bool) -> None:
    assert is_result(metadata) is expected
