"""Which model a name stands for; known without loading torch."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import resources
from pathlib import Path

from sasnet_live.errors import InputError

DEFAULT = "default"
"""The model that fits the device, see `default_model`."""

WITHOUT_NETWORK = "correspondence"
"""Lines are moved only, and nothing is learned."""


def shipped_weights() -> dict[str, Path]:
    """Weights files that came with the package, by model name."""
    folder = Path(str(resources.files("sasnet_live.network"))) / "weights"
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


def model_names() -> tuple[str, ...]:
    """The models that `sasnet_live.Registrar` knows by name, each once: it takes "default" besides."""
    return (*shipped_weights(), WITHOUT_NETWORK)


def default_model(device_type: str) -> str:
    """The model that "default" stands for on a "cpu", "cuda" or other device."""
    shipped = shipped_weights()
    wanted = "full" if device_type == "cuda" else "lite"
    return wanted if wanted in shipped else next(iter(shipped), wanted)


def find_weights(model: str | Path, *, also: tuple[str, ...] = ()) -> Path:
    """The weights file that a model's name or a path stands for.

    Parameters
    ----------
    also
        Names that are models without weights, for the suggestion in the error.

    Raises
    ------
    InputError
        If the name is unknown: with the nearest name that exists.
    """
    shipped = shipped_weights()
    name = str(model)
    if name in shipped:
        return shipped[name]
    path = Path(model)
    if path.suffix or len(path.parts) > 1 or path.exists():
        return path
    names = (*shipped, *also)
    nearest = get_close_matches(name, names, 1, 0.4)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    raise InputError(f"no model {name!r}; {hint}Models: {', '.join(names)}, or a .safetensors file")
