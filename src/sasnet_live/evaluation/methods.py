"""The methods that can be compared, by name: nothing, classical peers, and our own models."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry

from .case import raw_frame
from .protocol import Image, Method, Registered


class NoRegistration:
    """The backward lines as they are: what everything else must beat."""

    def register(self, forward: Image, backward: Image, geometry: ScanGeometry) -> Registered:
        """Return the input with no displacement."""
        return Registered(backward, np.zeros_like(backward))


class OurModel:
    """A model of this package through `Registrar`, the way a user runs it, one frame at a time.

    Parameters
    ----------
    model
        A name that `Registrar` knows.
    output
        "rendered" or "warped".
    device
        As for `Registrar`.

    Raises
    ------
    InputError
        If `Registrar` refuses one of these.
    """

    def __init__(self, model: str, output: str = "rendered", device: str = "auto") -> None:
        self._options: dict[str, Any] = {"model": model, "output": output, "device": device, "temporal": False}
        self._registrars: dict[ScanGeometry, Any] = {}
        self._shapes: set[tuple[ScanGeometry, tuple[int, ...]]] = set()
        self._registrar(ScanGeometry())  # so that a wrong device is found before the first frame

    def prepare(self, shape: tuple[int, int], geometry: ScanGeometry) -> None:
        """Load and warm up for raw frames of one shape and geometry, outside the time that is measured."""
        if (geometry, shape) not in self._shapes:
            self._registrar(geometry).warm_up(shape, np.float32)
            self._shapes.add((geometry, shape))

    def register(self, forward: Image, backward: Image, geometry: ScanGeometry) -> Registered:
        """Register without the running estimate: frames of a benchmark are strangers to each other."""
        registrar = self._registrar(geometry)
        registrar.reset()
        found = registrar.register(raw_frame(forward, backward, geometry))
        image = found.warped if self._options["output"] == "warped" or found.rendered is None else found.rendered
        return Registered(image, found.displacement_px, note="" if found.accepted else found.reason or "not accepted")

    def _registrar(self, geometry: ScanGeometry) -> Any:
        if geometry not in self._registrars:
            from sasnet_live.registrar import Registrar

            self._registrars[geometry] = Registrar(geometry=geometry, **self._options)
        return self._registrars[geometry]


def _peer(name: str) -> Callable[[], Method]:
    def make() -> Method:
        from . import peers

        method: Method = getattr(peers, name)()
        return method

    return make


CLASSICAL: dict[str, Callable[[], Method]] = {
    "none": NoRegistration,
    "line-phase": _peer("LinePhase"),
    "rigid": _peer("BestRigidShift"),
    "phase-correlation": _peer("PhaseCorrelation"),
    "sift-affine": _peer("SiftAffine"),
    "tvl1": _peer("TvL1Flow"),
    "ilk": _peer("IlkFlow"),
    "demons": _peer("Demons"),
    "bspline": _peer("BSpline"),
}

_GROUPS = ("all", "peers", "ours")
_WARPED = ":warped"


def method_names() -> tuple[str, ...]:
    """Every name that `make_methods` takes besides files, ours as ``model`` (rendered) and ``model:warped``."""
    return (*CLASSICAL, *_our_names())


def make_methods(names: Sequence[str], device: str = "auto") -> dict[str, Method]:
    """Methods by name, in the order given.

    Parameters
    ----------
    names
        "all"; "peers" (nothing and all classical ones); "ours"; single names as `method_names` lists them; or files
        of weights, which may end in ``:warped`` like the names.

    Raises
    ------
    InputError
        If a name is unknown.
    """
    wanted = dict.fromkeys(single for name in names for single in _group(name))
    methods: dict[str, Method] = {}
    for name in wanted:
        if name in CLASSICAL:
            methods[name] = CLASSICAL[name]()
            continue
        known = method_names()
        if _is_file(name):
            methods[name] = _of_weights(name, device)
            continue
        if name not in known:
            near = difflib.get_close_matches(name, (*known, *_GROUPS), 1)
            hint = (
                f"did you mean {near[0]}?" if near else f"expected {', '.join(_GROUPS)} or some of {', '.join(known)}"
            )
            raise InputError(f"unknown method {name!r}; {hint}")
        model, _, output = name.partition(":")
        methods[name] = OurModel(model, output or "rendered", device)
    if not methods:
        raise InputError(f"no method came; expected {', '.join(_GROUPS)} or some of {', '.join(method_names())}")
    return methods


def _group(name: str) -> tuple[str, ...]:
    if name not in _GROUPS:
        return (name,)
    return (*(CLASSICAL if name != "ours" else ()), *(_our_names() if name != "peers" else ()))


def _is_file(name: str) -> bool:
    return name.removesuffix(_WARPED).endswith(".safetensors")


def _of_weights(name: str, device: str) -> Method:
    """Weights as a user runs them, through the registrar; those of the published network, by themselves."""
    from sasnet_live.network.checkpoint import read_card

    path = Path(name.removesuffix(_WARPED))
    if read_card(path).config.correspondence == "explicit":
        return OurModel(str(path), "warped" if name.endswith(_WARPED) else "rendered", device)
    if name.endswith(_WARPED):
        raise InputError(f"{name}: an implicit network moves no lines, it paints them; leave out {_WARPED}")
    from .implicit import ImplicitModel

    return ImplicitModel(path, device)


def _our_names() -> tuple[str, ...]:
    from sasnet_live.network.names import model_names

    return tuple(f"{model}{output}" for model in model_names() for output in ("", ":warped"))
