"""How much each loss counts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

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
        Domain alignment: 1 - NCC of the rendered lines and the forward pass.
    scene
        Scene consistency: mean absolute difference of the two passes' scene features.
    self_
        Self reconstruction: the forward pass rendered in its own appearance against itself.
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
        for field in fields(self):
            if not getattr(self, field.name) >= 0:
                raise InputError(f"loss weight {field.name.rstrip('_')} is {getattr(self, field.name)}; expected >= 0")

    def to_dict(self) -> dict[str, float]:
        """By name, without the underscore that Python needs for "self"."""
        return {name.rstrip("_"): value for name, value in asdict(self).items()}
