"""Reading single images and pairs of passes from files, as float32 in their own units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sasnet_live.errors import InputError

Image = np.ndarray[Any, np.dtype[Any]]

TIFF_SUFFIXES = (".tif", ".tiff")
IMAGE_SUFFIXES = (*TIFF_SUFFIXES, ".png", ".jpg", ".jpeg", ".bmp")

# ITU-R BT.601, the weights of a colour image's brightness.
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


def image_files(folder: Path) -> list[Path]:
    """Images directly in a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())


def read_pages(path: Path) -> Image:
    """All pages of an image file, (pages, H, W) float32; colours become brightness.

    Raises
    ------
    InputError
        If the file cannot be read or does not hold images.
    """
    try:
        if path.suffix.lower() in TIFF_SUFFIXES:
            import tifffile

            with tifffile.TiffFile(path) as file:
                # Pages written one by one come as series of their own.
                alike = [series for series in file.series if series.shape == file.series[0].shape]
                pixels = np.stack([series.asarray() for series in alike])
                colour = file.series[0].axes.endswith("S")
        else:
            import imagecodecs

            pixels = np.asarray(imagecodecs.imread(path))
            colour = pixels.ndim == 3
    except Exception as error:  # each codec has exceptions of its own
        raise InputError(f"{path}: cannot be read as an image ({error}); expected TIFF, PNG, JPEG or BMP") from error
    if pixels.ndim < 2 or pixels.dtype.kind not in "fiub":
        raise InputError(f"{path}: holds {pixels.dtype} of shape {pixels.shape}; expected real images")
    if colour and pixels.shape[-1] in (3, 4):
        pixels = pixels[..., :3].astype(np.float32) @ _LUMINANCE
    elif colour:
        pixels = pixels[..., 0]
    return pixels.reshape(-1, *pixels.shape[-2:]).astype(np.float32)


def read_image(path: Path) -> Image:
    """The one image in a file, (H, W) float32.

    Raises
    ------
    InputError
        As `read_pages`, or if the file holds several images.
    """
    pages = read_pages(path)
    if len(pages) != 1:
        raise InputError(f"{path}: holds {len(pages)} pages; expected one image")
    found: Image = pages[0]
    return found


def read_pair(path: Path) -> tuple[Image, Image]:
    """Forward and backward pass from a TIFF of two pages, C=0 and C=1.

    Raises
    ------
    InputError
        As `read_pages`, or if there are not two pages.
    """
    pages = read_pages(path)
    if len(pages) != 2:
        raise InputError(f"{path}: holds {len(pages)} pages; expected two, the forward and the backward pass")
    return pages[0], pages[1]


def shrunk(image: Image, longest_px: int) -> tuple[Image, float]:
    """Image with its longer side at most `longest_px`, by area averaging, and how many px each new px stands for."""
    factor = -(-max(image.shape) // longest_px)
    if factor <= 1:
        return image, 1.0
    height, width = (size // factor * factor for size in image.shape)
    blocks = image[:height, :width].reshape(height // factor, factor, width // factor, factor)
    return blocks.mean((1, 3), dtype=np.float32), float(factor)
