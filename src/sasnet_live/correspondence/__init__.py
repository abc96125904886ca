"""The displacement between the passes, ``d(x, y) = p(x) + q(y) + y r(x)``, found in the images; nothing is learned."""

from .coarse import CoarseDisplacement, coarse_search
from .confidence import ACCEPTED_CONFIDENCE, Evidence, confidence, evidence
from .displacement import DisplacementParts
from .find import KNOTS, Correspondence, default_reach_px, find_displacement
from .refine import refine
from .running import RunningEstimate
from .tails import tail_displacement
from .tracker import Tracker

__all__ = [
    "ACCEPTED_CONFIDENCE",
    "KNOTS",
    "CoarseDisplacement",
    "Correspondence",
    "DisplacementParts",
    "Evidence",
    "RunningEstimate",
    "Tracker",
    "coarse_search",
    "confidence",
    "default_reach_px",
    "evidence",
    "find_displacement",
    "refine",
    "tail_displacement",
]
