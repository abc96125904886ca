"""What the user is told of recordings while they go on and when they are complete."""

from __future__ import annotations

from sasnet_live.plugin.notify import advice, complain, warn
from sasnet_live.session.engine import LiveEngine
from sasnet_live.sinks.protocol import SinkReport

from .live_form import LiveForm
from .live_state import written_in_words

MOST_FILES = 8
"""Told of at the end: of two recordings, one right after the other."""


class RecordingWatch:
    """Looks after the recorder for the window.

    Parameters
    ----------
    engine
        Whose recordings.
    form
        Where it is shown.
    """

    def __init__(self, engine: LiveEngine, form: LiveForm) -> None:
        self._engine, self._form = engine, form
        self._errors = 0
        self._was_idle = True
        self._missed_told = False
        self._files: list[SinkReport] = []

    def begin(self) -> None:
        """A recording begins."""
        self._errors = len(self._engine.recorder.errors)
        self._missed_told = False
        if self._was_idle:  # else the files of the last recording are not complete yet
            self._files.clear()
        self._form.recording.show_last("")

    def cut_short(self) -> None:
        """The user does not wait for the registration of the last frames."""
        if not self._engine.recorder.idle:
            warn(
                "the last frames are not registered, but written as acquired; reprocess the recording to register them."
            )

    def look(self) -> None:
        """Tell what is new; a few times a second."""
        recorder, form = self._engine.recorder, self._form
        if len(recorder.errors) > self._errors:
            self._errors = len(recorder.errors)
            complain(f"{advice(recorder.errors[-1])} Registration goes on; the other files are written.")
        if recorder.missed and not self._missed_told:
            self._missed_told = True
            warn(
                "frames come faster than they are registered; those that are dropped are not in the recording. To keep "
                "every frame, choose Frames: automatic under Output and layers."
            )
        while recorder.reports:
            self._files.append(recorder.reports.popleft())
        idle = recorder.idle
        if idle and not self._was_idle:
            form.recording.show_last("\n".join(self._last_in_words()))
        self._was_idle = idle
        form.record_button.setChecked(recorder.recording)
        form.record_button.setText("End recording" if recorder.recording else "Record")
        form.record_button.setEnabled(self._engine.state != "stopping")

    def _last_in_words(self) -> list[str]:
        recorder = self._engine.recorder
        lines = [written_in_words(report) for report in self._files[-MOST_FILES:]]
        if recorder.missed:
            lines.append(f"{recorder.missed} frames came too fast and were dropped")
        if recorder.unregistered:
            lines.append(f"{recorder.unregistered} of {recorder.frames} frames are as acquired, not registered")
        return lines
