"""How much each loss counts."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from sasnet_live.errors import InputError


@dataclass(frozen=True)
class LossWeights:
    """How much each loss counts; one of weight 0 is not computed.

    Parameters
    ----------
    cross
        Cross-domain reconstruction: backward lines rendered in the forward appearance against the truth, or against
        the forward pass where there is no truth. Mean absolute difference, in deviations of the reference.
    similarity
        The same by 1 - SSIM.
    alignment
        Domain alignment: 1 - NCC of the rendered lines and the forward pass. Without a truth, `cross` and `similarity`
        compare the same two and so are domain alignment, too.
    scene
        Scene consistency: mean absolute difference of the two passes' scene features.
    self_
        Self reconstruction: each pass rendered in its own appearance against itself.
    cycle
        Cycle consistency: what was rendered has the scene of its source and the appearance of its reference.
    """

    cross: float = 1.0
    similarity: float = 0.5
    alignment: float = 0.02
    scene: float = 0.01
    self_: float = 0.0
    cycle: float = 0.0

    def __post_init__(self) -> None:
        for name, value in self.to_dict().items():
            if not 0 <= value < math.inf:
                raise InputError(f"loss weight {name} is {value}; expected 0 or more")
        if not any(self.to_dict().values()):
            raise InputError("all loss weights are 0; give at least one a weight")

    @property
    def reach_the_renderer(self) -> bool:
        """False if nothing that is rendered counts, so that the renderer has no gradient."""
        return any(weight for name, weight in self.to_dict().items() if name != "scene")

    def to_dict(self) -> dict[str, float]:
        """By name, without the underscore that Python needs for "self"."""
        return {name.rstrip("_"): value for name, value in asdict(self).items()}
