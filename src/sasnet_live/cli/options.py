"""From settings to options of the command line: a command takes settings, the shell an option for each field."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import wraps
from typing import Annotated, Any, get_args, get_origin

import typer

from sasnet_live.parameters import Parameter, hints_of, parameter_at, parameter_of
from sasnet_live.recordings.settings import ReadSettings, read_shape
from sasnet_live.settings import RegistrarSettings


@dataclass(frozen=True)
class Spelling:
    """How an option is written, where that does not follow from its field.

    Attributes
    ----------
    flags
        Names of the option; by default the field's with dashes.
    metavar
        What stands for the value in the help; by default the unit, or the type.
    kind
        Type of the option, where the field has one that the shell cannot give.
    read
        Makes the field's value from the option's; options of another kind show no default.
    is_argument
        Whether it stands without a name.
    help
        In place of the field's.
    """

    flags: tuple[str, ...] = ()
    metavar: str | None = None
    kind: Any = None
    read: Callable[[Any], Any] | None = None
    is_argument: bool = False
    help: str = ""


@dataclass(frozen=True)
class Group:
    """Beside the type of a parameter that takes settings: which fields are no options, and how others are written."""

    without: tuple[str, ...] = ()
    spelled: Mapping[str, Spelling] = field(default_factory=dict)


_FRAMES = "NAME.ome.tiff|NAME.ome.zarr"
_SPELLED = {
    "align_on": Spelling(metavar="CHANNEL", kind=str),
    "axes": Spelling(metavar="TYX"),
    "band_mhz": Spelling(("--band",), metavar="LOW HIGH"),
    "backward_mirrored": Spelling(("--mirrored/--not-mirrored",)),
    "config": Spelling(metavar="SCOPE.cfg"),
    "crop": Spelling(metavar="START END"),
    "dataset": Spelling(metavar="NAME"),
    "depth_axis": Spelling(metavar="first|last|N"),
    "device": Spelling(metavar="auto|cpu|cuda"),
    "displacement": Spelling(metavar="FILE.npz|.h5|.tif"),
    "dtype": Spelling(metavar="TYPE"),
    "export_shifts": Spelling(metavar="FILE.npy"),
    "frames": Spelling(metavar="N"),
    "gate": Spelling(metavar="START END"),
    "geometry_from": Spelling(("--geometry",)),
    "largest_mib": Spelling(("--largest-frame",)),
    "mda": Spelling(metavar="SEQUENCE.yaml"),
    "metrics": Spelling(metavar="FILE.csv|.parquet"),
    "model": Spelling(metavar="NAME|FILE"),
    "out": Spelling(("--out", "-o"), _FRAMES),
    "passes": Spelling(metavar="FORWARD BACKWARD"),
    "raw": Spelling(metavar=_FRAMES),
    "per_px": Spelling(("--per-px",)),
    "report": Spelling(metavar="FILE.html"),
    "raw_dtype": Spelling(metavar="TYPE"),
    "raw_offset": Spelling(metavar="BYTES"),
    "raw_shape": Spelling(metavar="T,H,W", kind=str, read=read_shape),
    "temporal": Spelling(("--temporal/--each-frame-alone",)),
}
"""Of fields that are written alike in every command, by name."""

# Of commands that need no other settings.
Model = Annotated[str, typer.Option(metavar="NAME|FILE", help=parameter_at(RegistrarSettings, "model").help)]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda", help=parameter_at(RegistrarSettings, "device").help)]
LargestFrame = Annotated[float, typer.Option(metavar="MIB", min=1, help=parameter_at(ReadSettings, "largest_mib").help)]


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command for typer: each parameter that is a dataclass of settings becomes an option for each of its fields.

    A field of settings that is itself settings has its fields in its place. Two fields of one command must not have the
    same name.
    """
    options: list[inspect.Parameter] = []
    taken: dict[str, tuple[type, Group]] = {}
    for one in inspect.signature(command, eval_str=True).parameters.values():
        settings, group = _settings_of(one.annotation)
        if settings is None:
            options.append(one.replace(kind=inspect.Parameter.KEYWORD_ONLY))
        else:
            options.extend(_options(settings, group))
            taken[one.name] = settings, group

    @wraps(command)
    def run(**given: Any) -> None:
        for name, (settings, group) in taken.items():
            given[name] = _made(settings, group, given)
        command(**given)

    run.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in options}
    return run


def _settings_of(annotation: Any) -> tuple[type | None, Group]:
    group = Group()
    if get_origin(annotation) is Annotated:
        annotation, *others = get_args(annotation)
        group = next((other for other in others if isinstance(other, Group)), group)
    return (annotation if is_dataclass(annotation) and isinstance(annotation, type) else None), group


def _options(settings: type, group: Group) -> Iterator[inspect.Parameter]:
    hints = hints_of(settings)
    for one in fields(settings):
        spelled = group.spelled.get(one.name) or _SPELLED.get(one.name, Spelling())
        hint = hints[one.name]
        if one.name in group.without:
            continue
        if is_dataclass(hint) and spelled.kind is None:
            yield from _options(hint, group)  # type: ignore[arg-type]
            continue
        about = Parameter(spelled.help) if spelled.help else parameter_of(one)
        flags = spelled.flags or ((f"--{one.name.replace('_', '-')}",) if hint is bool else ())
        shown: dict[str, Any] = {
            "help": about.help,
            "metavar": spelled.metavar or about.unit.upper() or None,
            "show_default": spelled.read is None and one.default != "",
        }
        if not spelled.is_argument:
            shown |= {"min": about.at_least, "max": about.at_most}
        option = typer.Argument(**shown) if spelled.is_argument else typer.Option(*flags, **shown)
        yield inspect.Parameter(
            one.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None if spelled.read is not None else one.default,
            annotation=Annotated[hint if spelled.kind is None else spelled.kind, option],
        )


def _made(settings: type, group: Group, given: dict[str, Any]) -> Any:
    """The settings, from the options that were given, which are taken out."""
    values: dict[str, Any] = {}
    hints = hints_of(settings)
    for one in fields(settings):
        if one.name in group.without:
            continue
        if one.name not in given:
            values[one.name] = _made(hints[one.name], group, given)
            continue
        value = given.pop(one.name)
        read = (group.spelled.get(one.name) or _SPELLED.get(one.name, Spelling())).read
        values[one.name] = value if read is None else read(value)
    return settings(**values)
