"""What a layer says of how its frames were processed."""

from __future__ import annotations

from sasnet_live.plugin.readers.layer_data import summary

GOOD = {"accepted": True, "reason": ""}
NOISE = {"accepted": False, "reason": "noise hides the structure"}


def test_metadata_of_what_is_opened_again_says_how_many_frames_were_registered() -> None:
    assert summary({}, [NOISE, GOOD])["verdict"] == "1 of 2 accepted: noise hides the structure"
    assert summary({}, [])["verdict"] == ""
