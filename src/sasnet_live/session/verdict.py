"""How many frames of a result were registered, in words; and whether a layer is a result already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

RAW = ("raw", "sample")
"""What our own layers and recordings of raw frames say of themselves."""


@dataclass(frozen=True)
class Verdict:
    """How many frames were registered, and what spoke against the others.

    Attributes
    ----------
    accepted, frames
        Numbers.
    reason
        The one given most often; empty if none was.
    """

    accepted: int
    frames: int
    reason: str = ""

    @classmethod
    def of(cls, figures: Iterable[Mapping[str, Any]]) -> Verdict:
        """From the figures of each frame; those that do not say whether they were accepted are not counted."""
        told = [one for one in figures if "accepted" in one]
        refused = [one for one in told if not one["accepted"]]
        reasons = Counter(str(one["reason"]) for one in refused if one.get("reason"))
        return cls(len(told) - len(refused), len(told), reasons.most_common(1)[0][0] if reasons else "")

    @property
    def is_clean(self) -> bool:
        """Whether nothing needs to be said."""
        return self.accepted == self.frames

    def __str__(self) -> str:
        """As ``0 of 1 accepted: noise hides the structure``."""
        text = f"{self.accepted} of {self.frames} accepted"
        return f"{text}: {self.reason}" if self.reason else text

    def name(self, source: str, done: str = "") -> str:
        """What a result is called: ``scan registered``, ``scan not registered (0 of 1 accepted)``.

        Parameters
        ----------
        source
            The name of what it was made from, or of the result itself.
        done
            What was done; empty if `source` is the name of the result.
        """
        words = [source, *(["not"] if done and self.frames and not self.accepted else []), *([done] if done else [])]
        if not self.is_clean:
            words.append(f"({self.accepted} of {self.frames} accepted)")
        return " ".join(words)


def is_result(metadata: Mapping[str, Any]) -> bool:
    """Whether a layer with this metadata shows what we made of raw frames, live or from a recording."""
    about = metadata.get("sasnet_live")
    if not isinstance(about, Mapping):
        return False
    if "layer" in about:
        return about["layer"] not in RAW
    return "record" in about and about["record"].get("content") not in RAW
