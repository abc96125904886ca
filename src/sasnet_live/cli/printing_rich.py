"""The console behind `sasnet_live.cli.printing.console`, apart because rich takes its time to load."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from .printing import printable


class PlainTextConsole(Console):
    """Shows every string as the characters that it is made of: in lines, cells, titles and headings alike."""

    def render_str(self, text: str, **options: Any) -> Text:
        """All strings come through here."""
        return super().render_str(printable(text), **options)
