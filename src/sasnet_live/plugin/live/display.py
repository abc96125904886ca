"""What of the results reaches the window, and when: the one place where layers, figures and chart are touched."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sasnet_live.plugin.widgets.chart import Chart
from sasnet_live.plugin.widgets.readout import Readout
from sasnet_live.plugin.widgets.theme import Palette
from sasnet_live.session.engine import LiveEngine
from sasnet_live.session.history import History
from sasnet_live.session.pictures import Scan
from sasnet_live.session.results import Result
from sasnet_live.session.trust import Figures, figures_of, trust_of

from .layers import LiveLayers, is_ours
from .other_layers import OtherLayers
from .overlay import FiguresOverlay
from .pace import Pace

FIGURES_EVERY_S = 0.25
"""Nobody reads figures that change more often, and text on the canvas takes longer to draw than an image."""
CHART_EVERY_S = 0.5
BESIDE_OTHERS = 2
"""How many times as long figures and chart wait while another preview is live."""


class LiveDisplay:
    """Shows the newest result.

    Layers follow as often as drawing leaves time for the user and for others that draw, figures at most four times a
    second or at once when the trust changes, the chart at most twice. What changes in one call is painted together:
    with OpenGL in software, to put the window on the screen takes longer than to paint what changed in it. For the same
    reason, where another preview is live in the viewer, what is due is drawn together with it.

    Parameters
    ----------
    viewer
        Whose layers and canvas.
    engine
        Where results come from.
    readout, chart, history
        Of the widget.
    interval_s
        Shortest time between updates of the layers.
    font_size
        Of the figures on the canvas, points.
    removed
        Called with the kind of a layer that the user deleted.
    failed
        Called with what napari raised when a layer could not be shown.

    Attributes
    ----------
    others
        What else is live in the viewer.
    scan
        Shown last; None before the first.
    figures
        Of the newest result.
    figures_s
        When they were shown, `time.monotonic`; 0 where the next ones are due at once.
    with_overlay
        Whether figures are written on the canvas.
    """

    def __init__(
        self,
        viewer: Any,
        engine: LiveEngine,
        readout: Readout,
        chart: Chart,
        history: History,
        *,
        interval_s: float,
        font_size: int,
        removed: Callable[[str], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self.layers = LiveLayers(viewer, removed)
        self.overlay = FiguresOverlay(viewer, font_size)
        self.others = OtherLayers(viewer, is_ours, self._with_others)
        self.scan: Scan | None = None
        self.figures = Figures()
        self.with_overlay = True
        self._engine, self._readout, self._chart, self._history = engine, readout, chart, history
        self._failed = failed
        self._pace = Pace(interval_s)
        self._canvas_is_seen = True
        self._canvas_kind = "dark"
        self.figures_s = self._chart_s = 0.0
        self._charted = 0
        self._figured: Scan | None = None  # whose figures are shown
        self._result: Result | None = None
        self._newest_is_said = False  # on the canvas, which it is even without figures

    def begin(self) -> None:
        """A session starts."""
        self.layers.begin()
        self._history.clear()
        self._charted = 0

    def look(self, interval_s: float, *, canvas_is_seen: bool = True) -> None:
        """Fetch what is new and show what is due; called by the timer of the widget.

        Parameters
        ----------
        interval_s
            That the timer was set to.
        canvas_is_seen
            False where layers need not be updated, as in a minimized window.
        """
        now = time.monotonic()
        self._pace.tick(now, interval_s)
        self.layers.settle()
        self._history.add(self._engine.take_samples())
        self._canvas_is_seen = canvas_is_seen
        live = self.others.live
        self._engine.courtesy.wanted = live and canvas_is_seen
        if self.scan is None or not live:
            self._draw(now)

    def _with_others(self) -> None:
        """Another preview has new pixels: what is due is drawn now, so that the canvas is painted once for both."""
        if self.scan is not None:
            try:
                self.layers.make_room(self.others.newest)
                self._draw(time.monotonic())
            except Exception as error:
                self._failed(error)

    def _draw(self, now: float) -> None:
        if not self._pace.may_draw(now):
            return
        wait = BESIDE_OTHERS if self.others.live else 1
        result = self._engine.take_latest()
        if result is not None:
            self._show(result)
        scan = self.scan
        is_new = scan is not None and scan is not self._figured
        figures_are_due = is_new and now - self.figures_s >= wait * FIGURES_EVERY_S
        chart_is_due = self._history.added != self._charted and now - self._chart_s >= wait * CHART_EVERY_S
        if scan is not None and figures_are_due:
            self._figured, self.figures_s = scan, now
            self._show_figures(scan)
        if chart_is_due:
            self._charted, self._chart_s = self._history.added, now
            self._chart.refresh()
        if result is not None or figures_are_due or chart_is_due:
            self._pace.drawn(time.monotonic() - now)

    def set_live(self, live: bool) -> None:
        """Whether the figures are of frames that come, or of the last one of a session that has ended."""
        if live != self.figures.live:
            self._write(replace(self.figures, live=live))

    def follow_theme(self, palette: Palette) -> None:
        """Colours for a light or dark window and canvas."""
        self._canvas_kind = palette.canvas_kind
        self._readout.set_background(palette.kind)
        self._chart.set_colours(palette.background, palette.text)

    def _show(self, result: Result) -> None:
        self.scan = result.scan
        said = "" if self._result is None else self._result.newest
        if result.newest or said:
            self._figured = None  # how far behind it is changes, though the registered frame does not
        if result.newest != said:
            self.figures_s = 0.0  # at once
        self._result = result
        if self._canvas_is_seen:
            try:
                self.layers.update(result.scan, result.pictures)
            except Exception as error:
                self._failed(error)
            self._engine.wanted_pictures = self.layers.seen
        registration = result.scan.registration
        if trust_of(registration.accepted, registration.metrics.confidence) != self.figures.trust:
            self.figures_s = 0.0  # at once

    def _show_figures(self, scan: Scan) -> None:
        registration = scan.registration
        status = self._engine.status()
        figures = figures_of(registration.accepted, registration.reason, registration.metrics, status)
        if self._result is not None:
            figures = replace(figures, newest=self._result.newest, behind_s=self._result.behind_s)
        self._write(figures)

    def _write(self, figures: Figures) -> None:
        self.figures = figures
        self._readout.show_figures(figures)
        if self.with_overlay or figures.newest:
            self.overlay.update(figures, background=self._canvas_kind, with_figures=self.with_overlay)
        elif self._newest_is_said:
            self.overlay.hide()
        self._newest_is_said = bool(figures.newest)
