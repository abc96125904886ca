"""A network as one call: its operations recorded for a shape, and run without Python from then on.

A SAS-Net is some 300 operations of torch, and each asks for Python's lock. Beside another thread of Python, a window
say, every one of them may wait for the 5 ms after which Python changes threads. What is recorded runs whole, with the
lock released, and is faster by itself, too. Figures are in `docs/benchmarks.md`.
"""

from __future__ import annotations

import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn

from .sasnet import SASNet

KEPT_SHAPES = 4  # a recording is some 0.1 MB, weights are shared; live and reprocessed frames have one shape at a time

_recording = threading.Lock()  # torch keeps what it records in places that all threads share

Run = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


class Rendered(nn.Module):
    """The network with nothing but the rendered lines for its output."""

    def __init__(self, network: SASNet) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)

    def forward(self, source: Tensor, reference: Tensor, earlier: Tensor, later: Tensor) -> Tensor:
        """As `SASNet.forward`: (B, n, W)."""
        return self.network(source, reference, earlier, later).rendered  # type: ignore[no-any-return]


class RecordedNetwork:
    """Renders with a network whose operations are recorded when a shape first comes.

    Recording takes 0.1 to 0.2 s, and the next two calls are slower, too; `Registrar.warm_up` goes through that. Where
    torch cannot record (`torch.jit` is to go one day), the network runs as it is, with the same result.

    Parameters
    ----------
    network
        Its weights are taken out of differentiation, and must not change from then on.

    Attributes
    ----------
    plain
        The same without a recording, for tools that torch cannot follow into one (its `FlopCounterMode`).
    """

    def __init__(self, network: SASNet) -> None:
        self.plain = Rendered(network)
        self._recorded: OrderedDict[tuple[int, ...], Run] = OrderedDict()

    def __call__(self, *images: Tensor) -> Tensor:
        """Source, reference, earlier and later lines, (B, n, W) each -> (B, n, W) rendered; in inference mode only."""
        shape = tuple(images[0].shape)
        run = self._recorded.pop(shape, None) or self._record(images)
        self._recorded[shape] = run  # the one used last stands last
        while len(self._recorded) > KEPT_SHAPES:
            self._recorded.popitem(last=False)
        return run(*images)

    def _record(self, images: tuple[Tensor, ...]) -> Run:
        # torch warns of each Python number that becomes a constant: all are functions of the shape, as they may be.
        with _recording, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                recorded: Run = torch.jit.trace(self.plain, images, check_trace=False)  # type: ignore[no-untyped-call]
            except (RuntimeError, NotImplementedError, AttributeError):
                return self.plain
        return recorded
