"""What the menu entries do."""

from __future__ import annotations

from typing import Any

PLUGIN = "sasnet-live"


def open_live(napari_viewer: Any = None) -> None:
    """Open the live widget."""
    _open("SASNet Live", napari_viewer)


def open_reprocess(napari_viewer: Any = None) -> None:
    """Open the widget that registers recordings."""
    _open("Reprocess", napari_viewer)


def _open(name: str, viewer: Any) -> None:
    import napari

    viewer = viewer or napari.current_viewer()
    if viewer is not None:
        viewer.window.add_plugin_dock_widget(PLUGIN, name)
