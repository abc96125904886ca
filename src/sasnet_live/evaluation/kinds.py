"""Layouts of data sets by name, apart from their readers: the command line lists them without loading those."""

from __future__ import annotations

from typing import Literal

Kind = Literal[
    "auto",
    "or-pam-sim-4k",
    "or-pam-sim-one",
    "other-scanner",
    "pairs",
    "raster-pairs",
    "raw",
    "or-pam-reg-4k",
    "fire",
    "eurosat",
]
