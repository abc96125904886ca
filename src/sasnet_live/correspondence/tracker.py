"""From frame to frame: search once, then follow, and notice when the scanner jumped."""

from __future__ import annotations

from dataclasses import dataclass, field

from .arrays import Floats
from .confidence import ACCEPTED_CONFIDENCE
from .expectation import RunningEstimate
from .find import Correspondence, find_displacement

LOST = 0.75  # part of the usual correlation below which tracking is not believed
AS_GOOD = 0.95  # part of the followed frame's correlation that a searched one has to reach
TRANSFER_FRAMES = 8  # that are compared through one coherence filter: the spectra of content and noise change slowly


@dataclass
class Tracker:
    """Finds the displacement of one frame after another of the same scanner.

    The first frame is searched. Later ones begin at the running profile, which also steadies them; only where the
    result fits clearly worse than usual, or is not trusted, is the frame searched as if it were the first, and the
    running estimate begins anew if that fits better.

    Parameters
    ----------
    reach_px, centre_px
        Of the search, see `find_displacement`.
    temporal
        False: every frame is the first.
    """

    reach_px: int | None = None
    centre_px: int = 0
    temporal: bool = True
    running: RunningEstimate = field(default_factory=RunningEstimate)
    _transfer: Floats | None = field(default=None, init=False, repr=False)
    _transfer_frames: int = field(default=0, init=False, repr=False)

    def reset(self) -> None:
        """Forget the running estimate."""
        self.running = RunningEstimate()
        self._transfer = None

    def find(self, target: Floats, backward: Floats) -> Correspondence:
        """Displacement of one frame, (n, W) each; the running estimate is not changed until `accept`."""
        expected = self.running.expected if self.temporal else None
        if expected is None:
            return self._search(target, backward)
        tracked = find_displacement(
            target,
            backward,
            reach_px=self.reach_px,
            centre_px=self.centre_px,
            expected=expected,
            transfer=self._transfer if self._transfer_frames < TRANSFER_FRAMES else None,
        )
        trusted = tracked.confidence >= ACCEPTED_CONFIDENCE
        fits = tracked.evidence.correlation >= LOST * expected.correlation
        if trusted and fits and expected.surprise(tracked.parts) < 1:
            return tracked
        searched = self._search(target, backward)
        # What a jump of the scanner leaves is found by searching, and fits at least as well as what was followed.
        as_good = searched.evidence.correlation >= AS_GOOD * tracked.evidence.correlation
        if as_good and searched.confidence >= ACCEPTED_CONFIDENCE:
            self.reset()
            return searched
        return tracked if tracked.confidence >= searched.confidence else searched

    def accept(self, found: Correspondence) -> None:
        """Take a trusted result into the running estimate."""
        if self.temporal:
            self.running.update(found.parts, found.evidence.correlation, found.tail_px)
            self._transfer_frames = 1 if found.transfer is not self._transfer else self._transfer_frames + 1
            self._transfer = found.transfer

    def _search(self, target: Floats, backward: Floats) -> Correspondence:
        return find_displacement(target, backward, reach_px=self.reach_px, centre_px=self.centre_px)
