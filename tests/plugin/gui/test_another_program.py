"""The live widget with frames that another program sends."""

from __future__ import annotations

import socket
from typing import Any

import numpy as np
import pytest

from sasnet_live.plugin.live.live_widget import LiveWidget
from sasnet_live.session.settings import SettingsStore
from sasnet_live.sources.tcp_wire import encode

pytestmark = pytest.mark.gui

PATIENCE_MS = 40_000


def test_frames_are_shown_and_the_line_says_who_sends_them(
    qtbot: Any, make_napari_viewer: Any, store: SettingsStore, said: list[str]
) -> None:
    viewer = make_napari_viewer()
    widget = LiveWidget(viewer, store=store)
    viewer.window.add_dock_widget(widget, name="SASNet Live", area="right")
    source = widget.form.source
    assert not source.port.isVisibleTo(source)
    source.kind.choose("tcp")
    assert source.port.isVisibleTo(source)
    assert source.host.isVisibleTo(source)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        source.port.setValue(port)
        assert widget.settings.tcp_port == port
        widget.start()
        assert "another program has this port" in said[-1]
    qtbot.waitUntil(lambda: widget.engine.state == "idle", timeout=PATIENCE_MS)
    widget.start()
    qtbot.waitUntil(
        lambda: source.status.text() == f"waiting for frames: 127.0.0.1:{port}, no program is connected",
        timeout=PATIENCE_MS,
    )
    with socket.create_connection(("127.0.0.1", port)) as program:
        start = {"type": "start", "shape": [64, 96], "dtype": "uint16", "pixel_size_um": [2, 0.5], "source": "Rig 3"}
        program.sendall(encode(start))
        scene = np.random.default_rng(0).integers(0, 4000, (64, 96)).astype(np.uint16)
        program.sendall(encode({"type": "frame"}, scene))
        qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=PATIENCE_MS)
        assert viewer.layers[0].scale.tolist() == pytest.approx([2.0, 0.5])
        np.testing.assert_array_equal(viewer.layers[0].data, scene)
        qtbot.waitUntil(lambda: source.status.text().startswith("Rig 3 (127.0.0.1:"), timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: source.status.text().endswith("no program is connected"), timeout=PATIENCE_MS)
    assert widget.engine.state == "running"
    widget.shut_down()
