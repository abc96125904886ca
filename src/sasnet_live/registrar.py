"""Raw frame in, registration out.

A frame goes through: check, split into passes, bring them to unit scale, find the displacement, move the backward
lines, render them in the appearance of the forward pass, judge moved and rendered lines (see `judgement`), merge. A
frame that cannot be registered, or that would be worse for it, is passed through and says why. Where moved lines are
right and rendered ones are not, the moved lines are delivered, and that is said.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from . import __version__
from .convert import as_dtype
from .correspondence import ACCEPTED_CONFIDENCE
from .correspondence.kept_state import restore, state_of
from .correspondence.tracker import Tracker
from .correspondence.uncertainty import measured_displacement
from .errors import InputError
from .frame import Pixels, Registration, RegistrationMetrics
from .geometry import ScanGeometry
from .intensity import IntensityScale, unusable
from .judgement import judged
from .metrics import compare
from .network.backend import Renderer, open_renderer
from .network.device import device_of
from .network.inputs import render_inputs
from .scan import forward_at_backward_lines, merge, split
from .settings import Output, Precision, RegistrarSettings

_SHAPE = "frame shape"


@dataclass(frozen=True)
class _Passes:
    """One frame in units of its own range, float32.

    Attributes
    ----------
    forward, backward
        (n_f, W) and (n_b, W).
    target
        (n_b, W) forward pass at the backward lines.
    """

    forward: Pixels
    backward: Pixels
    target: Pixels
    scale: IntensityScale

    @property
    def paired(self) -> int:
        """Backward lines that a forward line was recorded with."""
        return min(len(self.forward), len(self.backward))


class Registrar:
    """Registers the frames of one scanner, one after another, and learns its displacement as it goes.

    Parameters
    ----------
    model
        A name of `network.names.model_names` or the path of a weights file. "default" is "lite" on a CPU; on a GPU
        "full" where its weights ship, else "lite".
    geometry
        How lines are laid out in raw frames.
    device
        "auto", "cpu", "cuda", "cuda:1" and so on.
    output
        "rendered": backward lines re-rendered in the appearance of the forward pass. "warped": moved only, measured
        intensities kept. "both": `Registration.image` is rendered, `Registration.warped_image` warped.
    precision
        Of the network: "auto" is fp16 on a GPU, bf16 on a CPU that has instructions for it, else fp32.
    temporal
        Whether the running estimate of earlier frames helps with later ones.
    search_px
        Largest displacement looked for, px either side of ``geometry.line_offset``; None: a tenth of the line. A first
        frame that is not trusted, and fits better further away, is searched up to three times as far. At most half of a
        line, as ``geometry.line_offset``.

    Raises
    ------
    InputError
        For an unknown model (with the nearest name), device, output or precision.

    Notes
    -----
    Not for several threads at once: one frame depends on those before. Use one registrar a thread.
    """

    def __init__(
        self,
        model: str | Path = "default",
        *,
        geometry: ScanGeometry | None = None,
        device: str = "auto",
        output: Output = "rendered",
        precision: Precision = "auto",
        temporal: bool = True,
        search_px: float | None = None,
    ) -> None:
        RegistrarSettings(precision=precision, output=output, search_px=search_px)  # refuses what cannot be
        self.geometry = geometry or ScanGeometry()
        self.output: Output = output
        self.device = device_of(device)
        self._renderer: Renderer = open_renderer(model, self.device, precision)
        reach = None if search_px is None else max(1, round(search_px))
        self._tracker = Tracker(reach_px=reach, centre_px=self.geometry.line_offset, temporal=temporal)
        self._shape: tuple[int, ...] = ()

    def register(self, raw: Pixels) -> Registration:
        """Register one frame; keeps temporal state.

        Parameters
        ----------
        raw
            (H, W), integer or floating; not modified.

        Returns
        -------
        Registration
            ``accepted=False``, with the reason, where the frame was passed through. Accepted with a reason: moved, and
            not rendered, because the rendering would have been worse.

        Raises
        ------
        InputError
            If `raw` is not a real 2-D frame, too small to split into passes, or has lines too short for `search_px` or
            ``geometry.line_offset``.
        """
        began = time.perf_counter()
        self._check(raw)
        if raw.shape != self._shape:
            self.reset()
            self._shape = raw.shape
        passes = self._passes(raw)
        if isinstance(passes, str):
            return self._passed_through(raw, passes, began)
        return self._registered(raw, passes, began)

    def apply(self, raw: Pixels, registration: Registration) -> Registration:
        """Register another channel of the same scan with the displacement that was found on one channel.

        Parameters
        ----------
        raw
            (H, W) of the shape that `registration` came from.
        registration
            Of the channel that the displacement was found on.

        Returns
        -------
        Registration
            As of `register`. A channel in which a pass is constant is moved and not rendered, without figures.

        Raises
        ------
        InputError
            As `register`, or if the channel is of another shape.
        """
        began = time.perf_counter()
        self._check(raw)
        wanted = registration.displacement_px.shape
        shape = split(raw, self.geometry)[1].shape
        if shape != wanted:
            raise InputError(
                f"a channel with backward lines of shape {shape} came; expected {wanted}, as in the channel that was "
                "registered"
            )
        if not registration.accepted:
            return self._passed_through(raw, f"aligned channel: {registration.reason}", began)
        passes = self._passes(raw, empty_is_fine=True)
        if isinstance(passes, str):
            return self._passed_through(raw, passes, began)
        confidence = registration.metrics.confidence
        result = self._finished(raw, passes, registration.displacement_px.copy(), confidence, began, known=True)
        if not result.accepted:
            return result
        result = replace(result, measured=registration.measured, evidence_frames=registration.evidence_frames)
        return _with_line_confidence(result, registration.line_confidence)

    def reset(self) -> None:
        """Forget the temporal state, as before the first frame."""
        self._tracker.reset()

    def save_state(self) -> bytes:
        """The temporal state, which `load_state` takes up again: later frames are then the same to the bit."""
        shape = np.array(self._shape, np.int64)
        return save({_SHAPE: shape, **state_of(self._tracker)})

    def load_state(self, content: bytes) -> None:
        """Take up the temporal state that `save_state` gave, also that of another registrar with the same settings.

        Raises
        ------
        InputError
            If it is none, or of another version of this program; the state stays as it was.
        """
        try:
            state = load(content)
            shape = state.pop(_SHAPE)
        except (SafetensorError, KeyError, ValueError) as error:
            raise InputError("not the temporal state of a registrar") from error
        restore(self._tracker, state)
        self._shape = tuple(shape.tolist())

    def warm_up(self, shape: tuple[int, int], dtype: Any = np.uint16) -> None:
        """Register a synthetic frame of this shape, so that the first real one does not wait; state is not touched."""
        rng = np.random.default_rng(0)
        frame = rng.integers(0, 200, shape).astype(dtype)
        tracker, self._tracker = self._tracker, replace(self._tracker, temporal=False)
        kept, self._shape = self._shape, tuple(shape)
        try:
            for _ in range(2):
                self.register(frame)
                # Noise is not registered, and what comes after the displacement is to run as well: twice, because the
                # network is recorded at first and optimized next.
                passes = self._passes(frame)
                if not isinstance(passes, str):
                    still = np.zeros(passes.backward.shape, np.float32)
                    self._finished(frame, passes, still, 0.0, time.perf_counter())
        finally:
            self._tracker, self._shape = tracker, kept

    def describe(self) -> dict[str, str]:
        """What a record of processing should say of this registrar."""
        card = self._renderer.card
        return {
            "software": f"sasnet-live {__version__}",
            "model": self._renderer.name,
            "model_version": card.version if card else __version__,
            "weights_sha256": card.sha256 if card else "",
            "training_data": card.training_data if card else "",
            "device": str(self.device),
            "precision": self._renderer.precision,
            "output": self.output,
            "temporal": str(self._tracker.temporal).lower(),
            "search_px": "auto" if self._tracker.reach_px is None else str(self._tracker.reach_px),
            "geometry": str(self.geometry),
        }

    def _check(self, raw: Pixels) -> None:
        if not isinstance(raw, np.ndarray) or raw.ndim != 2:
            shape = getattr(raw, "shape", None)
            raise InputError(f"{type(raw).__name__} of shape {shape} came; expected one NumPy frame (H, W)")
        if raw.dtype.kind not in "uif" and raw.dtype != bool:
            raise InputError(f"a frame of dtype {raw.dtype} came; expected integers or real numbers")
        self.geometry.check_frame(raw.shape)
        px = split(raw, self.geometry)[0].shape[1]
        # Beyond half of a line, most of the two passes would not lie on each other.
        for name, value in (("search_px", self._tracker.reach_px or 0), ("line_offset", self.geometry.line_offset)):
            if abs(value) > px // 2:
                raise InputError(
                    f"{name} is {value}, but the lines are {px} px long; expected at most half of that, {px // 2} px"
                )

    def _passes(self, raw: Pixels, *, empty_is_fine: bool = False) -> _Passes | str:
        """The passes of a frame in units of its own range; or why it cannot be registered."""
        lines = split(raw, self.geometry)
        scale = IntensityScale.of(*lines)
        if isinstance(scale, str):
            return scale
        reason = unusable(*lines, empty_is_fine=empty_is_fine)
        if reason:
            return reason
        forward, backward = (scale.to_values(each) for each in lines)
        target = forward_at_backward_lines(forward, len(backward), self.geometry)
        return _Passes(forward, backward, target, scale)

    def _registered(self, raw: Pixels, passes: _Passes, began: float) -> Registration:
        try:
            found = self._tracker.find(passes.target, passes.backward)
        except np.linalg.LinAlgError:
            # What equations a frame leads to depends on what it shows: it is that frame that cannot be registered.
            return self._passed_through(raw, "no displacement can be computed from what it shows", began, passes)
        confidence = 0.0 if math.isnan(found.confidence) else found.confidence
        if confidence < ACCEPTED_CONFIDENCE:
            reason = f"low confidence {confidence:.2f}: {found.evidence.doubt}"
            return self._passed_through(raw, reason, began, passes, confidence)
        displacement = found.displacement_px.copy()
        # DESIGN: an unpaired last line is kept as it is.
        unpaired = len(passes.backward) > passes.paired
        if unpaired:
            displacement[-1] = 0
        # What several frames tell need not show in one of them.
        result = self._finished(raw, passes, displacement, confidence, began, known=found.frames > 1)
        if not result.accepted:
            return result
        result = replace(result, evidence_frames=found.frames)
        self._tracker.accept(found)
        of_lines = found.evidence.line_confidence.astype(np.float32)
        if unpaired:
            of_lines[-1] = 0
        measured = measured_displacement(found, unpaired=unpaired)
        return _with_line_confidence(replace(result, measured=measured), of_lines)

    def _finished(
        self,
        raw: Pixels,
        passes: _Passes,
        displacement: Pixels,
        confidence: float,
        began: float,
        *,
        known: bool = False,
    ) -> Registration:
        """Move, render, judge both beside the raw pass, merge what may be delivered."""
        inputs = render_inputs(passes.forward, passes.backward, displacement, self.geometry, target=passes.target)
        rendered = None if self.output == "warped" else self._renderer.render(inputs)
        verdict = judged(
            inputs,
            passes.backward,
            rendered,
            lines=passes.paired,
            pedestal=passes.scale.pedestal,
            known=known,
        )
        if not verdict.moved:
            return self._passed_through(raw, verdict.reason, began, passes, confidence)
        warped = self._lines(raw, passes, inputs.moved)
        wanted = warped
        if rendered is not None and verdict.rendered:
            wanted = self._lines(raw, passes, rendered)
        return Registration(
            image=self._merged(raw, wanted),
            rendered=None if rendered is None else wanted.astype(np.float32),
            warped=warped.astype(np.float32),
            displacement_px=displacement,
            metrics=RegistrationMetrics(
                ncc_before=verdict.ncc_before,
                ncc_after=verdict.ncc_after,
                ssim_before=verdict.ssim_before,
                ssim_after=verdict.ssim_after,
                displacement_px_mean=float(displacement.mean()),
                confidence=confidence,
                elapsed_ms=1e3 * (time.perf_counter() - began),
            ),
            accepted=True,
            reason=verdict.reason,
            warped_image=self._merged(raw, warped) if self.output == "both" else None,
        )

    def _lines(self, raw: Pixels, passes: _Passes, values: Pixels) -> Pixels:
        """(n_b, W) float64 px of registered lines; an unpaired last line is the raw one."""
        lines = passes.scale.to_px(values)
        if len(lines) > passes.paired:
            lines[-1] = split(raw, self.geometry)[1][-1]
        return lines

    def _passed_through(
        self, raw: Pixels, reason: str, began: float, passes: _Passes | None = None, confidence: float = 0.0
    ) -> Registration:
        """The frame as it came, with the figures of the raw pass where there are any."""
        forward, backward = split(raw, self.geometry)
        image = merge(forward, backward, self.geometry)
        before = (float("nan"), float("nan"))
        if passes is not None:
            compared = passes.target[: passes.paired], [passes.backward[: passes.paired]]
            similarity = compare(*compared, passes.scale.pedestal)
            before = (float(similarity.ncc[0]), float(similarity.ssim[0]))
        with np.errstate(over="ignore"):  # what float32 does not hold is infinite in `warped`, and right in `image`
            lines = np.array(backward, np.float32, order="C")
        elapsed = 1e3 * (time.perf_counter() - began)
        return Registration(
            image=image,
            rendered=None if self.output == "warped" else lines.copy(),
            warped=lines,
            displacement_px=np.zeros(lines.shape, np.float32),
            metrics=RegistrationMetrics(
                before[0], before[0], before[1], before[1], confidence=confidence, elapsed_ms=elapsed
            ),
            accepted=False,
            reason=reason,
            warped_image=image.copy() if self.output == "both" else None,
        )

    def _merged(self, raw: Pixels, lines: Pixels) -> Pixels:
        """Forward lines as they came and these backward lines, in the dtype of the raw frame."""
        forward, _ = split(raw, self.geometry)
        return merge(forward, as_dtype(lines, raw.dtype), self.geometry)


def _with_line_confidence(result: Registration, of_lines: Pixels | None) -> Registration:
    doubtful = 0 if of_lines is None else int((of_lines < ACCEPTED_CONFIDENCE).sum())
    return replace(result, line_confidence=of_lines, metrics=replace(result.metrics, doubtful_lines=doubtful))
