"""What people use instead: classical registration from well-kept libraries.

Every peer takes the forward pass resampled to the backward lines' positions along the slow axis as its reference,
which spares it the zig-zag. Each is run with settings from its own documentation, fixed for all data: intensities are
first stretched to [0, 1] between the 1st and 99th percentile where the algorithm asks for comparable brightness.
Moved along lines, images are resampled with `scan.move_lines`; moved in two dimensions, linearly, as the libraries do
unless told otherwise.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from sasnet_live.geometry import ScanGeometry
from sasnet_live.scan import forward_at_backward_lines, move_lines

from .optional import library
from .protocol import Registered, RegistrationFailed

Image = np.ndarray[Any, np.dtype[Any]]

# Rigid searches look this far, in fractions of the line: beyond, so little overlaps that chance wins.
_REACH = 0.125


class LinePhase:
    """One whole-px shift of all backward lines, from the phase correlation of lines summed over the frame.

    What two-photon pipelines do for bidirectional scans; lines are tapered here, without which the jump from the right
    end of a line to the left one pins the answer at 0 on half of our real scans.
    """

    def register(self, forward: Image, backward: Image, geometry: ScanGeometry) -> Registered:
        """See `Method`."""
        reference = _reference(forward, backward, geometry)
        width = backward.shape[-1]
        taper = np.hanning(width + 2)[1:-1]
        spectra = [np.fft.rfft((lines - lines.mean(1, keepdims=True)) * taper) for lines in (reference, backward)]
        cross = spectra[0] * np.conj(spectra[1])
        score = np.fft.irfft((cross / (np.abs(cross) + 1e-12 * np.abs(cross).max())).sum(0), width)
        whole = _whole_shifts(width)
        return _shifted(backward, float(whole[score[whole].argmax()]))


class BestRigidShift:
    """The one sub-pixel shift along the lines whose result is most like the reference, by NCC: the rigid optimum."""

    def register(self, forward: Image, backward: Image, geometry: ScanGeometry) -> Registered:
        """See `Method`."""
        from sasnet_live.metrics import ncc

        reference = _reference(forward, backward, geometry)
        whole = _whole_shifts(backward.shape[-1])
        scores = _ncc_of_whole_shifts(reference, backward, whole)
        if not np.isfinite(scores).any():
            raise RegistrationFailed("no shift has a correlation: a pass is constant or holds NaN")
        best = float(whole[int(np.nanargmax(scores))])
        for step in (1 / 4, 1 / 16, 1 / 64):
            candidates = best + step * np.arange(-4, 5)
            best = float(candidates[int(np.nanargmax([ncc(reference, _moved(backward, d)) for d in candidates]))])
        return _shifted(backward, best)


class PhaseCorrelation:
    """Rigid sub-pixel shift in two dimensions: `skimage.registration.phase_cross_correlation`, 1/50 px.

    Without whitening, as scikit-image advises for noisy images: on our scans it finds more.
    """

    def __init__(self) -> None:
        self._registration = library("skimage.registration")

    def register(self, forward: Image, backward: Image, geometry: ScanGeometry) -> Registered:
        """See `Method`."""
        reference = _reference(forward, backward, geometry)
        (down, right), _, _ = self._registration.phase_cross_correlation(
            _centred(reference), _centred(backward), upsample_factor=50, normalization=None
        )
        return _warped(backward, np.full(backward.shape, right), np.full(backward.shape, down))


class SiftAffine:
    """SIFT key points, cross-checked matches, affine transformation by RANSAC: scikit-image."""

    def __init__(self) -> None:
        self._feature, self._measure, self._transform = (
            library(f"skimage.{name}") for name in ("feature", "measure", "transform")
        )

    def register(self, forward: Image, backward: Image, geometry: ScanGeometry) -> Registered:
        """See `Method`."""
        feature, measure, transform = self._feature, self._measure, self._transform
        keypoints, descriptors = [], []
        for image in (_reference(forward, backward, geometry), backward):
            sift = feature.SIFT()
            try:
                sift.detect_and_extract(_stretched(image))
            except RuntimeError as error:  # skimage raises this where it finds no features
                raise RegistrationFailed("SIFT found no key points") from error
            keypoints.append(sift.keypoints[:, ::-1].astype(float))
            descriptors.append(sift.descriptors)
        matches = feature.match_descriptors(*descriptors, max_ratio=0.8, cross_check=True)
        if len(matches) < 4:
            raise RegistrationFailed(f"SIFT matched {len(matches)} key points; an affine transformation needs 4")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # skimage warns of each degenerate sample
            model, inliers = measure.ransac(
                (keypoints[0][matches[:, 0]], keypoints[1][matches[:, 1]]),
                transform.AffineTransform,
                min_samples=3,
                residual_threshold=2.0,
                max_trials=1000,
                rng=0,
            )
        if model is None or not np.isfinite(model.params).all() or inliers.sum() < 4:
            raise RegistrationFailed("RANSAC found no affine transformation that key points agree on")
        y, x = np.mgrid[: backward.shape[0], : backward.shape[1]].astype(float)
        source = model(np.stack([x.ravel(), y.ravel()], -1)).T.reshape(2, *backward.shape)
        return _warped(backward, x - source[0], y - source[1])


class TvL1Flow:
    """Dense optical flow with total variation and L1 data term: `skimage.registration.optical_flow_tvl1`."""

    def __init__(self) -> None:
        self._registration = library("skimage.registration")

    def register(self, forward: Image, backward: Image, geometry: ScanGeometry) -> Registered:
        """See `Method`."""
        reference = _reference(forward, backward, geometry)
        images = _stretched(reference), _stretched(backward)
        down, right = self._registration.optical_flow_tvl1(*images, dtype=np.float32)
        return _warped(backward, -right, -down)


class IlkFlow:
    """Dense optical flow, iterative Lucas-Kanade: `skimage.registration.optical_flow_ilk`."""

    def __init__(self) -> None:
        self._registration = library("skimage.registration")

    def register(self, forward: Image, backward: Image, geometry: ScanGeometry) -> Registered:
        """See `Method`."""
        reference = _reference(forward, backward, geometry)
        images = _stretched(reference), _stretched(backward)
        down, right = self._registration.optical_flow_ilk(*images, radius=10, dtype=np.float32)
        return _warped(backward, -right, -down)


class Demons:
    """Fast symmetric forces demons over three resolutions, on histogram-matched images: SimpleITK."""

    def __init__(self) -> None:
        self._sitk = library("SimpleITK")

    def register(self, forward: Image, backward: Image, geometry: ScanGeometry) -> Registered:
        """See `Method`."""
        sitk = self._sitk
        fixed, moving = _itk_pair(sitk, forward, backward, geometry)
        moving = sitk.HistogramMatching(moving, fixed, 256, 15, True)
        demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
        demons.SetNumberOfIterations(60)
        demons.SetSmoothDisplacementField(True)
        demons.SetStandardDeviations(2.0)
        field = None
        for shrink in (4, 2, 1):
            small = [_itk_shrunk(sitk, image, shrink) for image in (fixed, moving)]
            start: list[Any] = [] if field is None else [sitk.Resample(field, small[0])]
            field = demons.Execute(*small, *start)
        # ITK's field points from where a px is shown to where it is taken from.
        found = sitk.GetArrayFromImage(field)
        return _warped(backward, -found[..., 0], -found[..., 1])


class BSpline:
    """Free-form B-spline deformation, Mattes mutual information, L-BFGS-B over three resolutions: SimpleITK."""

    def __init__(self) -> None:
        self._sitk = library("SimpleITK")

    def register(self, forward: Image, backward: Image, geometry: ScanGeometry) -> Registered:
        """See `Method`."""
        sitk = self._sitk
        fixed, moving = _itk_pair(sitk, forward, backward, geometry)
        registration = sitk.ImageRegistrationMethod()
        registration.SetMetricAsMattesMutualInformation(32)
        registration.SetInterpolator(sitk.sitkLinear)
        registration.SetOptimizerAsLBFGSB(gradientConvergenceTolerance=1e-5, numberOfIterations=60)
        registration.SetShrinkFactorsPerLevel([4, 2, 1])
        registration.SetSmoothingSigmasPerLevel([2, 1, 0])
        start = sitk.BSplineTransformInitializer(fixed, [8, 4], 3)
        registration.SetInitialTransform(start, inPlace=True)
        try:
            transform = registration.Execute(fixed, moving)
        except RuntimeError as error:
            raise RegistrationFailed(f"SimpleITK: {str(error).strip().splitlines()[-1]}") from error
        field = sitk.TransformToDisplacementField(transform, sitk.sitkVectorFloat64, fixed.GetSize())
        found = sitk.GetArrayFromImage(field)
        return _warped(backward, -found[..., 0], -found[..., 1])


def _reference(forward: Image, backward: Image, geometry: ScanGeometry) -> Image:
    reference: Image = forward_at_backward_lines(forward, backward.shape[0], geometry)
    return reference


def _whole_shifts(width: int) -> Image:
    reach = max(1, int(_REACH * width))
    return np.arange(-reach, reach + 1)


def _ncc_of_whole_shifts(reference: Image, backward: Image, shifts: Image) -> Image:
    """NCC of the reference with the backward lines moved by each whole shift, end values going on; one FFT for all."""
    reach, width = int(np.abs(shifts).max()), backward.shape[-1]
    reference, backward = _centred(reference), _centred(backward)
    longer = np.pad(backward, ((0, 0), (reach, reach)), mode="edge")
    spectrum = (np.fft.rfft(longer) * np.conj(np.fft.rfft(reference, longer.shape[-1]))).sum(0)
    start = reach - shifts
    product = np.fft.irfft(spectrum, longer.shape[-1])[start]
    total, squares = (np.append(0.0, np.cumsum(part.sum(0))) for part in (longer, longer**2))
    total, squares = total[start + width] - total[start], squares[start + width] - squares[start]
    power = (squares - total**2 / backward.size) * (reference**2).sum()
    found: Image = product / np.sqrt(np.where(power > 0, power, np.nan))
    return found


def _centred(image: Image) -> Image:
    centred: Image = image - image.mean(dtype=np.float64)
    return centred / (np.abs(centred).max() or 1.0)  # spectra of STM currents in A or of counts fit no float32


def _stretched(image: Image) -> Image:
    low, high = np.percentile(image, (1, 99))
    if not high > low:
        raise RegistrationFailed("a pass is constant or holds NaN")
    stretched: Image = ((image - low) / (high - low)).clip(0, 1).astype(np.float32)
    return stretched


def _moved(backward: Image, displacement_px: float) -> Image:
    moved: Image = move_lines(backward, np.float64(displacement_px))  # type: ignore[arg-type]
    return moved


def _shifted(backward: Image, displacement_px: float) -> Registered:
    return Registered(_moved(backward, displacement_px), np.full(backward.shape, displacement_px))


def _warped(backward: Image, displacement_px: Image, slow_displacement_px: Image) -> Registered:
    from scipy.ndimage import map_coordinates

    y, x = np.mgrid[: backward.shape[0], : backward.shape[1]].astype(float)
    source = [y - slow_displacement_px, x - displacement_px]
    image = map_coordinates(backward, source, np.float32, order=1, mode="nearest")
    return Registered(image, displacement_px, slow_displacement_px)


def _itk_pair(sitk: Any, forward: Image, backward: Image, geometry: ScanGeometry) -> list[Any]:
    reference = _reference(forward, backward, geometry)
    return [sitk.GetImageFromArray(_stretched(image)) for image in (reference, backward)]


def _itk_shrunk(sitk: Any, image: Any, factor: int) -> Any:
    if factor == 1:
        return image
    factors = [max(1, min(factor, size // 16)) for size in image.GetSize()]
    return sitk.Shrink(sitk.SmoothingRecursiveGaussian(image, [0.5 * f for f in factors]), factors)
