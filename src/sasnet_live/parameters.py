"""The parameters of settings: what each is for, in which unit, which values it takes, and how stored ones are read.

Settings are frozen dataclasses. A field says what it is for in `parameter`; the shell's help and the window's tips say
just that. Free of NumPy, and of pydantic until something is read.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, is_dataclass, replace
from difflib import get_close_matches
from functools import cache, reduce
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from .errors import InputError

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parameter:
    """What a person should know of a field of settings.

    Attributes
    ----------
    help
        What it is for, in whole sentences.
    unit
        Of its numbers; empty where there is none.
    at_least, at_most
        What a number may be; None: any.
    """

    help: str
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None


_ANY = Parameter("")


def parameter(
    default: T, help: str, *, unit: str = "", at_least: float | None = None, at_most: float | None = None
) -> T:
    """A field of a dataclass of settings, with what a person should know of it; see `Parameter`."""
    return field(default=default, metadata={"parameter": Parameter(help, unit, at_least, at_most)})


def parameter_at(settings: type, path: str) -> Parameter:
    """Of a field, by its dotted path: ``parameter_at(RegistrarSettings, "geometry.crop")``."""
    *outer, name = path.split(".")
    for step in outer:
        settings = hints_of(settings)[step]
    found = next(one for one in fields(settings) if one.name == name)
    return parameter_of(found)


def parameter_of(one: Field[Any]) -> Parameter:
    """Of a field made by `parameter`."""
    return cast(Parameter, one.metadata["parameter"])


def value_at(settings: Any, path: str) -> Any:
    """The value at a dotted path."""
    return reduce(getattr, path.split("."), settings)


def with_value(settings: T, path: str, value: Any) -> T:
    """The settings with another value at a dotted path."""
    name, _, rest = path.partition(".")
    changed = with_value(getattr(settings, name), rest, value) if rest else value
    return cast(T, replace(cast(Any, settings), **{name: changed}))


def hints_of(settings: Any) -> dict[str, Any]:
    """The types of its fields, `Annotated` ones with their annotations."""
    return _hints_of(settings)


@cache
def _hints_of(settings: Any) -> dict[str, Any]:
    return get_type_hints(settings, include_extras=True)


def check_values(settings: Any) -> None:
    """Refuse a value of a `Literal` field that is none of its values, and numbers that are too small or too large.

    Raises
    ------
    InputError
        That names field, value and what was expected.
    """
    hints = hints_of(type(settings))
    for one in fields(settings):
        name, hint, value = one.name, hints[one.name], getattr(settings, one.name)
        about = one.metadata.get("parameter", _ANY)
        if isinstance(value, int | float):
            # Written so that what is not a number is refused, too.
            if about.at_least is not None and not value >= about.at_least:
                raise InputError(f"{name} is {value}; expected {about.at_least:g} or more")
            if about.at_most is not None and not value <= about.at_most:
                raise InputError(f"{name} is {value}; expected {about.at_most:g} or less")
        if get_origin(hint) is Literal and value not in get_args(hint):
            raise InputError(f"{name} is {value!r}; expected one of {', '.join(map(str, get_args(hint)))}")


def read_settings(settings: type[T], values: Mapping[str, Any]) -> T:
    """Settings from what a file holds; what is left out has its default.

    Raises
    ------
    InputError
        For a key that is none, naming the nearest one, or a value that does not fit.
    """
    from pydantic import TypeAdapter, ValidationError

    _refuse_unknown(settings, values)
    try:
        return TypeAdapter(settings).validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        about: dict[str, Any] = dict(first.get("ctx", {}))
        if isinstance(about.get("error"), InputError):
            raise about["error"] from None
        name = ".".join(map(str, first["loc"]))
        if first["type"] == "literal_error":
            choices = str(about["expected"]).replace("'", "").replace(" or ", ", ")
            raise InputError(f"{name} is {first['input']!r}; expected one of {choices}") from None
        raise InputError(f"{name} is {first['input']!r}; {first['msg'][:1].lower()}{first['msg'][1:]}") from None


def read_what_fits(settings: type[T], values: Mapping[str, Any]) -> T:
    """Settings from what was stored, perhaps by another version: what is unknown or does not fit has its default."""
    from pydantic import TypeAdapter, ValidationError

    adapter = TypeAdapter(settings)
    kept: dict[str, Any] = {}
    for name, hint in hints_of(settings).items():
        if name not in values:
            continue
        if is_dataclass(hint) and isinstance(values[name], Mapping):
            kept[name] = read_what_fits(cast(type, hint), values[name])
            continue
        try:
            kept[name] = getattr(adapter.validate_json(json.dumps({name: values[name]}), strict=True), name)
        except ValidationError as error:
            _log.info("the stored %s is left at its default: %s", name, error)
    return settings(**kept)


def _refuse_unknown(settings: type, values: Mapping[str, Any]) -> None:
    known = hints_of(settings)
    for name, value in values.items():
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}"
            raise InputError(f"{name} is not a setting of this version; {hint}")
        if is_dataclass(known[name]) and isinstance(value, Mapping):
            _refuse_unknown(cast(type, known[name]), value)
