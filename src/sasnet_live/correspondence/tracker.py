"""From frame to frame: search once, then follow, and notice when the scanner jumped."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from .arrays import Floats
from .confidence import ACCEPTED_CONFIDENCE
from .expectation import RunningEstimate
from .find import Correspondence, find_displacement
from .pool import MOST_FRAMES, FramePool

LOST = 0.75  # part of the usual correlation below which tracking is not believed
AS_GOOD = 0.95  # part of the followed frame's correlation that a searched one has to reach
FEWEST_POOLED = 4  # frames, of which fewer are not tried: each try takes as long as a search
POOLED_EVERY = 4  # frames, while none of the tries is trusted: noise at 512 x 512 then takes 1.7 times as long
TRANSFER_FRAMES = 8  # that are compared through one coherence filter: the spectra of content and noise change slowly


@dataclass
class Tracker:
    """Finds the displacement of one frame after another of the same scanner.

    The first frame is searched. Later ones begin at the running profile, which also steadies them; only where the
    result fits clearly worse than usual, or is not trusted, is the frame searched as if it were the first, and the
    running estimate begins anew if that fits better.

    Frames that are not trusted are averaged, see `pool`, and the mean is searched: with few photons it shows what its
    frames have in common. What is found on it is believed for the newest frame as long as that does not contradict it.

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
    pool: FramePool = field(default_factory=FramePool)
    _alone: int = field(default=MOST_FRAMES, init=False, repr=False)
    _untried: int = field(default=0, init=False, repr=False)
    _transfer: Floats | None = field(default=None, init=False, repr=False)
    _transfer_frames: int = field(default=0, init=False, repr=False)

    def reset(self) -> None:
        """Forget the running estimate and the frames that were averaged."""
        self.running = RunningEstimate()
        self.pool = FramePool()
        self._alone, self._untried = MOST_FRAMES, 0
        self._transfer = None

    def find(self, target: Floats, backward: Floats) -> Correspondence:
        """Displacement of one frame, (n, W) each; the running estimate is not changed until `accept`."""
        found = self._of_frame(target, backward)
        if not self.temporal:
            return found
        # Frames that are just trusted, and just not, alternate: the mean is of both.
        self._alone = self._alone + 1 if found.confidence >= ACCEPTED_CONFIDENCE else 0
        if self._alone >= MOST_FRAMES:
            self.pool, self._alone = FramePool(), MOST_FRAMES
            return found
        if not self.pool.frames or not self.pool.add(target, backward):
            self.pool = FramePool.of(target, backward)
        return self._of_mean(target, backward) or found if self._alone == 0 else found

    def _of_mean(self, target: Floats, backward: Floats) -> Correspondence | None:
        """What the mean of the last frames tells of the newest; None if nothing that can be trusted."""
        self._untried += 1
        pool = self.pool
        if pool.frames < FEWEST_POOLED or pool.target is None or pool.backward is None or self._untried < 1:
            return None
        found = self._search(pool.target, pool.backward)
        if found.confidence < ACCEPTED_CONFIDENCE or not pool.is_enough(found.evidence.significance):
            self._untried = 1 - POOLED_EVERY
            return None
        if pool.contradicts(target, backward, found.parts):
            self.pool = FramePool.of(target, backward)
            return None
        return replace(found, frames=pool.frames)

    def _of_frame(self, target: Floats, backward: Floats) -> Correspondence:
        """What the frame tells, with what is expected of it."""
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
        """Take a trusted result into the running estimate; what was found on a mean of frames is of those, not new."""
        if self.temporal and found.frames == 1:
            self.running.update(found.parts, found.evidence.correlation, found.tail_px)
            self._transfer_frames = 1 if found.transfer is not self._transfer else self._transfer_frames + 1
            self._transfer = found.transfer

    def _search(self, target: Floats, backward: Floats) -> Correspondence:
        return find_displacement(target, backward, reach_px=self.reach_px, centre_px=self.centre_px)
