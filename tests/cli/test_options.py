"""From settings to options: names, defaults, what reaches the command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer
from typer.testing import CliRunner

from sasnet_live.cli.options import Group, Spelling, with_options
from sasnet_live.geometry import ScanGeometry
from sasnet_live.parameters import parameter


@dataclass(frozen=True)
class Oven:
    """Settings for these tests."""

    degrees: int = parameter(180, "How hot it is.", unit="K", at_least=1)
    mode: Literal["air", "grill"] = parameter("air", "How heat comes.")
    names: tuple[str, ...] = parameter((), "What is in it.")
    geometry: ScanGeometry = ScanGeometry()
    light: bool = parameter(False, "Whether one sees in.")
    secret: int = 7


SPELLED = {"names": Spelling(("--name",), kind=list[str], read=lambda names: tuple(names or ()))}
seen: list[Any] = []


def command(
    *,
    before: int = 1,
    oven: Annotated[Oven, Group(without=("secret", "line_offset"), spelled=SPELLED)],
    after: int = 2,
) -> None:
    """Bake."""
    seen.append((before, oven, after))


def bake(*arguments: str) -> tuple[int, str]:
    app = typer.Typer(rich_markup_mode=None)
    app.command()(with_options(command))
    seen.clear()
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.output


def test_a_command_gets_settings_from_options() -> None:
    assert bake()[0] == 0
    assert seen == [(1, Oven(), 2)]
    options = (
        "--before 3 --degrees 200 --mode grill --name a --name b --line-axis columns --crop 1 2 --mirrored --light"
    )
    assert bake(*options.split(), "--light")[0] == 0
    geometry = ScanGeometry("columns", backward_mirrored=True, crop=(1, 2))
    assert seen == [(3, Oven(200, "grill", ("a", "b"), geometry, True), 2)]


def test_the_help_says_what_the_settings_say() -> None:
    status, text = bake("--help")
    words = " ".join(text.split())
    assert status == 0
    assert "--degrees K How hot it is. [default: 180; x>=1]" in words
    assert "The pass that line 0 belongs to. [default: forward]" in words
    assert "--secret" not in words
    assert "--line-offset" not in words
    assert words.index("--before") < words.index("--degrees") < words.index("--line-axis") < words.index("--after")


def test_values_out_of_range_are_refused() -> None:
    assert bake("--degrees", "0")[0] == 2
    assert bake("--mode", "smoke")[0] == 2
    assert bake("--secret", "1")[0] == 2
