"""From frame to frame: search once, then follow; notice when the scanner jumped; average where frames say too little."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from .arrays import Floats
from .confidence import ACCEPTED_CONFIDENCE
from .expectation import Expectation, RunningEstimate
from .find import Correspondence, find_displacement
from .pool import Pool

LOST = 0.75  # part of the usual correlation below which tracking is not believed
AS_GOOD = 0.95  # part of the followed frame's correlation that a searched one has to reach
TRANSFER_FRAMES = 8  # that are compared through one coherence filter: the spectra of content and noise change slowly
SEARCHED_AGAIN = 1.25  # times as many frames as when an average was last searched in vain: a search takes its time


@dataclass
class Tracker:
    """Finds the displacement of one frame after another of the same scanner.

    The first frame is searched. Later ones begin at the running profile, which also steadies them; only where the
    result fits clearly worse than usual, or is not trusted, is the frame searched as if it were the first, and the
    running estimate begins anew if that fits better. Frames that are not trusted either way are averaged, and the
    displacement is that of the average where it can be trusted.

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
    pool: Pool = field(default_factory=Pool)
    _transfer: Floats | None = field(default=None, init=False, repr=False)
    _transfer_frames: int = field(default=0, init=False, repr=False)
    _of_pool: Correspondence | None = field(default=None, init=False, repr=False)
    _searched_at: float = field(default=0.0, init=False, repr=False)

    def reset(self) -> None:
        """Forget all frames."""
        self.running = RunningEstimate()
        self._transfer = None
        self._forget_pool()

    def find(self, target: Floats, backward: Floats) -> Correspondence:
        """Displacement of one frame, (n, W) each; the running estimate is not changed until `accept`."""
        if not self.temporal:
            return self._search(target, backward)
        expected = self.running.expected
        followed = None if expected is None else self._followed(target, backward, expected)
        if followed is not None and expected is not None and self._goes_on(followed, expected):
            return followed
        pooled = self._pooled(target, backward) if self.pool.frames else None
        if pooled is not None:
            return pooled
        searched = self._search(target, backward)
        # What a jump of the scanner leaves is found by searching, and fits at least as well as what was followed.
        usual = 0.0 if followed is None else AS_GOOD * followed.evidence.correlation
        if searched.confidence >= ACCEPTED_CONFIDENCE and searched.evidence.correlation >= usual:
            self.reset()
            return searched
        if followed is not None and followed.confidence >= searched.confidence:
            searched = followed
        if searched.confidence < ACCEPTED_CONFIDENCE and not self.pool.frames:
            self.pool.add(target, backward)
        return searched

    def accept(self, found: Correspondence) -> None:
        """Take a trusted result into the running estimate."""
        if not self.temporal or found is self._of_pool:
            return
        self.running.update(found.parts, found.evidence.correlation, found.tail_px)
        self._transfer_frames = 1 if found.transfer is not self._transfer else self._transfer_frames + 1
        self._transfer = found.transfer
        self._forget_pool()

    def _followed(self, target: Floats, backward: Floats, expected: Expectation) -> Correspondence:
        transfer = self._transfer if self._transfer_frames < TRANSFER_FRAMES else None
        return find_displacement(
            target,
            backward,
            reach_px=self.reach_px,
            centre_px=self.centre_px,
            expected=expected,
            transfer=transfer,
        )

    @staticmethod
    def _goes_on(found: Correspondence, expected: Expectation) -> bool:
        """Whether a frame that was followed is one of the same scanner that did not jump."""
        trusted = found.confidence >= ACCEPTED_CONFIDENCE
        fits = found.evidence.correlation >= LOST * expected.correlation
        return trusted and fits and expected.surprise(found.parts) < 1

    def _pooled(self, target: Floats, backward: Floats) -> Correspondence | None:
        """Of the average over recent frames and this one; None where that is not trusted."""
        goes_on = self.pool.add(target, backward)
        if not goes_on:
            self._of_pool, self._searched_at = None, 1.0
            return None
        assert self.pool.target is not None and self.pool.backward is not None
        before = self._of_pool
        if before is None and self.pool.frames < SEARCHED_AGAIN * self._searched_at:
            return None
        if before is not None:
            found = self._followed(self.pool.target, self.pool.backward, Expectation.to_begin_at(before.parts))
            before = found if found.confidence >= ACCEPTED_CONFIDENCE else None
        if before is None:
            self._searched_at = self.pool.frames
            found = self._search(self.pool.target, self.pool.backward)
            before = found if found.confidence >= ACCEPTED_CONFIDENCE else None
        self._of_pool = None if before is None else replace(before, frames=self.pool.frames)
        return self._of_pool

    def _forget_pool(self) -> None:
        self.pool, self._of_pool, self._searched_at = Pool(), None, 1.0

    def _search(self, target: Floats, backward: Floats) -> Correspondence:
        return find_displacement(target, backward, reach_px=self.reach_px, centre_px=self.centre_px)
