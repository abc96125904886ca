"""The dock widget that registers what is recorded already."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from sasnet_live.errors import InputError
from sasnet_live.plugin.notify import advice, complain, tell, warn
from sasnet_live.plugin.panels import geometry_panel, model_panel
from sasnet_live.plugin.preferences import settings_store
from sasnet_live.plugin.widgets.dock import DockWidget
from sasnet_live.plugin.widgets.parts import Choice, PathField
from sasnet_live.plugin.widgets.status_line import StartButton, StatusLine
from sasnet_live.plugin.widgets.theme import palette_of
from sasnet_live.recordings.formats import name_patterns
from sasnet_live.session.settings import SettingsStore
from sasnet_live.session.trust import colour_of
from sasnet_live.session.verdict import is_result

from .reprocess_job import Outcome, ReprocessJob, reprocess_files, reprocess_layer

if TYPE_CHECKING:
    import napari

LOOK_EVERY_MS = 100
CLOSING_S = 30.0
MOST_DOUBTS = 3
"""Named in one notification; all are in the widget."""


class ReprocessWidget(DockWidget):
    """Apply the settings of the live widget to the selected image layer or to files.

    Parameters
    ----------
    napari_viewer
        Given by napari.
    store
        Where the settings are; by default those of the live widget.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer, *, store: SettingsStore | None = None) -> None:
        super().__init__(napari_viewer, "sasnet_live_reprocess")
        self._store = store or settings_store()
        self._job: ReprocessJob | None = None
        self._progress: Any = None
        self._template: dict[str, Any] = {}
        self._asked: Any = None  # the result that the user was asked about
        self._build()
        self._viewer.layers.selection.events.changed.connect(self._show_what)
        self._on_theme()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._tick)
        self._timer.start(5 * LOOK_EVERY_MS)
        self.ends_with(self._end_job())
        self._show_what()

    def _build(self) -> None:
        self.what = Choice(
            [("layer", "selected image layer"), ("files", "files on disk")],
            "Register",
            "What to register: the image layer that is selected in the layer list, or TIFF files.",
        )
        self.target = QLabel()
        self.target.setWordWrap(True)
        self.files = QListWidget()
        self.files.setToolTip("The files to register. Delete removes those selected.")
        self.files.setAccessibleName("Files to register")
        self.files.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.files.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.files.setMinimumHeight(80)
        self.add = QPushButton("Add files\N{HORIZONTAL ELLIPSIS}")
        self.add.setToolTip("Add TIFF files to the list.")
        self.remove = QPushButton("Remove")
        self.remove.setToolTip("Take the selected files off the list, or all if none is selected.")
        self.folder = PathField(
            "Folder to write to",
            lambda present: QFileDialog.getExistingDirectory(self, "Write to", present or str(Path.home())),
            placeholder="folder to write to",
            tip="Folder that registered files are written to; those of an earlier run are replaced.",
        )
        self.show_results = QCheckBox("show the results as layers")
        self.show_results.setToolTip("Open each registered file when it is done.")
        self.show_results.setChecked(True)
        self.settings_line = QLabel()
        self.settings_line.setWordWrap(True)
        self.settings_line.setToolTip("Chosen in the widget SASNet Live.")
        self.start_button = StartButton("Register", "Register; press again to cancel.")
        self.status = StatusLine()
        self.status.setVisible(False)
        self.state = QLabel()
        self.state.setWordWrap(True)

        self._file_part = QWidget()
        file_layout = QVBoxLayout(self._file_part)
        file_layout.setContentsMargins(0, 0, 0, 0)
        file_layout.setSpacing(4)
        buttons = QHBoxLayout()
        buttons.addWidget(self.add)
        buttons.addWidget(self.remove)
        file_layout.addWidget(self.files, 1)
        file_layout.addLayout(buttons)
        file_layout.addWidget(self.folder)
        file_layout.addWidget(self.show_results)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 6, 6)
        layout.setSpacing(6)
        layout.addWidget(self.what)
        layout.addWidget(self.target)
        layout.addWidget(self._file_part, 1)
        layout.addWidget(self.settings_line)
        layout.addWidget(self.start_button)
        layout.addWidget(self.status)
        layout.addWidget(self.state)
        layout.addStretch(0)
        self.setMinimumWidth(260)
        self.what.chosen.connect(self._show_what)
        self.add.clicked.connect(self._ask_files)
        self.remove.clicked.connect(self.remove_files)
        self.start_button.clicked.connect(self.toggle)

    # ----------------------------------------------------------------- actions

    def toggle(self) -> None:
        """Start, or cancel what runs."""
        if self._job is not None:
            self._job.cancel()
            self.start_button.say("Cancelling\N{HORIZONTAL ELLIPSIS}", running=True, enabled=False)
            return
        settings = self._store.load()
        try:
            if self.what.value == "layer":
                layer = self._selected_layer()
                if layer is None:
                    raise InputError("no image layer is selected; select one in the layer list")
                if layer.rgb or layer.multiscale:
                    raise InputError(f"{layer.name!r} is a colour or multiscale image; choose one with raw frames")
                if is_result(layer.metadata) and layer != self._asked:
                    self._ask(layer)
                    return
                self._template = _placing(layer)
                self._job = reprocess_layer(layer.name, layer.data, settings)
            else:
                if not self.folder.path:
                    raise InputError("no folder to write to; choose one")
                self._template = {}
                paths = [Path(name) for name in self.names()]
                self._job = reprocess_files(paths, Path(self.folder.path), settings, show=self.show_results.isChecked())
        except InputError as error:
            self._show_fault(error)
            return
        self._show_running(True)
        self._open_progress()
        self._timer.start(LOOK_EVERY_MS)

    def add_files(self, paths: list[str]) -> None:
        """Put files on the list, each once."""
        known = set(self.names())
        self.files.addItems([path for path in dict.fromkeys(paths) if path not in known])
        if paths and not self.folder.path:
            self.folder.set_path(str(Path(paths[0]).parent / "registered"))

    def names(self) -> list[str]:
        """The files on the list."""
        items = [self.files.item(row) for row in range(self.files.count())]
        return [item.text() for item in items if item is not None]

    def remove_files(self) -> None:
        """Take the selected files off the list, or all."""
        chosen = self.files.selectedItems()
        if not chosen:
            self.files.clear()
        for item in chosen:
            self.files.takeItem(self.files.row(item))

    def _ask_files(self) -> None:
        paths, _ = QFileDialog.getOpenFileNames(
            self, "Files to register", "", f"Recordings ({name_patterns()});;All files (*)"
        )
        self.add_files(paths)

    # -------------------------------------------------------------------- tick

    def _tick(self) -> None:
        if self._closed:
            return
        job = self._job
        if job is None:
            self._show_settings()
            return
        if self._progress is not None:
            if job.total and self._progress.total != job.total:
                self._progress.total = job.total
                self._progress.refresh()
            self._progress.update(job.done - self._progress.n)
        if job.total:
            self.state.setText(f"{job.done} of {job.total}   {job.last}")
        if job.ended:
            self._job = None
            self._close_progress()
            self._show_running(False)
            self._timer.start(5 * LOOK_EVERY_MS)
            try:
                outcome = job.result()
            except Exception as error:
                self.state.setText("")
                self._show_fault(error)
            else:
                self._show_outcome(outcome)

    def _show_outcome(self, outcome: Outcome) -> None:
        for name, (image, metadata) in outcome.images.items():
            placing = self._template if len(self._template.get("scale", ())) == image.ndim else {}
            self._viewer.add_image(image, name=name, metadata=metadata, **placing)
        self.state.setText(outcome.in_words())
        doubts = outcome.doubts
        if doubts:
            more = len(doubts) - MOST_DOUBTS
            warn("; ".join([*doubts[:MOST_DOUBTS], *([f"and {more} more"] if more > 0 else [])]))
        for problem in outcome.problems:
            complain(problem)
        if outcome.left_out:
            tell(outcome.left_out)
        if outcome.cancelled:
            tell("reprocessing was cancelled; what was done by then is kept.")

    def _ask(self, layer: Any) -> None:
        """napari selects each new layer, results too: pressed again by mistake, what is registered would be again."""
        self._asked = layer
        self.start_button.say("Register again", running=False)
        text = f"{layer.name!r} is a result already. Select the raw layer, or press again to register it all the same."
        self.status.say(text, colour_of("doubtful", palette_of(self._viewer).kind), in_full=True)
        self.status.setVisible(True)

    def _show_running(self, running: bool) -> None:
        self._asked = None
        self.start_button.say("Cancel" if running else "Register", running=running)
        for widget in (self.what, self._file_part):
            widget.setEnabled(not running)
        if running:
            self.status.setVisible(False)
            self.state.setText("Loading the model\N{HORIZONTAL ELLIPSIS}")

    def _open_progress(self) -> None:
        from napari.utils.progress import progress

        self._progress = progress(total=0, desc="SASNet Live")

    def _close_progress(self) -> None:
        bar, self._progress = self._progress, None
        if bar is not None:
            with suppress(Exception):
                bar.close()

    def _show_what(self, event: Any = None) -> None:
        if self._closed:
            return
        files = self.what.value == "files"
        self._file_part.setVisible(files)
        self.target.setVisible(not files)
        layer = self._selected_layer()
        if self._asked is not None and (files or layer != self._asked):
            self._asked = None
            self.start_button.say("Register", running=False)
            self.status.setVisible(False)
        if layer is None:
            self.target.setText("Select an image layer in the layer list.")
        else:
            shape = " \N{MULTIPLICATION SIGN} ".join(str(size) for size in layer.data.shape)
            self.target.setText(f"{layer.name}   {shape}")
        self._show_settings()

    def _show_settings(self) -> None:
        settings = self._store.load()
        scan = geometry_panel.summary(settings.registrar.geometry)
        model = model_panel.summary(settings, {})
        self.settings_line.setText(f"{settings.registrar.output}, {model}; {scan}. To change: widget SASNet Live.")

    def _selected_layer(self) -> Any:
        from napari.layers import Image

        layer = self._viewer.layers.selection.active
        return layer if isinstance(layer, Image) else None

    def _show_fault(self, error: Exception) -> None:
        """As a notification, and in the widget until the next try."""
        complain(error)
        self.status.say(advice(error), colour_of("passed through", palette_of(self._viewer).kind), in_full=True)
        self.status.setVisible(True)

    # --------------------------------------------------------------------- end

    def end(self) -> None:
        """Cancel what runs and wait for it."""
        self._timer.stop()
        with suppress(Exception):
            self._viewer.layers.selection.events.changed.disconnect(self._show_what)
        self._close_progress()
        job, self._job = self._job, None
        if job is not None:
            job.cancel()
            if not job.wait(CLOSING_S):
                warn("reprocessing did not end in time; its last file may be incomplete.")

    def _end_job(self) -> Any:
        """For when the widget is destroyed without being closed: must not touch the widget."""
        box = self.__dict__

        def end(*_: Any) -> None:
            job = box.get("_job")
            if job is not None:
                job.cancel()
                job.wait(CLOSING_S)

        return end

    def sizeHint(self) -> QSize:
        """When docked for the first time."""
        return QSize(330, 300)


def _placing(layer: Any) -> dict[str, Any]:
    return {
        "scale": tuple(layer.scale),
        "translate": tuple(layer.translate),
        "units": tuple(layer.units),
        "colormap": layer.colormap,
    }
