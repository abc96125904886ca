"""Colours that follow napari's theme."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Palette:
    """Colours as #rrggbb, and whether the background is "dark" or "light"."""

    kind: str
    background: str
    foreground: str
    text: str
    canvas_kind: str


def palette_of(viewer: Any) -> Palette:
    """The colours of a viewer's theme."""
    from napari.utils.theme import get_theme

    theme = get_theme(viewer.theme)
    canvas = theme.canvas.as_rgb_tuple(alpha=False)
    return Palette(
        kind="light" if theme.type == "light" else "dark",
        background=theme.background.as_hex("long")[:7],
        foreground=theme.foreground.as_hex("long")[:7],
        text=theme.text.as_hex("long")[:7],
        canvas_kind="light" if sum(canvas) > 3 * 128 else "dark",
    )


_START, _START_HOVER, _STOP, _STOP_HOVER = "#1f7a4d", "#259060", "#a33a3a", "#bb4747"


def style_sheet(palette: Palette) -> str:
    """What our widgets add to napari's style."""
    focus = "#4c9be8" if palette.kind == "dark" else "#0b57d0"
    return f"""
    QPushButton#start {{
        background-color: {_START}; color: white; font-weight: bold; font-size: 15px; padding: 8px 10px;
        border-radius: 4px; min-height: 22px;
    }}
    QPushButton#start:hover {{ background-color: {_START_HOVER}; }}
    QPushButton#start[running="true"] {{ background-color: {_STOP}; }}
    QPushButton#start[running="true"]:hover {{ background-color: {_STOP_HOVER}; }}
    QPushButton#start:disabled {{ background-color: {palette.foreground}; color: {palette.text}; }}
    QPushButton#record {{ padding: 8px 8px; min-height: 22px; border-radius: 4px; }}
    QPushButton#record:checked {{ background-color: {_STOP}; color: white; }}
    QToolButton#group_header {{ border: none; background: transparent; padding: 3px 2px; font-weight: bold; }}
    QToolButton#group_header:focus, QPushButton#start:focus, QPushButton#record:focus, QToolButton:focus {{
        border: 1px solid {focus};
    }}
    QLabel#group_value {{ padding: 0px; margin: 0px; }}
    QScrollArea, QScrollArea > QWidget > QWidget {{ background: transparent; border: none; }}
    """
