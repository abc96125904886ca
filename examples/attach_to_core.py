"""Register the frames of your own Micro-Manager core as they are acquired.

Three lines attach registration to a core that you use as before: make a pipeline, make a source, start both. Here the
core has the simulated OR-PAM scanner; put your own configuration in its place.

    python examples/attach_to_core.py [SCOPE.cfg]
"""

from __future__ import annotations

import sys

import useq
from pymmcore_plus.experimental.unicore import UniMMCore

from sasnet_live import LivePipeline, Registrar
from sasnet_live.frame import Frame, Registration
from sasnet_live.live.channels import ChannelRegistrar
from sasnet_live.simulation.camera import config_path
from sasnet_live.sources.micromanager import MicroManagerSource


def show(frame: Frame, registration: Registration) -> None:
    """Called in the pipeline's thread with every frame."""
    metrics = registration.metrics
    print(f"frame {frame.sequence_number}: NCC {metrics.ncc_before:.3f} -> {metrics.ncc_after:.3f}")


def main() -> None:
    core = UniMMCore()
    core.loadSystemConfiguration(sys.argv[1] if len(sys.argv) > 1 else str(config_path()))

    process = ChannelRegistrar(Registrar)
    pipeline = LivePipeline(process, policy="all", prepare=process.prepare)
    pipeline.registered.connect(show)
    with pipeline:
        source = MicroManagerSource(core)
        source.start(pipeline)
        core.run_mda(useq.MDASequence(time_plan={"interval": 0, "loops": 10}), block=True)
        source.stop()
    for report in pipeline.reports:
        print(f"{report.processed} of {report.stream.frames} frames, {report.registered} registered")


if __name__ == "__main__":
    main()
