"""The displacement between the passes, ``d(x, y) = p(x) + q(y) + y r(x)``, found in the images; nothing is learned."""

from .coarse import coarse_search
from .confidence import ACCEPTED_CONFIDENCE, Evidence, evidence
from .displacement import KNOTS, DisplacementParts
from .expectation import Expectation, RunningEstimate
from .find import Correspondence, default_reach_px, find_displacement
from .refine import Prior, refine
from .tracker import Tracker

__all__ = [
    "ACCEPTED_CONFIDENCE",
    "KNOTS",
    "Correspondence",
    "DisplacementParts",
    "Evidence",
    "Expectation",
    "Prior",
    "RunningEstimate",
    "Tracker",
    "coarse_search",
    "default_reach_px",
    "evidence",
    "find_displacement",
    "refine",
]
