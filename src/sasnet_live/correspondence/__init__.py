"""The displacement between the passes, ``d(x, y) = p(x) + q(y)``, found in the images themselves; nothing is learned."""

from .coarse import CoarseDisplacement, coarse_search
from .confidence import Evidence, confidence, evidence
from .find import KNOTS, Correspondence, default_reach_px, find_displacement
from .refine import SeparableDisplacement, refine
from .running import RunningEstimate

__all__ = [
    "KNOTS",
    "CoarseDisplacement",
    "Correspondence",
    "Evidence",
    "RunningEstimate",
    "SeparableDisplacement",
    "coarse_search",
    "confidence",
    "default_reach_px",
    "evidence",
    "find_displacement",
    "refine",
]
