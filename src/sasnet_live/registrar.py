"""Raw frame in, registration out: the one place where NumPy meets torch.

A frame goes through: check, split into passes, find the displacement, move the backward lines, render them in the
appearance of the forward pass, compare before with after, merge. A frame that cannot be registered, or that would
be worse for it, is passed through and says why.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from . import __version__
from .correspondence import ACCEPTED_CONFIDENCE, Correspondence
from .correspondence.tracker import Tracker
from .errors import InputError
from .frame import Pixels, Registration, RegistrationMetrics
from .metrics import compare, ncc
from .network.backend import Renderer, open_renderer
from .network.checkpoint import shipped_weights
from .network.gain import match_gain
from .network.inputs import RenderInputs, render_inputs
from .scan import ScanGeometry, forward_at_backward_lines, merge, split

Output = Literal["rendered", "warped", "both"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]

WITHOUT_NETWORK = "correspondence"
SATURATED_SHARE = 0.3  # of px at the top of the range, above which a frame is not trusted
SHORTEST_LINE_PX, FEWEST_LINES = 32, 8  # of the backward pass
WORSE_NCC = 0.002  # a registration that lowers the NCC by more than this is not used


def model_names() -> tuple[str, ...]:
    """Names that `Registrar` takes: the weights that ship, "correspondence" (no network), and "default"."""
    return (*shipped_weights(), WITHOUT_NETWORK, "default")


@dataclass(frozen=True)
class _Passes:
    """One frame on the device, (1, n, W) float32 each."""

    forward: Tensor
    backward: Tensor
    target: Tensor


class Registrar:
    """Registers the frames of one scanner, one after another, and learns its displacement as it goes.

    Parameters
    ----------
    model
        A name of `model_names` or the path of a weights file. "default" is "lite" on a CPU; on a GPU "full" where its
        weights ship, else "lite".
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
        for name, value, allowed in (("output", output, Output), ("precision", precision, Precision)):
            if value not in get_args(allowed):
                raise InputError(f"{name} is {value!r}; expected one of {', '.join(get_args(allowed))}")
        if search_px is not None and not 1 <= search_px < math.inf:
            raise InputError(f"search_px is {search_px}; expected 1 px or more, and at most half of a line")
        self.geometry = geometry or ScanGeometry()
        self.output: Output = output
        self.device = _device(device)
        self._renderer: Renderer = open_renderer(model, self.device, precision, without_network=WITHOUT_NETWORK)
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
            ``accepted=False``, with the reason, where the frame was passed through.

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
        forward, backward = (np.ascontiguousarray(lines, np.float32) for lines in split(raw, self.geometry))
        reason = _unusable(raw, forward, backward)
        if reason:
            return self._passed_through(raw, backward, reason, began)
        with torch.inference_mode():
            return self._registered(raw, forward, backward, began)

    def apply(self, raw: Pixels, registration: Registration) -> Registration:
        """Register another channel of the same scan with the displacement that was found on one channel.

        Parameters
        ----------
        raw
            (H, W) of the shape that `registration` came from.
        registration
            Of the channel that the displacement was found on.
        """
        began = time.perf_counter()
        self._check(raw)
        forward, backward = (np.ascontiguousarray(lines, np.float32) for lines in split(raw, self.geometry))
        if backward.shape != registration.displacement_px.shape:
            raise InputError(
                f"a channel with backward lines of shape {backward.shape} came; expected "
                f"{registration.displacement_px.shape}, as in the channel that was registered"
            )
        if not registration.accepted:
            return self._passed_through(raw, backward, f"aligned channel: {registration.reason}", began)
        reason = _unusable(raw, forward, backward, empty_is_fine=True)
        if reason:
            return self._passed_through(raw, backward, reason, began)
        with torch.inference_mode():
            passes = self._passes(forward, backward)
            displacement = torch.from_numpy(registration.displacement_px)[None].to(self.device)
            inputs = self._inputs(passes, displacement)
            confidence = registration.metrics.confidence
            result = self._finished(raw, backward, passes, displacement, inputs, confidence, began)
        return _with_line_confidence(result, registration.line_confidence) if result.accepted else result

    def reset(self) -> None:
        """Forget the temporal state, as before the first frame."""
        self._tracker.reset()

    def warm_up(self, shape: tuple[int, int], dtype: Any = np.uint16) -> None:
        """Register a synthetic frame of this shape, so that the first real one does not wait; state is not touched."""
        rng = np.random.default_rng(0)
        frame = rng.integers(0, 200, shape).astype(dtype)
        tracker, self._tracker = self._tracker, replace(self._tracker, temporal=False)
        kept, self._shape = self._shape, tuple(shape)
        try:
            for _ in range(2):
                self.register(frame)
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
        height, width = self.geometry.frame_shape(raw.shape)
        lines, px = (height, width) if self.geometry.line_axis == "rows" else (width, height)
        if lines // 2 < FEWEST_LINES or px < SHORTEST_LINE_PX:
            dropped = sum(self.geometry.crop)
            without = f" without the crop {self.geometry.crop}" if dropped else ""
            raise InputError(
                f"a frame of {lines} lines of {px + dropped} px came; expected at least {2 * FEWEST_LINES} lines of "
                f"{SHORTEST_LINE_PX} px{without}: too little to register"
            )
        # Beyond half of a line, most of the two passes would not lie on each other.
        for name, value in (("search_px", self._tracker.reach_px or 0), ("line_offset", self.geometry.line_offset)):
            if abs(value) > px // 2:
                raise InputError(
                    f"{name} is {value}, but the lines are {px} px long; expected at most half of that, {px // 2} px"
                )

    def _passes(self, forward: Pixels, backward: Pixels) -> _Passes:
        f, b = (torch.from_numpy(lines)[None].to(self.device) for lines in (forward, backward))
        return _Passes(f, b, forward_at_backward_lines(f, b.shape[1], self.geometry))

    def _inputs(self, passes: _Passes, displacement: Tensor) -> RenderInputs:
        return render_inputs(passes.forward, passes.backward, displacement, self.geometry, target=passes.target)

    def _registered(self, raw: Pixels, forward: Pixels, backward: Pixels, began: float) -> Registration:
        passes = self._passes(forward, backward)
        found: Correspondence = self._tracker.find(passes.target, passes.backward)
        confidence = float(found.confidence)
        if confidence < ACCEPTED_CONFIDENCE:
            reason = f"low confidence {confidence:.2f}: {found.doubt}"
            return self._passed_through(raw, backward, reason, began, passes, confidence)
        displacement = found.displacement_px
        # DESIGN: an unpaired last line is kept as it is.
        if backward.shape[0] > forward.shape[0]:
            displacement = displacement.clone()
            displacement[:, -1] = 0
        inputs = self._inputs(passes, displacement)
        result = self._finished(raw, backward, passes, displacement, inputs, confidence, began)
        if not result.accepted:
            return result
        self._tracker.accept(found)
        of_lines = found.line_confidence[0].float().cpu().numpy()
        if backward.shape[0] > forward.shape[0]:
            of_lines[-1] = 0
        return _with_line_confidence(result, of_lines)

    def _finished(
        self,
        raw: Pixels,
        backward: Pixels,
        passes: _Passes,
        displacement: Tensor,
        inputs: RenderInputs,
        confidence: float,
        began: float,
    ) -> Registration:
        """Render, compare with the raw pass, merge."""
        rendered = None if self.output == "warped" else self._renderer.render(inputs)
        after = inputs.moved if rendered is None else rendered
        paired = slice(0, min(passes.forward.shape[1], passes.backward.shape[1]))
        target = passes.target[:, paired]
        similarity = compare(target, [passes.backward[:, paired], after[:, paired]])
        (ncc_before, ncc_after), (ssim_before, ssim_after) = (rows[:, 0].tolist() for rows in similarity)
        # Both outputs must be no worse: the rendered lines say nothing against lines moved to where they do not belong.
        lowest = ncc_after if rendered is None else min(ncc_after, float(ncc(target, inputs.moved[:, paired])))
        metrics = RegistrationMetrics(
            ncc_before=ncc_before,
            ncc_after=ncc_after,
            ssim_before=ssim_before,
            ssim_after=ssim_after,
            displacement_px_mean=float(displacement.mean()),
            confidence=confidence,
        )
        if lowest < ncc_before - WORSE_NCC and _worse_at_equal_gain(passes, inputs, paired):
            reason = f"would be worse: NCC {ncc_before:.3f} -> {lowest:.3f}"
            return self._passed_through(raw, backward, reason, began, passes, confidence)
        warped_lines = inputs.moved[0].cpu().numpy()
        rendered_lines = None if rendered is None else rendered[0].float().cpu().numpy()
        if passes.backward.shape[1] > passes.forward.shape[1]:
            for lines in (warped_lines, rendered_lines):
                if lines is not None:
                    lines[-1] = backward[-1]
        image = self._merged(raw, warped_lines if rendered_lines is None else rendered_lines)
        return Registration(
            image=image,
            rendered=rendered_lines,
            warped=warped_lines,
            displacement_px=displacement[0].cpu().numpy(),
            metrics=replace(metrics, elapsed_ms=1e3 * (time.perf_counter() - began)),
            accepted=True,
            warped_image=self._merged(raw, warped_lines) if self.output == "both" else None,
        )

    def _passed_through(
        self,
        raw: Pixels,
        backward: Pixels,
        reason: str,
        began: float,
        passes: _Passes | None = None,
        confidence: float = 0.0,
    ) -> Registration:
        """The frame as it came, with the figures of the raw pass where there are any."""
        forward, lines = split(raw, self.geometry)
        image = merge(forward, lines, self.geometry)
        before = (float("nan"), float("nan"))
        if passes is not None:
            paired = slice(0, min(passes.forward.shape[1], passes.backward.shape[1]))
            similarity = compare(passes.target[:, paired], [passes.backward[:, paired]])
            before = (float(similarity.ncc), float(similarity.ssim))
        elapsed = 1e3 * (time.perf_counter() - began)
        return Registration(
            image=image,
            rendered=None if self.output == "warped" else backward.copy(),
            warped=backward,
            displacement_px=np.zeros(backward.shape, np.float32),
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
        if raw.dtype.kind in "ui":
            limits = np.iinfo(raw.dtype)
            # Beyond 2^24 float32 steps over whole numbers, and its nearest to the upper limit may lie above it.
            lines = np.rint(lines.astype(np.float64)).clip(limits.min, limits.max)
        elif raw.dtype == bool:
            lines = lines > 0.5
        return merge(forward, lines.astype(raw.dtype), self.geometry)


def _with_line_confidence(result: Registration, of_lines: Pixels | None) -> Registration:
    doubtful = 0 if of_lines is None else int((of_lines < ACCEPTED_CONFIDENCE).sum())
    return replace(result, line_confidence=of_lines, metrics=replace(result.metrics, doubtful_lines=doubtful))


def _worse_at_equal_gain(passes: _Passes, inputs: RenderInputs, paired: slice) -> bool:
    """Whether moving makes the passes less alike once their gain along the line is matched, before as after.

    Where the passes differ much in brightness along the line, plain NCC tells more of that than of the displacement.
    """
    images = (match_gain(passes.target, passes.backward), inputs.matched)
    before, after = (float(ncc(passes.target[:, paired], image[:, paired])) for image in images)
    return after < before - WORSE_NCC


def _unusable(raw: Pixels, forward: Pixels, backward: Pixels, *, empty_is_fine: bool = False) -> str:
    """Why a frame cannot be registered; empty if it can."""
    if raw.dtype.kind == "f" and not np.isfinite(raw).all():
        return "the frame holds NaN or infinite values"
    for name, lines in (("forward", forward), ("backward", backward)):
        low, high = float(lines.min()), float(lines.max())
        if low == high and not empty_is_fine:
            return f"the {name} pass is constant ({low:g})"
        if not np.isfinite(high - low):
            return f"the {name} pass has values beyond what float32 holds"
        top = np.iinfo(raw.dtype).max if raw.dtype.kind in "ui" else high
        saturated = float((lines >= min(top, high)).mean())
        if low < high and saturated > SATURATED_SHARE:
            return f"{saturated:.0%} of the {name} pass is saturated at {high:g}"
    return ""


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"device is {name!r}; expected auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {name!r} was asked for, but torch finds no CUDA device; use --device cpu")
    if device.type not in ("cpu", "cuda", "mps"):
        raise InputError(f"device is {name!r}; expected auto, cpu, cuda or cuda:N")
    return device
